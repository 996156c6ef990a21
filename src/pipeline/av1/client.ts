/** Decoders in the AV1 worker, as the receive worker uses them. */
import { AvError } from "../../wire/errors.ts"
import type { PictureDecoder, PictureDecoderSink } from "../receive/picture-decoder.ts"
import type { FromAv1Worker, ToAv1Worker } from "./types.ts"

/** The port as far as it is used here, so that tests need no worker. */
export type Av1Port = Pick<MessagePort, "postMessage" | "close"> & { onmessage: ((event: MessageEvent) => void) | null }

interface Running {
  sink: PictureDecoderSink | undefined
  waiting: number
  ready: (error?: AvError) => void
}

export class Av1Client {
  readonly #port: Av1Port
  readonly #running = new Map<number, Running>()
  #lastId = 0
  #closed = false

  constructor(port: Av1Port) {
    this.#port = port
    port.onmessage = ({ data }: MessageEvent<FromAv1Worker>) => this.#told(data)
  }

  /**
   * Resolves when a decoder could be made: the worker was found, and its module runs here.
   *
   * @throws AvError `MediaUnsupported`, `HandleClosedError`
   */
  async check(): Promise<void> {
    const id = this.#open()
    try {
      await new Promise<void>((resolve, reject) => {
        const ready = (error?: AvError) => (error === undefined ? resolve() : reject(error))
        this.#running.set(id, { sink: undefined, waiting: 0, ready })
      })
    } finally {
      this.#end(id)
    }
  }

  /** @throws AvError `HandleClosedError` */
  decoder(sink: PictureDecoderSink): PictureDecoder {
    const id = this.#open()
    const running: Running = { sink, waiting: 0, ready: () => undefined }
    this.#running.set(id, running)
    const post = (message: ToAv1Worker, transfer: Transferable[]) => this.#port.postMessage(message, transfer)
    return {
      get queueSize() {
        return running.waiting
      },
      decode({ ptsUs, data }) {
        running.waiting++
        // A copy: the queue of the receiver may still have the frame.
        const copy = data.slice(0)
        post({ type: "decode", id, ptsUs, data: copy }, [copy])
      },
      close: () => this.#end(id),
    }
  }

  /** Every decoder fails; later ones are refused. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    const left = [...this.#running.values()]
    this.#running.clear()
    this.#port.close()
    for (const running of left) fail(running, "the AV1 worker is closed")
  }

  #open(): number {
    if (this.#closed) throw new AvError("HandleClosedError", { handle: "AV1 worker" })
    const id = ++this.#lastId
    const message: ToAv1Worker = { type: "open", id }
    this.#port.postMessage(message)
    return id
  }

  #end(id: number): void {
    if (!this.#running.delete(id) || this.#closed) return
    const message: ToAv1Worker = { type: "close", id }
    this.#port.postMessage(message)
  }

  #told(message: FromAv1Worker): void {
    const running = this.#running.get(message.id)
    if (running === undefined) {
      if (message.type === "decoded") message.picture?.close()
      return
    }
    switch (message.type) {
      case "ready":
        running.ready()
        return
      case "decoded":
        running.waiting--
        if (message.picture !== undefined) running.sink?.output(message.picture)
        running.sink?.dequeued()
        return
      case "failed":
        this.#running.delete(message.id)
        fail(running, message.message)
    }
  }
}

function fail({ sink, ready }: Running, message: string): void {
  ready(new AvError("MediaUnsupported", { missing: "AV1 decoder" }, { message }))
  sink?.failed(new Error(message))
}
