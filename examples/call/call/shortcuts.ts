/** Keys of the call page. They do nothing while somebody types or holds a modifier. */
import type { Scope } from "../scope.ts"

export type ActionName =
  | "microphone"
  | "camera"
  | "share"
  | "leave"
  | "chat"
  | "invite"
  | "statistics"
  | "network"
  | "people"
  | "files"
  | "memory"
  | "more"
  | "help"

export const SHORTCUTS: Readonly<Record<string, Exclude<ActionName, "more">>> = {
  m: "microphone",
  v: "camera",
  p: "share",
  c: "chat",
  i: "invite",
  s: "statistics",
  n: "network",
  u: "people",
  f: "files",
  r: "memory",
  "?": "help",
}

/**
 * @param has whether this page has a use for the key
 * @param onEscape closes what is open over the call
 */
export function listenToKeys(
  scope: Scope,
  actions: Record<Exclude<ActionName, "more">, () => void>,
  has: (action: ActionName) => boolean,
  onEscape: () => void,
): void {
  scope.listen(document, "keydown", (event) => {
    if (!(event instanceof KeyboardEvent) || event.defaultPrevented || event.repeat || event.isComposing) return
    // Dialogues and menus handle their own keys; the browser closes them on Escape.
    if (document.querySelector("dialog[open], :popover-open") !== null) return
    if (event.key === "Escape") return onEscape()
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return
    const action = SHORTCUTS[event.key.toLowerCase()]
    if (action === undefined || !has(action)) return
    event.preventDefault()
    actions[action]()
  })
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName))
}
