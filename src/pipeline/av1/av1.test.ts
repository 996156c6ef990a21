import createModule from "ogv/dist/ogv-decoder-video-av1-simd-wasm.js"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import { Av1Decoder } from "../../media/av1/index.ts"
import { av1WasmFile, clipUnits } from "../../media/av1/test-clip.ts"
import { AvError } from "../../wire/errors.ts"
import { Av1Client, type Av1Port } from "./client.ts"
import { Av1Service, MAX_AV1_DECODERS } from "./service.ts"
import type { FromAv1Worker, ToAv1Worker } from "./types.ts"

/** As much of a `VideoFrame` as is asked here. */
class Picture {
  static open = 0
  readonly timestamp: number
  readonly codedWidth: number
  constructor(_: Uint8Array, { timestamp, codedWidth }: VideoFrameBufferInit) {
    this.timestamp = timestamp
    this.codedWidth = codedWidth
    Picture.open++
  }
  close() {
    Picture.open--
  }
}

beforeEach(() => {
  Picture.open = 0
  vi.stubGlobal("VideoFrame", Picture)
})
afterEach(() => vi.unstubAllGlobals())

/** Both ends, with what goes between them. */
function setUp(load: () => Promise<Av1Decoder> = () => Av1Decoder.load(createModule, av1WasmFile())) {
  const said: FromAv1Worker[] = []
  const service = new Av1Service(load, (message) => {
    said.push(message)
    port.onmessage?.({ data: message } as MessageEvent)
  })
  let work: Promise<unknown> = Promise.resolve()
  const port: Av1Port = {
    onmessage: null,
    postMessage: (message: ToAv1Worker) => {
      const taken = service.take(message)
      work = Promise.all([work, taken])
    },
    close: () => undefined,
  }
  const client = new Av1Client(port)
  const output: number[] = []
  const failures: string[] = []
  const sink = {
    output: (picture: VideoFrame) => {
      output.push(picture.timestamp)
      picture.close()
    },
    failed: (cause: unknown) => failures.push((cause as Error).message),
    dequeued: vi.fn(),
  }
  return { service, client, sink, output, failures, said, idle: () => work }
}

const frames = () =>
  clipUnits().map((unit, index) => ({ ptsUs: 1_000 * index, keyframe: index === 0, temporalId: 0, data: unit.slice().buffer }))

describe("AV1 in a worker of its own", () => {
  test("pictures come in order, with their times, and the queue empties", async () => {
    const { client, sink, output, idle } = setUp()
    await client.check()
    const decoder = client.decoder(sink)
    for (const frame of frames()) decoder.decode(frame)
    expect(decoder.queueSize).toBe(6)
    await idle()
    expect(output).toEqual([0, 1_000, 2_000, 3_000, 4_000, 5_000])
    expect(decoder.queueSize).toBe(0)
    expect(sink.dequeued).toHaveBeenCalledTimes(6)
    expect(Picture.open).toBe(0)
  })

  test("a frame whose reference is missing ends that decoder and no other", async () => {
    const { client, sink, output, failures, idle } = setUp()
    const [broken, whole] = [client.decoder(sink), client.decoder(sink)]
    const [key, next] = frames()
    broken.decode(next!)
    broken.decode(key!)
    whole.decode(key!)
    whole.decode(next!)
    await idle()
    expect(failures).toHaveLength(1)
    expect(output).toEqual([0, 1_000])
  })

  test("nothing comes out of a closed decoder, and its pictures are closed", async () => {
    const { client, sink, output, idle } = setUp()
    const decoder = client.decoder(sink)
    for (const frame of frames()) decoder.decode(frame)
    decoder.close()
    decoder.close()
    await idle()
    expect(output).toEqual([])
    expect(Picture.open).toBe(0)
  })

  test("a module that does not run here is told before a stream depends on it", async () => {
    const { client } = setUp(() => Promise.reject(new AvError("MediaUnsupported", { missing: "WebAssembly SIMD" })))
    await expect(client.check()).rejects.toMatchObject({ code: "MediaUnsupported" })
  })

  test("decoders are bounded", async () => {
    const { client, sink, failures, idle } = setUp()
    const all = Array.from({ length: MAX_AV1_DECODERS + 1 }, () => client.decoder(sink))
    await idle()
    expect(failures).toHaveLength(1)
    all[0]!.close()
    await client.check()
  })

  test("a worker that could not be loaded: what waits is refused, what runs fails, later ones are refused", async () => {
    const { client, sink, failures } = setUp(() => new Promise(() => undefined))
    const waiting = client.check()
    client.decoder(sink)
    client.close()
    await expect(waiting).rejects.toMatchObject({ code: "MediaUnsupported" })
    expect(failures).toHaveLength(1)
    expect(() => client.decoder(sink)).toThrow(expect.objectContaining({ code: "HandleClosedError" }))
  })
})
