/** Stand-ins for WebCodecs and streams, strict like the real ones, so that the receiver runs in Node. For tests only. */

export class FakeChunk {
  readonly type: "key" | "delta"
  readonly timestamp: number
  readonly data: Uint8Array
  constructor(init: { type: "key" | "delta"; timestamp: number; data: ArrayBuffer }) {
    this.type = init.type
    this.timestamp = init.timestamp
    this.data = new Uint8Array(init.data)
  }
}

export class FakePicture {
  static open = 0
  readonly displayWidth = 64
  readonly displayHeight = 36
  readonly timestamp: number
  #closed = false
  constructor(timestamp: number) {
    this.timestamp = timestamp
    FakePicture.open++
  }
  close() {
    if (!this.#closed) FakePicture.open--
    this.#closed = true
  }
}

interface Init {
  output: (picture: FakePicture) => void
  error: (error: Error) => void
}

/**
 * Frames are four bytes: number, number of the frame it needs (or itself), temporal layer, and 1 for garbage. Like the real
 * decoder it closes with an error when a reference is missing.
 */
export class FakeDecoder {
  static instances = 0
  static errors = 0
  static isConfigSupported = async () => ({ supported: true })
  state: "configured" | "closed" = "configured"
  decodeQueueSize = 0
  ondequeue: (() => void) | null = null
  readonly #init: Init
  readonly #have = new Set<number>()
  constructor(init: Init) {
    this.#init = init
    FakeDecoder.instances++
  }
  configure() {}
  decode(chunk: FakeChunk) {
    if (this.state === "closed") throw new Error("closed")
    this.decodeQueueSize++
    setTimeout(() => {
      if (this.state === "closed") return
      this.decodeQueueSize--
      const [number, needs, , garbage] = chunk.data
      const complete = chunk.type === "key" || this.#have.has(needs!)
      if (!complete || garbage === 1) {
        FakeDecoder.errors++
        this.state = "closed"
        this.#init.error(new Error("EncodingError"))
        return
      }
      if (chunk.type === "key") this.#have.clear()
      this.#have.add(number!)
      this.#init.output(new FakePicture(chunk.timestamp))
      this.ondequeue?.()
    }, 2)
  }
  close() {
    this.state = "closed"
  }
}

/** Collects the times of the pictures that were written and closes them, as a track does. */
export function fakeWritable(written: number[]): WritableStream<VideoFrame> {
  return new WritableStream({
    write(picture: VideoFrame) {
      written.push(picture.timestamp)
      picture.close()
    },
  })
}

interface AudioInit {
  output: (sound: FakeSound) => void
  error: (error: Error) => void
}

/** 20 ms of a constant. Its timestamp counts samples and ignores gaps, as that of the real decoder does. */
class FakeSound {
  readonly sampleRate = 48_000
  readonly numberOfChannels = 1
  readonly numberOfFrames = 960
  readonly timestamp: number
  constructor(timestamp: number) {
    this.timestamp = timestamp
  }
  copyTo(plane: Float32Array) {
    plane.fill(0.1)
  }
  close() {}
}

export class FakeAudioDecoder {
  static instances = 0
  static broken = false
  state: "configured" | "closed" = "configured"
  readonly #init: AudioInit
  #first: number | undefined
  #count = 0
  constructor(init: AudioInit) {
    this.#init = init
    FakeAudioDecoder.instances++
  }
  configure() {}
  decode(chunk: FakeChunk) {
    this.#first ??= chunk.timestamp
    setTimeout(() => {
      if (this.state === "closed") return
      if (FakeAudioDecoder.broken) {
        this.state = "closed"
        this.#init.error(new Error("EncodingError"))
      } else this.#init.output(new FakeSound(this.#first! + this.#count++ * 20_000))
    }, 1)
  }
  close() {
    this.state = "closed"
  }
}
