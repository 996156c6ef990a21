/** Which paths and links of a foreign directory tree may be created (control-plane 7.2, 7.3, D37). The tree is hostile input. */
import { isWellFormedText, utf8Encode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"

export type TreeKind = "file" | "dir" | "symlink"

/** What the rules look at: one entry of a manifest. */
export interface TreePath {
  path: string
  kind: TreeKind
  /** Of symlinks only. */
  target?: string | undefined
}

/** Which file system the tree goes to. Windows and the browser's own refuse more names. */
export type TreePlatform = "posix" | "windows" | "opfs"

const MAX_PATH_BYTES = 1_024
export const MAX_PATH_DEPTH = 64
const MAX_COMPONENT_BYTES = 255

/** Longest link target; file systems refuse longer ones. UTF-16 units. */
const MAX_TARGET_LENGTH = 4_096

export interface PathLimits {
  pathBytes: number
  depth: number
  componentBytes: number
}
const LIMITS: PathLimits = { pathBytes: MAX_PATH_BYTES, depth: MAX_PATH_DEPTH, componentBytes: MAX_COMPONENT_BYTES }

/** Why a path or a link is refused. */
type PathFault =
  | "empty"
  | "absolute"
  | "component"
  | "character"
  | "limit"
  | "reserved name"
  | "collision"
  | "below a file or link"
  | "target"
  | "target escapes"
  | "target through a link"

/** Two names that some file systems take for one fold to the same text. */
export function foldComponent(component: string): string {
  return component.toLowerCase().normalize("NFC")
}

/** The first entry that breaks a rule, and which; undefined when the whole tree may be built. */
export function findUnsafePath(
  entries: readonly TreePath[],
  platform: TreePlatform,
  limits: PathLimits = LIMITS,
): { index: number; fault: PathFault } | undefined {
  for (const [index, { path }] of entries.entries()) {
    const fault = pathFault(path, platform, limits)
    if (fault !== undefined) return { index, fault }
  }
  const folded = entries.map(({ path }) => path.split("/").map(foldComponent))
  const root = new Place()
  for (const [index, components] of folded.entries()) {
    const place = root.make(components)
    if (place.kind !== undefined) return { index, fault: "collision" }
    place.kind = entries[index]?.kind
  }
  for (const [index, components] of folded.entries()) {
    if (root.isBelowLeaf(components)) return { index, fault: "below a file or link" }
  }
  for (const [index, { kind, target }] of entries.entries()) {
    const fault = kind === "symlink" ? targetFault(folded[index] ?? [], target ?? "", root) : undefined
    if (fault !== undefined) return { index, fault }
  }
  return undefined
}

/** A folded name and what lies below it. A tree, so that the work stays proportional to the bytes of a hostile manifest. */
class Place {
  readonly #below = new Map<string, Place>()
  /** What a declared entry says; undefined for places that are only on the way. */
  kind: TreeKind | undefined

  at(component: string): Place | undefined {
    return this.#below.get(component)
  }

  make(components: readonly string[]): Place {
    let place: Place = this
    for (const component of components) {
      const next: Place = place.#below.get(component) ?? new Place()
      place.#below.set(component, next)
      place = next
    }
    return place
  }

  isBelowLeaf(components: readonly string[]): boolean {
    let place: Place | undefined = this
    for (const component of components) {
      if (place?.kind === "file" || place?.kind === "symlink") return true
      place = place?.at(component)
    }
    return false
  }
}

/** @throws AvError `UnsafePath` with the index of the first bad entry. One bad entry refuses the whole tree. */
export function requireSafePaths(entries: readonly TreePath[], platform: TreePlatform, limits?: PathLimits): void {
  const found = findUnsafePath(entries, platform, limits)
  if (found !== undefined) throw new AvError("UnsafePath", { index: found.index, why: found.fault })
}

function pathFault(path: string, platform: TreePlatform, limits: PathLimits): PathFault | undefined {
  if (path === "") return "empty"
  if (path.startsWith("/")) return "absolute"
  // A code unit takes at least one byte, so an overlong text is not encoded only to be measured.
  if (path.length > limits.pathBytes || utf8Encode(path).length > limits.pathBytes) return "limit"
  if (!isWellFormedText(path)) return "character"
  const components = path.split("/")
  if (components.length > limits.depth) return "limit"
  for (const component of components) {
    if (component === "" || component === "." || component === "..") return "component"
    if (hasForbiddenCharacter(component)) return "character"
    if (utf8Encode(component).length > limits.componentBytes) return "limit"
    if (platform !== "posix") {
      if (/[:*?"<>|]/.test(component) || /[. ]$/.test(component)) return "character"
      if (/^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)/i.test(component)) return "reserved name"
    }
  }
  return undefined
}

function hasForbiddenCharacter(component: string): boolean {
  for (let i = 0; i < component.length; i++) {
    const unit = component.charCodeAt(i)
    if (unit < 0x20 || unit === 0x7f || unit === 0x5c) return true
  }
  return false
}

/**
 * Walks a link's target as text, from the directory the link is in. Sound without looking at a disk, because the tree is built in an
 * empty place where only the declared links exist.
 */
function targetFault(link: readonly string[], target: string, root: Place): PathFault | undefined {
  if (target === "" || target.startsWith("/") || /[\0\\]/.test(target) || /^[a-z]:/i.test(target)) return "target"
  if (target.length > MAX_TARGET_LENGTH || !isWellFormedText(target)) return "target"
  /** Places from the root down; undefined where nothing is declared. */
  const stack: (Place | undefined)[] = []
  for (const component of link.slice(0, -1)) stack.push((stack.length === 0 ? root : stack.at(-1))?.at(component))
  const steps = target.split("/")
  for (const [i, step] of steps.entries()) {
    if (step === "" || step === ".") continue
    if (step === "..") {
      if (stack.length === 0) return "target escapes"
      stack.pop()
      continue
    }
    const place: Place | undefined = (stack.length === 0 ? root : stack.at(-1))?.at(foldComponent(step))
    stack.push(place)
    if (i !== steps.length - 1 && place?.kind === "symlink") return "target through a link"
  }
  return undefined
}
