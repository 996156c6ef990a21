/**
 * Lets frames of the room's memory out: messages soon, symbols within a rate and only while a session's queue is short, so that neither
 * media nor the control of the call waits for them. Sans-I/O but for the sessions it is given.
 */
import { FRAME_BINARY, FRAME_JSON } from "../../wire/frame.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"

/** What waits in a session's queue before it gets another symbol, bytes. */
const SYMBOL_ROOM = 48 * 1024
/** What may wait before it gets another message, bytes. */
const MESSAGE_ROOM = 1_048_576
/** What may go out at once after a pause, ms of the rate. */
const BURST_MS = 250
/** Messages that wait for one peer; its session takes nothing any more then. */
const MAX_WAITING = 4_096

/** The part of a session that is used. */
export interface OutgateSession {
  readonly closed: boolean
  buffered(type: number): number
  sendFrame(type: number, payload: Bytes): void
  sendBinary(name: string, bytes: Bytes): void
}

interface OutgateItem {
  peer: PeerKeyId
  /** BINARY frame of this name; undefined: a JSON message. */
  binary?: string
  payload: Bytes
  /** Of symbols: before those that wait for this peer. */
  first?: boolean
  /** Called once: when it was handed to a session, and when there is none. */
  done(): void
}

export class Outgate {
  readonly #session: (peer: PeerKeyId) => OutgateSession | undefined
  readonly #bytesPerSecond: () => number
  readonly #messages = new Map<PeerKeyId, OutgateItem[]>()
  readonly #symbols = new Map<PeerKeyId, OutgateItem[]>()
  #tokens = 0
  #filledAt: Milliseconds | undefined

  /** @param bytesPerSecond of all symbols together, asked each time */
  constructor(session: (peer: PeerKeyId) => OutgateSession | undefined, bytesPerSecond: () => number) {
    this.#session = session
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Items that wait. */
  get waiting(): number {
    let count = 0
    for (const queue of [...this.#messages.values(), ...this.#symbols.values()]) count += queue.length
    return count
  }

  push(item: OutgateItem, nowMs: Milliseconds): void {
    const queues = item.binary === undefined ? this.#messages : this.#symbols
    const queue = queues.get(item.peer) ?? []
    if (queue.length >= MAX_WAITING) {
      item.done()
      return
    }
    if (item.first) queue.unshift(item)
    else queue.push(item)
    queues.set(item.peer, queue)
    this.pump(nowMs)
  }

  /** A peer has gone: what waits for it is dropped. */
  forget(peer: PeerKeyId): void {
    for (const queues of [this.#messages, this.#symbols]) {
      for (const { done } of queues.get(peer) ?? []) done()
      queues.delete(peer)
    }
  }

  /** Sends what may go now. Call it when a session drained, and again after the time it gives; undefined: nothing waits for time. */
  pump(nowMs: Milliseconds): Milliseconds | undefined {
    for (const peer of [...this.#messages.keys()]) this.#drain(this.#messages, peer, FRAME_JSON, MESSAGE_ROOM)
    const rate = this.#refill(nowMs)
    let sent = true
    // In turns, so that a slow peer's neighbours do not wait behind a fast one's long queue.
    while (sent && this.#tokens > 0) {
      sent = false
      for (const peer of [...this.#symbols.keys()]) {
        if (this.#tokens <= 0) break
        const bytes = this.#drain(this.#symbols, peer, FRAME_BINARY, SYMBOL_ROOM, 1)
        const left = this.#symbols.get(peer)
        if (left !== undefined && bytes > 0) {
          // To the end of the row.
          this.#symbols.delete(peer)
          this.#symbols.set(peer, left)
        }
        this.#tokens -= bytes
        sent ||= bytes > 0
      }
    }
    if (this.#symbols.size === 0 || this.#tokens > 0) return undefined
    return Math.max(5, Math.ceil((-this.#tokens / rate) * 1_000) + 1)
  }

  close(): void {
    for (const peer of [...this.#messages.keys(), ...this.#symbols.keys()]) this.forget(peer)
  }

  /** Gives the bytes sent. */
  #drain(queues: Map<PeerKeyId, OutgateItem[]>, peer: PeerKeyId, type: number, room: number, most = MAX_WAITING): number {
    const queue = queues.get(peer) ?? []
    const session = this.#session(peer)
    if (session === undefined || session.closed) {
      this.forget(peer)
      return 0
    }
    let sent = 0
    for (let count = 0; count < most && queue.length > 0 && session.buffered(type) < room; count++) {
      const { binary, payload, done } = queue.shift()!
      sent += payload.length
      try {
        if (binary === undefined) session.sendFrame(FRAME_JSON, payload)
        else session.sendBinary(binary, payload)
      } catch {
        // The session has just ended; the peer is asked again over the next one.
      }
      done()
    }
    if (queue.length === 0) queues.delete(peer)
    return sent
  }

  #refill(nowMs: Milliseconds): number {
    const rate = Math.max(1, this.#bytesPerSecond())
    const most = (rate * BURST_MS) / 1_000
    const gained = this.#filledAt === undefined ? most : ((nowMs - this.#filledAt) / 1_000) * rate
    this.#filledAt = nowMs
    this.#tokens = Math.min(most, this.#tokens + Math.max(0, gained))
    return rate
  }
}
