/** Glass-to-glass latency of holomesh beside a plain RTCPeerConnection: same pages, same picture, in turns. */
import type { Page } from "@playwright/test"
import { quantile, round } from "../measure.ts"
import type { BenchRow, Result } from "../subject.ts"

/** For bandwidth estimation and jitter buffers to settle. */
const WARM_UP_MS = 4_000

interface Samples {
  latencies: number[]
  encodeMs: number[]
  bufferMs: number[]
  watchedMs: number
  size: string
}

interface Call {
  name: string
  start(sender: Page, receiver: Page): Promise<void>
  stop(sender: Page, receiver: Page): Promise<void>
}

const holomesh: Call = {
  name: "holomesh (AV1, RaptorQ, sealed twice)",
  async start(sender, receiver) {
    const url = await sender.evaluate(() => globalThis.bench.newRoom())
    await sender.evaluate((room) => globalThis.bench.publish(room), url)
    await receiver.evaluate((room) => globalThis.bench.receive(room), url)
  },
  async stop(sender, receiver) {
    await Promise.all([sender, receiver].map((page) => page.evaluate(() => globalThis.bench.leave())))
  },
}

const plainCall = (codec: string): Call => ({
  name: `RTCPeerConnection, ${codec}`,
  async start(sender, receiver) {
    const offer = await sender.evaluate((name) => globalThis.bench.plainOffer(name), codec)
    const answer = await receiver.evaluate((sdp) => globalThis.bench.plainAnswer(sdp), offer)
    await sender.evaluate((sdp) => globalThis.bench.plainConnect(sdp), answer)
  },
  async stop(sender, receiver) {
    await Promise.all([sender, receiver].map((page) => page.evaluate(() => globalThis.bench.plainClose())))
  },
})

/** `turns` times each call, `watchMs` per turn. */
export async function measureLatency(
  openPage: () => Promise<{ page: Page; close(): Promise<void> }>,
  turns: number,
  watchMs: number,
): Promise<Result> {
  const [one, two] = [await openPage(), await openPage()]
  const [sender, receiver] = [one.page, two.page]
  try {
    const codecs = ["VP8", "AV1"]
    const able = await sender.evaluate((names) => names.filter((name) => globalThis.bench.canSend(name)), codecs)
    const calls = [...able.map(plainCall), holomesh]
    const samples = new Map<Call, Samples>(calls.map((call) => [call, emptySamples()]))
    const [sentError, seenError] = await Promise.all([sender, receiver].map(clockError))
    const offset = (seenError ?? 0) - (sentError ?? 0)
    for (let turn = 0; turn < turns; turn++) {
      for (const call of turn % 2 === 0 ? calls : [...calls].reverse()) {
        await watchOnce(call, sender, receiver, watchMs, offset, samples.get(call) as Samples)
      }
    }
    return {
      name: "latency",
      title: "Glass to glass beside a plain RTCPeerConnection",
      note: `A canvas of 640×360 at 30 frames per second carries a number; the time from drawing it to the frame callback of the other browser's video element that shows it. Two browser processes on one machine, ${turns} turns of ${watchMs / 1_000} s in changing order, ${WARM_UP_MS / 1_000} s of warm-up each, at most 700 kbit/s, no audio. The two clocks differed by ${Math.abs(offset).toFixed(2)} ms, which is taken out; what remains is below 0.2 ms. Frames are drawn and shown at ticks of 16.7 ms. Encoding and jitter buffer are what each call says of itself in its statistics: the plain call the mean of all frames, holomesh its current values.`,
      rows: calls.map((call) => rowOf(call, samples.get(call) as Samples)),
    }
  } finally {
    await Promise.all([one.close(), two.close()])
  }
}

async function watchOnce(
  call: Call,
  sender: Page,
  receiver: Page,
  watchMs: number,
  offset: number,
  samples: Samples,
): Promise<void> {
  await call.start(sender, receiver)
  await receiver.waitForTimeout(WARM_UP_MS)
  const { seen, width, height } = await receiver.evaluate((ms) => globalThis.bench.watch(ms), watchMs)
  const drawnAt = new Map(await sender.evaluate(() => globalThis.bench.takeDrawn()))
  const [sent, received] = await Promise.all([sender, receiver].map((page) => page.evaluate(() => globalThis.bench.stages())))
  await call.stop(sender, receiver)
  if (sent?.encodeMs !== undefined) samples.encodeMs.push(sent.encodeMs)
  if (received?.bufferMs !== undefined) samples.bufferMs.push(received.bufferMs)
  const first = new Map<number, number>()
  for (const { number, at } of seen) if (!first.has(number)) first.set(number, at)
  for (const [number, at] of first) {
    const drawn = drawnAt.get(number)
    if (drawn !== undefined) samples.latencies.push(at + offset - drawn)
  }
  samples.watchedMs += watchMs
  samples.size = `${width}×${height}`
}

function emptySamples(): Samples {
  return { latencies: [], encodeMs: [], bufferMs: [], watchedMs: 0, size: "" }
}

function clockError(page: Page): Promise<number> {
  return page.evaluate(() => globalThis.bench.wallClockError())
}

function rowOf(call: Call, { latencies, encodeMs, bufferMs, watchedMs, size }: Samples): BenchRow {
  return {
    call: call.name,
    frames: latencies.length,
    median_ms: round(quantile(latencies, 0.5)),
    p95_ms: round(quantile(latencies, 0.95)),
    fastest_ms: round(Math.min(...latencies)),
    encode_ms: round(quantile(encodeMs, 0.5)),
    jitter_buffer_ms: round(quantile(bufferMs, 0.5)),
    frames_per_second: round((latencies.length * 1_000) / watchedMs),
    picture: size,
  }
}
