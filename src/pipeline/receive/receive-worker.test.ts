import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { MeshToReceive } from "../../media/types.ts"
import { FakeChunk, FakeDecoder, FakePicture, fakeWritable } from "./fake-codecs.ts"
import { ReceiveWorker } from "./receive-worker.ts"
import type { ReceiveEvent } from "./types.ts"

const FRAME_US = 33_333

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance", "Date"] })
  vi.stubGlobal("VideoDecoder", FakeDecoder)
  vi.stubGlobal("EncodedVideoChunk", FakeChunk)
  FakePicture.open = 0
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** A port whose other end is the test. */
function fakePort() {
  const said: unknown[] = []
  const port = {
    onmessage: null as ((event: { data: unknown }) => void) | null,
    postMessage: (m: unknown) => said.push(m),
    close() {},
  }
  return { port: port as unknown as MessagePort, said, tell: (data: unknown) => port.onmessage?.({ data }) }
}

/** A track on which stream "old" is shown; pictures come 30 times a second, in both encodings once "new" is added. */
async function track() {
  const worker = new ReceiveWorker()
  const mesh = fakePort()
  const events = fakePort()
  worker.setMeshPort(mesh.port)
  worker.setEventPort(events.port)
  const written: number[] = []
  const options = { group: "p", codec: "vp8", temporalLayers: 1 }
  await worker.addVideo("old", options, fakeWritable(written) as unknown as WritableStream<VideoFrame>)
  let picture = 0
  const began = new Map<string, number>()
  const play = async (pictures: number, ...streams: string[]) => {
    for (let i = 0; i < pictures; i++, picture++) {
      for (const streamKey of streams) {
        const first = began.get(streamKey) ?? picture
        began.set(streamKey, first)
        const frameId = picture - first
        const data = Uint8Array.of(frameId & 255, frameId === 0 ? 0 : (frameId - 1) & 255, 0, 0).buffer
        const frame = { ptsUs: picture * FRAME_US, keyframe: frameId === 0, temporalId: 0, data }
        const arrivalUs = Math.round((performance.timeOrigin + performance.now()) * 1_000)
        mesh.tell({ type: "frame", streamKey, frameId, frame, arrivalUs } satisfies MeshToReceive)
      }
      await vi.advanceTimersByTimeAsync(33)
    }
  }
  const started = () => (events.said as ReceiveEvent[]).filter(({ type }) => type === "started").map((event) => event.streamKey)
  return { worker, written, options, play, started }
}

describe("ReceiveWorker: another encoding takes over a track", () => {
  it("without a gap, from its first picture on, and the old one is at its end", async () => {
    const { worker, written, options, play, started } = await track()
    await play(30, "old")
    await worker.addReplacement("new", options, "old")
    // Nothing of the new one yet: the old one plays on.
    await play(10, "old")
    expect(started()).toEqual(["old"])
    await play(20, "old", "new")
    expect(started()).toEqual(["old", "new"])
    await play(20, "new")
    await vi.advanceTimersByTimeAsync(300)
    expect(written).toEqual(written.toSorted((a, b) => a - b))
    const steps = written.slice(1).map((pts, index) => pts - written[index]!)
    expect(Math.max(...steps)).toBeLessThanOrEqual(3 * FRAME_US)
    expect(written.at(-1)).toBe(79 * FRAME_US)
    const after = worker.stats().find(({ streamKey }) => streamKey === "old")!.renderedFrames
    expect(after).toBeLessThan(60)
    worker.removeStream("old")
    await play(5, "new")
    await vi.advanceTimersByTimeAsync(300)
    expect(written.at(-1)).toBe(84 * FRAME_US)
    worker.close()
    expect(FakePicture.open).toBe(0)
  })

  it("and can be called off before it shows anything", async () => {
    const { worker, written, options, play } = await track()
    await play(10, "old")
    await worker.addReplacement("new", options, "old")
    worker.removeStream("new")
    await play(10, "old")
    await vi.advanceTimersByTimeAsync(300)
    expect(written).toEqual(Array.from({ length: 20 }, (_, i) => i * FRAME_US))
    worker.close()
  })

  it("only where there is a track", async () => {
    const { worker, options } = await track()
    await expect(worker.addReplacement("new", options, "nothing")).rejects.toMatchObject({ code: "TrackUnknown" })
    worker.close()
  })
})
