/** What the AV1 worker runs: decoders by number, each with a memory of its own. */
import type { Av1Decoder, Av1Picture } from "../../media/av1/index.ts"
import { AvError } from "../../wire/errors.ts"
import type { FromAv1Worker, ToAv1Worker } from "./types.ts"

/** Each takes some ten megabytes and a good part of a processor. */
export const MAX_AV1_DECODERS = 16

export class Av1Service {
  readonly #load: () => Promise<Av1Decoder>
  readonly #post: (message: FromAv1Worker, transfer?: Transferable[]) => void
  readonly #decoders = new Map<number, Promise<Av1Decoder>>()

  constructor(load: () => Promise<Av1Decoder>, post: (message: FromAv1Worker, transfer?: Transferable[]) => void) {
    this.#load = load
    this.#post = post
  }

  /** Resolves when the message is dealt with. Never rejects. Messages of one decoder are answered in their order. */
  async take(message: ToAv1Worker): Promise<void> {
    const { id } = message
    if (message.type === "close") {
      const decoder = this.#decoders.get(id)
      this.#decoders.delete(id)
      await decoder?.then(
        (open) => open.close(),
        () => undefined,
      )
      return
    }
    try {
      if (message.type === "open") {
        const free = this.#decoders.size < MAX_AV1_DECODERS
        this.#decoders.set(id, free ? this.#load() : Promise.reject(new AvError("LimitExceeded", { what: "AV1 decoders" })))
        await this.#decoders.get(id)
        this.#post({ type: "ready", id })
        return
      }
      const opened = this.#decoders.get(id)
      if (opened === undefined) return
      const picture = (await opened).decode(new Uint8Array(message.data))
      const frame = picture === undefined ? undefined : frameOf(picture, message.ptsUs)
      if (frame === undefined) this.#post({ type: "decoded", id })
      else this.#post({ type: "decoded", id, picture: frame }, [frame])
    } catch (error) {
      // Units that are still on their way find no decoder and are passed over.
      this.#decoders.delete(id)
      this.#post({ type: "failed", id, message: error instanceof Error ? error.message : String(error) })
    }
  }
}

function frameOf({ data, layout, width, height, visible }: Av1Picture, timestamp: number): VideoFrame {
  const visibleRect = visible
  return new VideoFrame(data, { format: "I420", codedWidth: width, codedHeight: height, visibleRect, timestamp, layout })
}
