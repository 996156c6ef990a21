import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { chooseVideo } from "./video-choice.ts"

/** What a codec of this imaginary browser does: ms per frame, and how it treats temporal layers. */
interface Behaviour {
  ms: number
  layers?: "true" | "ignored" | "false-claim" | "disordered"
  broken?: boolean
}
let behaviours: Record<string, Behaviour> = {}
let trials: string[] = []

class FakeEncoder {
  static isConfigSupported = async ({ codec }: VideoEncoderConfig) => ({ supported: codec in behaviours })
  state: "configured" | "closed" = "configured"
  #config!: VideoEncoderConfig
  #count = 0
  #work: Promise<void> = Promise.resolve()
  readonly #init: VideoEncoderInit
  constructor(init: VideoEncoderInit) {
    this.#init = init
  }
  configure(config: VideoEncoderConfig) {
    this.#config = config
    trials.push(`${config.codec} ${config.scalabilityMode ?? "L1T1"}`)
  }
  encode(_frame: VideoFrame, { keyFrame }: { keyFrame: boolean }) {
    const { ms, layers = "true", broken } = behaviours[this.#config.codec]!
    const layered = this.#config.scalabilityMode === "L1T2" && layers !== "ignored"
    const number = this.#count++
    const temporalLayerId = !layered ? 0 : layers === "disordered" ? (number < 2 ? 0 : 1) : number % 2
    // A false claim: base frames need the frames between them.
    const chunk = { type: keyFrame ? "key" : "delta", number, needs: layers === "false-claim" ? number - 1 : number - 2 }
    this.#work = this.#work.then(async () => {
      if (this.state === "closed") return
      await vi.advanceTimersByTimeAsync(ms)
      if (broken) this.#init.error(new DOMException("broken", "EncodingError"))
      else this.#init.output(chunk as unknown as EncodedVideoChunk, { svc: { temporalLayerId } } as EncodedVideoChunkMetadata)
    })
  }
  flush() {
    return this.#work
  }
  close() {
    this.state = "closed"
  }
}

class FakeDecoder {
  state: "configured" | "closed" = "configured"
  readonly #have = new Set<number>()
  readonly #init: VideoDecoderInit
  constructor(init: VideoDecoderInit) {
    this.#init = init
  }
  configure() {}
  decode(chunk: { type: string; number: number; needs: number }) {
    if (chunk.type !== "key" && !this.#have.has(chunk.needs)) {
      this.#init.error(new DOMException("a reference is missing", "EncodingError"))
      return
    }
    this.#have.add(chunk.number)
    this.#init.output({ close: () => {} } as VideoFrame)
  }
  async flush() {}
  close() {
    this.state = "closed"
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  vi.stubGlobal("VideoEncoder", FakeEncoder)
  vi.stubGlobal("VideoDecoder", FakeDecoder)
  vi.stubGlobal(
    "VideoFrame",
    class {
      close() {}
    },
  )
  trials = []
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

const AV1 = "av01.0.08M.08"
const VP9 = "vp09.00.40.08"
const options = { width: 64, height: 36, frameRate: 30 }

describe("chooseVideo", () => {
  it("takes AV1 with two layers where it is fast enough", async () => {
    behaviours = { [AV1]: { ms: 12 }, [VP9]: { ms: 5 } }
    const { encoding, config } = await chooseVideo(options)
    expect(encoding).toMatchObject({ codec: AV1, temporalLayers: 2, width: 64, height: 36, frameRate: 30 })
    expect(config).toMatchObject({ codec: AV1, scalabilityMode: "L1T2" })
    expect(trials).toEqual([`${AV1} L1T2`])
  })

  it("goes down the ladder past a codec that is too slow, after a second chance", async () => {
    behaviours = { [AV1]: { ms: 44 }, [VP9]: { ms: 29 }, vp8: { ms: 6 } }
    expect((await chooseVideo(options)).encoding.codec).toBe("vp8")
    expect(trials).toEqual([AV1, AV1, VP9, VP9, "vp8"].map((codec) => `${codec} L1T2`))
  })

  it("takes the fastest when none is fast enough", async () => {
    behaviours = { [AV1]: { ms: 90 }, [VP9]: { ms: 50 }, vp8: { ms: 60 } }
    expect((await chooseVideo(options)).encoding.codec).toBe(VP9)
  })

  it("lets a screen have half the frame rate before it takes a lesser codec", async () => {
    behaviours = { [AV1]: { ms: 44 }, vp8: { ms: 6 } }
    expect((await chooseVideo({ ...options, detail: true })).encoding.codec).toBe(AV1)
  })

  it("believes layers only when base frames can be decoded alone, in the usual order", async () => {
    for (const layers of ["ignored", "false-claim", "disordered"] as const) {
      behaviours = { [AV1]: { ms: 5, layers } }
      const { encoding, config } = await chooseVideo(options)
      expect(encoding.temporalLayers).toBe(1)
      expect(config.scalabilityMode).toBeUndefined()
    }
  })

  it("passes over codecs that fail, are not there, or are not wanted", async () => {
    behaviours = { [AV1]: { ms: 5, broken: true }, [VP9]: { ms: 5 }, avc1: { ms: 1 } }
    expect((await chooseVideo(options)).encoding.codec).toBe(VP9)
    behaviours = { [AV1]: { ms: 5 }, vp8: { ms: 5 }, "avc1.42E028": { ms: 5 } }
    expect((await chooseVideo({ ...options, codecs: ["vp9", "h264"] })).config).toMatchObject({
      codec: "avc1.42E028",
      avc: { format: "annexb" },
    })
    await expect(chooseVideo({ ...options, codecs: ["vp9"] })).rejects.toMatchObject({ code: "MediaUnsupported" })
  })
})
