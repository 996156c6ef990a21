/** The sending side of one reliable channel: frames leave while the channel has room, the rest waits in a bounded queue. */
import { FrameSplitter } from "../wire/control-frame.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"

/** What waits in the channel itself: enough to keep it busy, little enough that a short message is not held up. */
const CHANNEL_BYTES = 64 * 1024
/** Queued bytes at which the peer counts as gone. A commit of the largest size fits. */
const QUEUE_BYTES = 8 * 1024 * 1024

/** A reliable, ordered message channel. */
export interface FramePipe {
  send(frame: Bytes): void
  /** Bytes accepted and not on the network yet. */
  readonly buffered: number
}

export class FrameOutbox {
  readonly #pipe: FramePipe
  readonly #splitter = new FrameSplitter()

  constructor(pipe: FramePipe) {
    this.#pipe = pipe
  }

  /** Bytes pushed and not on the network yet; `Infinity` while the channel is not open. */
  get bufferedBytes(): number {
    return this.#splitter.pendingBytes + this.#pipe.buffered
  }

  /**
   * Queues one message and sends what fits. `LimitExceeded` when the queue is full: the message is not queued.
   * @param order messages of one order arrive as they were pushed, whatever their lengths
   */
  push(type: number, payload: Bytes, order?: bigint): void {
    if (this.#splitter.pendingBytes + payload.length > QUEUE_BYTES) {
      throw new AvError("LimitExceeded", { what: "control queue", max: QUEUE_BYTES })
    }
    this.#splitter.enqueue(type, payload, order)
    this.flush()
  }

  /** Sends what the channel takes now; call it when the channel drained. */
  flush(): void {
    while (this.#splitter.pendingMessages > 0 && this.#pipe.buffered < CHANNEL_BYTES) {
      const frame = this.#splitter.next()
      if (frame !== undefined) this.#pipe.send(frame)
    }
  }
}
