import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { Opus } from "../../media/opus/opus.ts"
import { opusWasmFile, voicePackets } from "../../media/opus/test-voice.ts"
import { PlayoutRing } from "../../media/playout-ring.ts"
import { SyncGroup } from "../../media/sync-group.ts"
import type { EncodedFrame, PlayoutCommand, PlayoutReport } from "../../media/types.ts"
import { AudioReceiver } from "./audio-stream.ts"
import { FakeAudioDecoder, FakeChunk } from "./fake-codecs.ts"
import type { ReceiveEvent } from "./types.ts"

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance", "Date"] })
  vi.stubGlobal("AudioDecoder", FakeAudioDecoder)
  vi.stubGlobal("EncodedAudioChunk", FakeChunk)
  FakeAudioDecoder.instances = 0
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

/** A microphone, a network and a playout node around one receiver. */
function setUp(group = new SyncGroup(), opus?: Opus) {
  const ring = new PlayoutRing()
  const events: ReceiveEvent[] = []
  const commands: PlayoutCommand["type"][] = []
  let received = 0
  let running = true
  const port = {
    onmessage: null as ((event: { data: PlayoutReport }) => void) | null,
    postMessage(command: PlayoutCommand) {
      commands.push(command.type)
      if (!running) return
      if (command.type === "pcm") {
        received++
        ring.write(command.ptsUs, command.channels, command.discontinuity)
      } else if (command.type === "target") ring.setTarget(command.ms)
      else if (command.type === "adjust") ring.adjust(command.ms)
      else ring.clear()
    },
    close() {},
  }
  const sink = { event: (event: ReceiveEvent) => events.push(event), needKeyframe: () => {} }
  const options = { group: "p", codec: "opus", channels: 1 }
  const receiver = new AudioReceiver("a", options, port as unknown as MessagePort, group, sink, 20, opus)
  const nowUs = () => Math.round((performance.timeOrigin + performance.now()) * 1_000)
  const left = new Float32Array(128)
  const right = new Float32Array(128)
  let quanta = 0
  let due = 0
  const clock = setInterval(() => {
    if (!running) return
    for (due += 4 * 48; due >= 128; due -= 128) {
      ring.read(left, right)
      if (++quanta % 15 === 0) {
        const { ptsUs, bufferedMs, concealedMs, longestGapMs } = ring
        const rms = ptsUs === undefined ? 0 : 0.1
        port.onmessage?.({ data: { type: "played", ptsUs, bufferedMs, rms, received, concealedMs, longestGapMs } })
      }
    }
  }, 4)
  const started = nowUs()
  let frameId = 0
  const packet = (extra: Partial<EncodedFrame> = {}) => {
    const id = frameId++
    const data = Uint8Array.of(id & 255).buffer
    const frame: EncodedFrame = { ptsUs: started + id * 20_000, keyframe: true, temporalId: 0, data, durationMs: 20, ...extra }
    return () => receiver.receive({ type: "frame", streamKey: "a", frameId: id, frame, arrivalUs: nowUs() })
  }
  return {
    receiver,
    ring,
    events,
    commands,
    group,
    packet,
    nowUs,
    suspend: (suspended: boolean) => {
      running = !suspended
    },
    run: (ms: number) => vi.advanceTimersByTimeAsync(ms),
    end: () => {
      clearInterval(clock)
      receiver.close()
    },
  }
}

describe("AudioReceiver", () => {
  it("plays a clean stream without a hole, soon after it arrives", async () => {
    const { receiver, ring, events, nowUs, packet, run, end } = setUp()
    for (let i = 0; i < 100; i++) {
      packet()()
      await run(20)
    }
    expect(ring.concealedMs).toBe(0)
    expect((nowUs() - ring.ptsUs!) / 1_000).toBeLessThan(70)
    expect(events).toContainEqual({ type: "started", streamKey: "a" })
    expect(events.findLast((event) => event.type === "level")).toMatchObject({ speaking: true })
    expect(receiver.stats()).toMatchObject({ frames: 100, decodedFrames: 100, lostFrames: 0, longestGapMs: 0 })
    end()
  })

  it("keeps its time through loss: a lost packet costs its own 20 ms and no delay", async () => {
    const { receiver, ring, nowUs, packet, run, end } = setUp()
    for (let i = 0; i < 500; i++) {
      const deliver = packet()
      if (i % 50 !== 25) setTimeout(deliver, 20 + (i % 7) * 6)
      await run(20)
    }
    await run(40)
    const stats = receiver.stats()
    // The first packets come in the wrong order before anything is known about the jitter, and the buffer begins small.
    expect(stats.lostFrames).toBeLessThanOrEqual(24)
    expect(stats.skippedFrames).toBeLessThanOrEqual(8)
    expect((nowUs() - ring.ptsUs!) / 1_000).toBeLessThan(150)
    expect(ring.concealedMs).toBeLessThan(400)
    end()
  })

  it("plays later when the picture of the same person needs it, and reports what is heard", async () => {
    const { ring, group, nowUs, packet, run, end } = setUp()
    for (let i = 0; i < 50; i++) {
      packet()()
      await run(20)
    }
    const before = nowUs() - ring.ptsUs!
    group.wish("v", "video", group.targetUs()! + 100_000)
    for (let i = 0; i < 400; i++) {
      packet()()
      await run(20)
    }
    const after = nowUs() - ring.ptsUs!
    expect((after - before) / 1_000).toBeGreaterThan(70)
    expect((after - before) / 1_000).toBeLessThan(130)
    expect(Math.abs(group.soundUs(nowUs())! - group.targetUs()!)).toBeLessThan(20_000)
    expect(ring.concealedMs).toBe(0)
    end()
  })

  it("falls silent at once on mute, counts no gap, and speaks again with the first packet after it", async () => {
    const { receiver, ring, events, commands, packet, run, end } = setUp()
    for (let i = 0; i < 50; i++) {
      packet()()
      await run(20)
    }
    receiver.setMuted(true)
    expect(commands.at(-1)).toBe("clear")
    expect(events.at(-1)).toEqual({ type: "level", streamKey: "a", level: 0, speaking: false })
    packet()()
    await run(3_000)
    expect(ring.ptsUs).toBeUndefined()
    packet({ ptsUs: Math.round((performance.timeOrigin + performance.now()) * 1_000), discontinuity: true })()
    await run(20)
    packet({ ptsUs: Math.round((performance.timeOrigin + performance.now()) * 1_000) })()
    await run(20)
    packet({ ptsUs: Math.round((performance.timeOrigin + performance.now()) * 1_000) })()
    await run(20)
    expect(ring.ptsUs).toBeDefined()
    expect(receiver.stats()).toMatchObject({ longestGapMs: 0, concealedMs: 0 })
    end()
  })

  it("sends a bounded number of blocks to a playout node that stands still", async () => {
    const { receiver, commands, suspend, packet, run, end } = setUp()
    suspend(true)
    for (let i = 0; i < 500; i++) {
      packet()()
      await run(20)
    }
    expect(commands.filter((type) => type === "pcm")).toHaveLength(50)
    expect(receiver.stats().skippedFrames).toBe(450)
    end()
  })

  it("makes a new decoder after garbage, and gives up when everything is garbage", async () => {
    const { receiver, events, packet, run, end } = setUp()
    packet()()
    await run(20)
    FakeAudioDecoder.broken = true
    for (let i = 0; i < 3; i++) {
      packet()()
      await run(20)
    }
    FakeAudioDecoder.broken = false
    packet()()
    await run(20)
    expect(receiver.stats()).toMatchObject({ decoderErrors: 3, decodedFrames: 2 })
    FakeAudioDecoder.broken = true
    for (let i = 0; i < 30; i++) {
      packet()()
      await run(20)
    }
    FakeAudioDecoder.broken = false
    expect(events.filter((event) => event.type === "decoder-error")).toHaveLength(9)
    expect(events.findLast((event) => event.type === "decoder-error")).toMatchObject({ fatal: true })
    end()
  })

  it("sounds without a break at 5 % loss when libopus decodes, with the copies in later packets used", async () => {
    const opus = await Opus.load(opusWasmFile())
    const voice = voicePackets(1_000, { fec: true })
    const { receiver, ring, packet, run, end } = setUp(new SyncGroup(), opus)
    let seed = 7
    let lost = 0
    for (const bytes of voice) {
      const deliver = packet({ data: bytes.slice().buffer })
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
      if (seed / 2 ** 31 < 0.05) lost++
      else setTimeout(deliver, 25)
      await run(20)
    }
    await run(40)
    const stats = receiver.stats()
    expect(lost).toBeGreaterThan(30)
    // The ring itself is empty at the first loss, before the buffer has grown, and when three packets in a row are lost.
    expect(ring.concealedMs).toBeLessThan(180)
    // The encoder puts a copy into some two thirds of these packets; a packet lost with its copy stays lost.
    expect(stats.recoveredFrames).toBeGreaterThan(lost * 0.4)
    expect(stats.concealedMs! / (voice.length * 20)).toBeLessThan(0.035)
    end()
  })
})
