/** Channel names in their one spelling (control-plane 5.1, D24): everybody who means the same channel writes the same bytes. */
import { utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"

/** Longest channel name in bytes. */
const MAX_CHANNEL_NAME = 255
/** Longest name of a queue group in bytes; a group is one segment. */
const MAX_QUEUE_GROUP = 64
/** The segment before a queue group in the name of the channel its tokens are made for (D32). */
const QUEUE_GROUP_SEGMENT = "qg"

interface ChannelNameOptions {
  /** Allow `<channel>/qg/<group>`, which ordinary callers cannot name. */
  queueGroup?: boolean
}

/**
 * The canonical form of a channel name: ASCII letters in lower case, segments of `a-z 0-9 - _ .` between single slashes.
 * Applying it again changes nothing.
 * @throws AvError `Empty`, `TooLong`, `InvalidChar`, `Malformed` (an empty or dotted segment) or `Reserved` (a queue group's name).
 */
export function canonicalChannelName(input: string, options: ChannelNameOptions = {}): string {
  if (input.length === 0) throw nameError("Empty")
  // A character takes one to three bytes per UTF-16 unit: longer texts need no encoding to be refused.
  if (input.length > MAX_CHANNEL_NAME || utf8Encode(input).length > MAX_CHANNEL_NAME) throw nameError("TooLong")
  // Not toLowerCase(): that would also turn U+212A, the Kelvin sign, into an innocent "k".
  const name = input.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  if (!/^[a-z0-9\-_./]+$/.test(name)) throw nameError("InvalidChar")
  const segments = name.split("/")
  for (const segment of segments) {
    const bad = segment === "" || segment.startsWith(".") || segment.endsWith(".") || segment.includes("..")
    if (bad) throw nameError("Malformed")
  }
  if (segments.at(-2) === QUEUE_GROUP_SEGMENT && options.queueGroup !== true) throw nameError("Reserved")
  return name
}

/** True for a name that is canonical as it stands, the only form allowed on the wire. */
export function isCanonicalChannelName(name: string): boolean {
  try {
    return canonicalChannelName(name) === name
  } catch {
    return false
  }
}

/** True for a queue group: one canonical segment of at most 64 bytes. */
export function isQueueGroup(group: string): boolean {
  return group.length <= MAX_QUEUE_GROUP && !group.includes("/") && isCanonicalChannelName(group)
}

/** The channel whose tokens admit to a queue group of `channel`; undefined when that name would be too long. */
export function queueGroupChannel(channel: string, group: string): string | undefined {
  const name = `${channel}/${QUEUE_GROUP_SEGMENT}/${group}`
  return name.length > MAX_CHANNEL_NAME ? undefined : canonicalChannelName(name, { queueGroup: true })
}

function nameError(code: "Empty" | "TooLong" | "InvalidChar" | "Malformed" | "Reserved"): AvError {
  return new AvError(code, { what: "channel name" })
}
