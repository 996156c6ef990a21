/** `<holo-call room server invite name>`: a small, complete call for a page that wants no code of its own. */
import { openDevices } from "../room/devices.ts"
import { joinRoom } from "../room/join.ts"
import { describeError } from "../room/sentences.ts"
import type { Room } from "../room/types.ts"
import { readAttributes } from "./attributes.ts"
import { STYLE } from "./style.ts"
import { CallTiles } from "./tiles.ts"

/** Detail of the `warning` event of the element. */
export interface HoloCallWarning {
  message: string
}

/** The element as a page sees it. */
export interface HoloCallElement extends HTMLElement {
  /** The room while in a call. */
  readonly room: Room | undefined
  /** Joins with what the attributes say now. A refusal is shown in words and told by a `warning` event. */
  join(): Promise<void>
  leave(): Promise<void>
}

/**
 * Registers the element. Done by hand and not on import, so that importing the library changes no page.
 *
 * Attributes: `room`, `server`, `invite` (a fragment or a whole link), `name`, `open`; a bad value is told by a `warning` event and
 * replaced by its default. Events: `joined`, `left`, `warning`, each bubbling out of the shadow tree.
 */
export function defineHoloCall(tag = "holo-call"): void {
  if (customElements.get(tag) === undefined) customElements.define(tag, createClass())
}

/** Inside a function because `HTMLElement` exists in browsers only and this module is also loaded elsewhere. */
function createClass(): CustomElementConstructor {
  return class HoloCall extends HTMLElement implements HoloCallElement {
    room: Room | undefined
    readonly #status = make("p", { role: "status" })
    readonly #name = make("input", { maxlength: "64", placeholder: "Your name", "aria-label": "Your name", autocomplete: "name" })
    readonly #form = make("form", {}, this.#name, make("button", { type: "submit" }, "Join the call"))
    readonly #bar = make("div", { class: "bar", hidden: "" })
    #stream = new MediaStream()
    #tiles: CallTiles | undefined
    #attempt: AbortController | undefined

    constructor() {
      super()
      const root = this.attachShadow({ mode: "open" })
      const sheet = new CSSStyleSheet()
      sheet.replaceSync(STYLE)
      root.adoptedStyleSheets = [sheet]
      root.append(this.#status, this.#form, this.#bar)
      this.#form.addEventListener("submit", (event) => {
        event.preventDefault()
        void this.join()
      })
    }

    connectedCallback(): void {
      if (this.#name.value === "") this.#name.value = this.getAttribute("name") ?? ""
    }

    disconnectedCallback(): void {
      void this.leave()
    }

    async join(): Promise<void> {
      if (this.#attempt !== undefined) return
      const attempt = new AbortController()
      this.#attempt = attempt
      const { url, name, open, warnings } = readAttributes(
        {
          room: this.getAttribute("room"),
          server: this.getAttribute("server"),
          invite: this.getAttribute("invite"),
          name: this.#name.value || this.getAttribute("name"),
          open: this.hasAttribute("open"),
        },
        document.baseURI.replace(/#.*$/s, "") + location.hash,
      )
      for (const message of warnings) this.#warn(message)
      this.#form.hidden = true
      this.#say("Joining …")
      const { signal } = attempt
      try {
        const { stream, problems } = await openDevices({ camera: true, microphone: true, signal })
        this.#stream = stream
        for (const problem of problems) this.#warn(describeError(problem))
        const room = await joinRoom(url, { name: name || "Guest", open, signal })
        this.#enter(room)
        await room.publish(stream)
      } catch (error) {
        if (this.room === undefined) this.#end(signal.aborted ? "" : describeError(error))
        if (!signal.aborted) this.#warn(describeError(error))
      }
    }

    async leave(): Promise<void> {
      if (this.room === undefined) this.#attempt?.abort()
      await this.room?.leave()
    }

    #enter(room: Room): void {
      this.room = room
      const sound = make("button", { type: "button", class: "sound", hidden: "" }, "Turn sound on")
      const blocked = () => {
        sound.hidden = false
      }
      const tiles = new CallTiles(room, this.#stream, blocked)
      this.#tiles = tiles
      this.#form.before(tiles.element)
      const start = () => {
        if (sound.hidden) return
        sound.hidden = true
        tiles.play()
        room.startAudio().catch(() => undefined)
      }
      // Any gesture is the one the browser waits for; the button says so to those who wonder.
      const gestures = new AbortController()
      for (const name of ["pointerup", "keydown"]) document.addEventListener(name, start, { signal: gestures.signal })
      const leave = make("button", { type: "button", class: "leave" }, "Leave")
      leave.addEventListener("click", () => void this.leave())
      this.#bar.replaceChildren(this.#switch(room, "audio", "Microphone"), this.#switch(room, "video", "Camera"), sound, leave)
      this.#bar.hidden = false
      const showPlace = () => this.#say(room.open ? "In the open room: whoever knows its name can come in." : "In the call.")
      showPlace()
      room.on("state", ({ state }) =>
        state === "reconnecting" || state === "offline" ? this.#say("Reconnecting …") : showPlace(),
      )
      room.on("audioBlocked", blocked)
      room.on("audioStarted", start)
      room.on("warning", ({ message }) => this.#warn(message))
      room.on("left", ({ reason, error }) => {
        gestures.abort()
        const words = error === undefined ? "You left the call." : describeError(error)
        this.#end(reason === "removed" ? "You were removed from this room." : words)
      })
      this.#tell("joined")
    }

    #switch(room: Room, kind: "audio" | "video", label: string): HTMLElement {
      const button = make("button", { type: "button", "aria-pressed": "true" }, label)
      button.hidden = !this.#stream.getTracks().some((track) => track.kind === kind)
      button.addEventListener("click", async () => {
        const own = room.publications.find((publication) => publication.kind === kind)
        try {
          await (own?.muted ? own.unmute() : own?.mute())
        } catch (error) {
          this.#warn(describeError(error))
        }
        button.setAttribute("aria-pressed", String(own !== undefined && !own.muted))
      })
      return button
    }

    #end(words: string): void {
      const joined = this.room !== undefined
      this.#tiles?.close()
      this.#tiles = undefined
      this.room = undefined
      this.#attempt = undefined
      for (const track of this.#stream.getTracks()) track.stop()
      this.#stream = new MediaStream()
      this.#bar.hidden = true
      this.#form.hidden = false
      this.#say(words)
      if (joined) this.#tell("left")
    }

    #say(words: string): void {
      this.#status.textContent = words
    }

    #warn(message: string): void {
      const detail: HoloCallWarning = { message }
      this.dispatchEvent(new CustomEvent("warning", { detail, bubbles: true, composed: true }))
    }

    #tell(name: "joined" | "left"): void {
      this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true }))
    }
  }
}

function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string>,
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...children)
  return element
}
