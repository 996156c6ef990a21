/** Messages told apart by their member `t`: reading and writing any table of them (av-mesh D-35, room RM-27). */
import { utf8Decode, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import { type Decoded, readShape, type Shape, writeShape } from "./json-shape.ts"
import { isJsonObject, parseJson } from "./json-text.ts"
import { writeJson } from "./json-write.ts"
import type { Bytes } from "./types.ts"

/** A message this version does not know: count it, ignore it. */
export interface UnknownMessage {
  t: "unknown"
  name: string
}

/** The union of all messages of a table, with `t` as discriminant. */
export type MessageOf<Table extends Record<string, Shape>> = {
  [T in keyof Table & string]: { t: T } & Decoded<Table[T]>
}[keyof Table & string]

/** How many bytes of JSON a message may have. */
interface LengthLimits {
  /** The most any message of the table may have; longer input is not even parsed. */
  readonly most: number
  of(t: string): number
}

/** UTF-8 JSON of a message of the table. @throws AvError `MessageTooLarge` above its limit. */
export function encodeMessage<Table extends Record<string, Shape>>(
  table: Table,
  message: MessageOf<Table>,
  limits: LengthLimits,
): Bytes {
  const shape = table[message.t]
  if (shape === undefined) throw new AvError("UsageError", { why: "unknown message", t: message.t })
  const bytes = utf8Encode(writeJson({ t: message.t, ...writeShape(shape, message) }))
  const max = limits.of(message.t)
  if (bytes.length > max) throw new AvError("MessageTooLarge", { t: message.t, got: bytes.length, max })
  return bytes
}

/**
 * Reads a message of the table.
 * @throws AvError `ControlMalformed { t }`: `t` is null when the text is no object with a name or longer than any message, and names the
 * message when a member is missing or wrong or the message is longer than its own limit.
 */
export function decodeMessage<Table extends Record<string, Shape>>(
  table: Table,
  bytes: Bytes,
  limits: LengthLimits,
): MessageOf<Table> | UnknownMessage {
  if (bytes.length > limits.most) throw new AvError("ControlMalformed", { t: null, got: bytes.length, max: limits.most })
  const json = withoutName(() => parseJson(utf8Decode(bytes)))
  const t = isJsonObject(json) ? json.t : undefined
  if (!isJsonObject(json) || typeof t !== "string") throw new AvError("ControlMalformed", { t: null })
  const shape = Object.hasOwn(table, t) ? table[t] : undefined
  if (shape === undefined) return { t: "unknown", name: t }
  const max = limits.of(t)
  if (bytes.length > max) throw new AvError("ControlMalformed", { t, got: bytes.length, max })
  const members = readShape(shape, json)
  if (members === undefined) throw new AvError("ControlMalformed", { t })
  return { t, ...members } as MessageOf<Table>
}

function withoutName<T>(parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new AvError("ControlMalformed", { t: null }, { cause })
  }
}
