/** From the raw material of a call to the figures of a table row. */
import { type PathSlice, SLICE_MS } from "../../e2e/network/path.ts"
import { quantile, round } from "../measure.ts"
import type { BenchRow } from "../subject.ts"
import { HALVED_TARGET, RECOVERED, type Run } from "./run.ts"

/** Two shown frames so far apart are a freeze. */
const FREEZE_MS = 200
/** Steps of the transit histogram in `room.stats()`. */
const TRANSIT_STEP_MS = 10
const EDGE_FRAMES = 3
/** The call has arrived at its rate. */
const RAMPED = 0.8

/** Numbers of one run; absent ones could not be measured. */
export type Figures = Record<string, number>

export function figuresOf(run: Run): Figures {
  const { windowAt, windowMs, watched, scenario } = run
  const inWindow = (at: number) => at >= windowAt && at < windowAt + windowMs
  const first = new Map<number, number>()
  for (const [number, at] of watched.decoded) if (!first.has(number)) first.set(number, at)
  const drawn = run.drawn.filter(([, at]) => inWindow(at))
  const delays = drawn.flatMap(([number, at]) => {
    const seen = first.get(number)
    return seen === undefined ? [] : [seen - at]
  })
  const share = (limit: number) => (100 * delays.filter((delay) => delay <= limit).length) / drawn.length
  const shown = watched.shown.filter(([, at]) => inWindow(at))
  const gaps = shown.slice(1).map(([, at], index) => at - (shown[index]?.[1] ?? at))
  const encoded = encodedBytes(run)
  const heard = run.after.receiver.heardMs - run.before.receiver.heardMs
  const concealed = run.after.receiver.concealedMs - run.before.receiver.concealedMs
  const kbps = (bytes: number) => (bytes * 8) / windowMs
  return {
    ...decodable(run, drawn.length),
    within_100_percent: share(100),
    within_150_percent: share(150),
    within_250_percent: share(250),
    delay_p50_ms: quantile(delays, 0.5),
    delay_p99_ms: quantile(delays, 0.99),
    shown_fps: (new Set(shown.map(([number]) => number)).size * 1_000) / windowMs,
    freezes: gaps.filter((gap) => gap > FREEZE_MS).length,
    longest_gap_ms: Math.max(0, ...gaps),
    concealed_percent: heard > 0 ? (100 * concealed) / heard : Number.NaN,
    media_kbps: kbps(encoded),
    wire_kbps: kbps(run.offeredBytes),
    overhead_percent: scenario.event === "bulk" ? Number.NaN : 100 * (run.offeredBytes / encoded - 1),
    queue_p50_ms: run.queueP50,
    queue_p95_ms: run.queueP95,
    ramp_up_ms: rampUp(run),
    psnr_db: quantile(watched.psnr, 0.5),
    ...eventFigures(run),
    lost_percent: (100 * run.lostPackets) / run.offeredPackets,
    dropped_percent: (100 * run.droppedPackets) / run.offeredPackets,
    drawn_fps: (drawn.length * 1_000) / windowMs,
    rig_late_p99_ms: run.rigLateP99,
  }
}

/** The median of every figure over the repeats, as a row. A figure that no run has is left empty. */
export function rowOf(runs: readonly Figures[], call: string, scenario: string): BenchRow {
  const row: BenchRow = { path: scenario, call }
  for (const name of new Set(runs.flatMap((figures) => Object.keys(figures)))) {
    const values = runs.map((figures) => figures[name] ?? Number.NaN).filter((value) => Number.isFinite(value))
    row[name] = values.length === 0 ? "" : name.endsWith("_percent") ? Number(median(values).toFixed(2)) : round(median(values))
  }
  return row
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Video out of the encoder in the window; where only what arrived is known, what was lost on the way is added. */
function encodedBytes({ before, after, lostPackets, droppedPackets, offeredPackets }: Run): number {
  const arrived = after.receiver.arrivedBytes
  if (arrived === undefined) return after.sender.encodedBytes - before.sender.encodedBytes
  return (arrived - (before.receiver.arrivedBytes ?? 0)) / (1 - (lostPackets + droppedPackets) / offeredPackets)
}

/**
 * Frames whose needed parts were all there so soon after capture, before any buffer for even playing; of all that came or never did,
 * or of all that were drawn where that is more (the edges of the window may cut through a few frames).
 */
function decodable({ before, after }: Run, drawn: number): Figures {
  const [from, to] = [before.receiver, after.receiver]
  if (to.transit === undefined || to.frames === undefined) return {}
  const all = Math.max(to.frames - (from.frames ?? 0), drawn - EDGE_FRAMES)
  const within = (limit: number) => {
    let frames = 0
    for (let step = 0; (step + 1) * TRANSIT_STEP_MS <= limit; step++)
      frames += (to.transit?.[step] ?? 0) - (from.transit?.[step] ?? 0)
    return (100 * frames) / all
  }
  return { decodable_100_percent: within(100), decodable_150_percent: within(150), decodable_250_percent: within(250) }
}

/** From the first picture until 80 % of the capacity, or of the rate of the window when there is none, goes over the wire. */
function rampUp(run: Run): number {
  const [firstNumber] = run.watched.decoded
  if (firstNumber === undefined) return Number.NaN
  const start = firstNumber[1] - run.windowAt + run.windowAtProxy
  const target = Math.min(run.scenario.capacity, (run.offeredBytes * 8_000) / run.windowMs) * RAMPED
  const at = firstAt(run.slices, start, 5, (rate) => rate >= target)
  return Math.max(0, at - start)
}

/** How the call took the change in the middle third. */
function eventFigures({ scenario, slices, windowAtProxy, windowMs, middle, target }: Run): Figures {
  const third = windowMs / 3
  const [changed, back] = [windowAtProxy + third, windowAtProxy + 2 * third]
  if (scenario.event === "halve") {
    const down = firstAt(slices, changed, 3, (rate) => rate <= (scenario.capacity / 2) * HALVED_TARGET, "offeredBytes")
    const up = firstAt(slices, back, 10, (rate) => rate >= scenario.capacity * RECOVERED)
    const settled = slices.filter(({ at }) => at >= changed + 1_500 && at < back).map(({ queueMs }) => queueMs)
    const own = target === undefined ? {} : { target_down_ms: target.downMs, target_back_ms: target.backMs }
    return { ...own, down_ms: down - changed, back_ms: up - back, queue_p95_while_halved_ms: quantile(settled, 0.95) }
  }
  if (middle === undefined) return {}
  return { own_beside_bulk_kbps: (middle.call * 8) / third, bulk_kbps: (middle.bulk * 8) / third }
}

/** End of the first `span` slices after `from` whose rate in bit/s pleases; NaN when there are none. */
function firstAt(
  slices: readonly PathSlice[],
  from: number,
  span: number,
  pleases: (rate: number) => boolean,
  what: "offeredBytes" | "passedBytes" = "passedBytes",
): number {
  const bytes = new Map(slices.map((slice) => [slice.at, slice[what]]))
  const begin = Math.ceil(from / SLICE_MS) * SLICE_MS
  const end = slices.at(-1)?.at ?? 0
  for (let at = begin; at + span * SLICE_MS <= end; at += SLICE_MS) {
    let sum = 0
    for (let index = 0; index < span; index++) sum += bytes.get(at + index * SLICE_MS) ?? 0
    if (pleases((sum * 8_000) / (span * SLICE_MS))) return at + span * SLICE_MS
  }
  return Number.NaN
}
