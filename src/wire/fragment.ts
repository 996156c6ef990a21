/** Long control messages: cutting them into interleaved fragments and putting them together again (control-plane 0.5). */

import { ByteReader } from "./byte-reader.ts"
import { ByteWriter } from "./byte-writer.ts"
import { AvError } from "./errors.ts"
import { decodeFrame, encodeFrame, MAX_FRAME_PAYLOAD } from "./frame.ts"
import type { Bytes, Milliseconds } from "./types.ts"

const FRAGMENT_HEADER_LENGTH = 8
/** Payload bytes in every fragment but the last. */
export const FRAGMENT_BODY_LENGTH = 16_372
const MAX_FRAGMENTS = 512
/** Largest message that can be sent in fragments, in bytes. */
export const MAX_MESSAGE_LENGTH = MAX_FRAGMENTS * FRAGMENT_BODY_LENGTH

/** Per peer: messages under reassembly. A peer that starts more is not a slow sender. */
const MAX_OPEN_MESSAGES = 16
/** Per peer: bytes held for messages that are not complete. */
const MAX_BUFFERED_BYTES = 12 * 1024 * 1024
/** A message that gets no fragment for this long is dropped. */
const FRAGMENT_TIMEOUT_MS = 10_000

interface Outgoing {
  type: number
  payload: Bytes
  messageId: number
  index: number
  count: number
  order: bigint | undefined
}

/**
 * The sending side of one channel: a queue of messages that gives out frames one at a time, taking one from each waiting
 * message in turn, so that a long commit does not hold up a keyframe request. Short messages keep their order among
 * themselves; a short one may pass a long one that was queued before it, unless both have the same `order`.
 */
export class FrameSplitter {
  readonly #queue: Outgoing[] = []
  /** Messages that wait for an earlier one of their order; a key is here while one of its messages is in the queue. */
  readonly #behind = new Map<bigint, Outgoing[]>()
  #waiting = 0
  #nextMessageId = 0
  #pendingBytes = 0

  /** Payload bytes queued and not yet given out; the owner bounds this. */
  get pendingBytes(): number {
    return this.#pendingBytes
  }

  /** Messages with at least one frame still to send. */
  get pendingMessages(): number {
    return this.#queue.length + this.#waiting
  }

  /**
   * Queues one message. The payload is not copied and must not change until it was sent.
   * @param order messages of one order leave one after the other, like the frames of one call
   * @throws AvError `MessageTooLarge` above {@link MAX_MESSAGE_LENGTH}.
   */
  enqueue(type: number, payload: Bytes, order?: bigint): void {
    if (payload.length > MAX_MESSAGE_LENGTH) {
      throw new AvError("MessageTooLarge", { got: payload.length, max: MAX_MESSAGE_LENGTH })
    }
    const whole = payload.length <= MAX_FRAME_PAYLOAD
    const count = whole ? 1 : Math.ceil(payload.length / FRAGMENT_BODY_LENGTH)
    const messageId = whole ? 0 : this.#nextMessageId
    if (!whole) this.#nextMessageId = (this.#nextMessageId + 1) >>> 0
    const message = { type, payload, messageId, index: 0, count, order }
    this.#pendingBytes += payload.length
    const behind = order === undefined ? undefined : this.#behind.get(order)
    if (behind !== undefined) {
      behind.push(message)
      this.#waiting += 1
      return
    }
    if (order !== undefined) this.#behind.set(order, [])
    this.#queue.push(message)
  }

  /** The next frame to send, or undefined when nothing waits. */
  next(): Bytes | undefined {
    const message = this.#queue.shift()
    if (message === undefined) return undefined
    if (message.count === 1) {
      this.#pendingBytes -= message.payload.length
      this.#release(message)
      return encodeFrame(message.type, message.payload)
    }
    const start = message.index * FRAGMENT_BODY_LENGTH
    const body = message.payload.subarray(start, start + FRAGMENT_BODY_LENGTH)
    const fragment = new ByteWriter(FRAGMENT_HEADER_LENGTH + body.length)
      .u32le(message.messageId)
      .u16le(message.index)
      .u16le(message.count)
      .bytes(body)
      .finish()
    this.#pendingBytes -= body.length
    message.index++
    if (message.index < message.count) this.#queue.push(message)
    else this.#release(message)
    return encodeFrame(message.type, fragment, true)
  }

  /** The last of a message is out: the next of its order may follow. */
  #release({ order }: Outgoing): void {
    if (order === undefined) return
    const next = this.#behind.get(order)?.shift()
    if (next === undefined) {
      this.#behind.delete(order)
      return
    }
    this.#waiting -= 1
    this.#queue.push(next)
  }
}

/** A complete message. */
export interface AssembledFrame {
  type: number
  payload: Bytes
}

interface AssemblerCounters {
  /** Messages dropped by a limit, a timeout or a fault, each counted once (`frag_dropped_total`). */
  dropped: number
  /** Those of them for which nothing was thrown: a limit was reached, or the next fragment came too late. */
  silent: number
}

interface Incoming {
  type: number
  count: number
  parts: Bytes[]
  bytes: number
  lastAt: Milliseconds
}

/**
 * The receiving side of one channel. `now` is any clock that does not go back. Memory is bounded by 16 messages and
 * 12 MiB; fragments of a message that was dropped are swallowed silently, as the sender cannot know.
 */
export class FrameAssembler {
  readonly #open = new Map<number, Incoming>()
  readonly #counters: AssemblerCounters = { dropped: 0, silent: 0 }
  #buffered = 0

  get counters(): Readonly<AssemblerCounters> {
    return this.#counters
  }

  /** Bytes held for incomplete messages. */
  get bufferedBytes(): number {
    return this.#buffered
  }

  /**
   * Takes one frame as it came from the channel. Gives the message when it is complete, undefined while it is not or when
   * its fragment was dropped. The payload of an unfragmented message is a view into `bytes`.
   * @throws AvError `FrameInvalid` on a bad frame, `FragmentInvalid` on a bad fragment (its message is dropped).
   */
  push(bytes: Bytes, now: Milliseconds): AssembledFrame | undefined {
    this.expire(now)
    const frame = decodeFrame(bytes)
    if (!frame.fragment) return { type: frame.type, payload: frame.payload }
    return this.#fragment(frame.type, frame.payload, now)
  }

  /** Drops messages without a new fragment for 10 s. `push` does it too; call it when the channel is silent. */
  expire(now: Milliseconds): void {
    for (const [id, message] of this.#open) {
      if (now - message.lastAt >= FRAGMENT_TIMEOUT_MS) this.#lose(id, message)
    }
  }

  #fragment(type: number, payload: Bytes, now: Milliseconds): AssembledFrame | undefined {
    const reader = new ByteReader(payload, "FragmentInvalid")
    const id = reader.u32le()
    const index = reader.u16le()
    const count = reader.u16le()
    const body = reader.rest()
    const open = this.#open.get(id)
    const last = index === count - 1
    const shaped =
      count >= 2 && count <= MAX_FRAGMENTS && index < count && (last ? body.length > 0 : body.length === FRAGMENT_BODY_LENGTH)
    if (!shaped) this.#refuse(id, open, "fragment shape")
    if (open === undefined) {
      // Not the first fragment: the rest of a message that was dropped.
      if (index !== 0) return undefined
      if (this.#open.size >= MAX_OPEN_MESSAGES || this.#buffered + body.length > MAX_BUFFERED_BYTES) {
        this.#counters.dropped++
        this.#counters.silent++
        return undefined
      }
      this.#open.set(id, { type, count, parts: [body.slice()], bytes: body.length, lastAt: now })
      this.#buffered += body.length
      return undefined
    }
    if (open.type !== type || open.count !== count || open.parts.length !== index) this.#refuse(id, open, "fragment order")
    if (this.#buffered + body.length > MAX_BUFFERED_BYTES) {
      this.#lose(id, open)
      return undefined
    }
    // Copied: the frame's buffer belongs to the channel and a view would keep all of it alive.
    open.parts.push(body.slice())
    open.bytes += body.length
    open.lastAt = now
    this.#buffered += body.length
    return last ? this.#complete(id, open) : undefined
  }

  #complete(id: number, message: Incoming): AssembledFrame {
    this.#open.delete(id)
    this.#buffered -= message.bytes
    const payload = new Uint8Array(message.bytes)
    let offset = 0
    for (const part of message.parts) {
      payload.set(part, offset)
      offset += part.length
    }
    return { type: message.type, payload }
  }

  #drop(id: number, message: Incoming): void {
    this.#open.delete(id)
    this.#buffered -= message.bytes
    this.#counters.dropped++
  }

  #lose(id: number, message: Incoming): void {
    this.#drop(id, message)
    this.#counters.silent++
  }

  #refuse(id: number, message: Incoming | undefined, why: string): never {
    if (message === undefined) this.#counters.dropped++
    else this.#drop(id, message)
    throw new AvError("FragmentInvalid", { why, messageId: id })
  }
}
