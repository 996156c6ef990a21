/** One call over one path: starts it, impairs it, and writes down what happened. */
import type { Page } from "@playwright/test"
import type { PathSlice } from "../../e2e/network/path.ts"
import type { ImpairmentProxy, ProxyPeer } from "../../e2e/network/proxy.ts"
import { type PathProof, provePath } from "../../e2e/network/rig.ts"
import { type Call, endCall, startBulk, stopBulk } from "./calls.ts"
import type { Counters } from "./page.ts"
import type { Scenario } from "./scenario.ts"
import type { Sighting, Watched } from "./watcher.ts"

/** The capacity was halved: shares of the half that count as gone down to, and of the whole as come back to. */
export const HALVED_TARGET = 1.05
export const RECOVERED = 0.85
/** From the start of the call to the measured window. */
const WARM_UP_MS = 5_000
/** Frames drawn at the end of the window may come so much later. */
const AFTERWARDS_MS = 1_500

export interface Side {
  page: Page
  peer: ProxyPeer
  /** Loads the page anew: nothing of the call before is left. */
  refresh(): Promise<void>
}

/** Byte counts of a phase at the receiver. */
interface PhaseBytes {
  call: number
  bulk: number
}

/** How soon the sender's own target followed a change of capacity, ms; NaN where it cannot be seen or never did. */
interface TargetTimes {
  downMs: number
  backMs: number
}

/** Raw material of one call. Times of pages are on the sender's wall clock, those of the path on the proxy's. */
export interface Run {
  call: string
  scenario: Scenario
  windowMs: number
  drawn: Sighting[]
  watched: Watched
  /** Begin of the window on the sender's wall clock, and on the proxy's. */
  windowAt: number
  windowAtProxy: number
  before: { sender: Counters; receiver: Counters }
  after: { sender: Counters; receiver: Counters }
  /** Of the sender's uplink, from the start of the call on. */
  slices: PathSlice[]
  queueP50: number
  queueP95: number
  offeredPackets: number
  offeredBytes: number
  lostPackets: number
  droppedPackets: number
  /** Received in the middle third, with a competing transfer only. */
  middle?: PhaseBytes
  /** With halved capacity only. */
  target?: TargetTimes
  proof: PathProof
  /** How late the rig itself was, ms: 99 of 100 packets less than that. */
  rigLateP99: number
}

export async function runCall(
  call: Call,
  scenario: Scenario,
  windowMs: number,
  sides: { proxy: ImpairmentProxy; sender: Side; receiver: Side },
): Promise<Run> {
  const { proxy, sender, receiver } = sides
  await Promise.all([sender.refresh(), receiver.refresh()])
  const oneWay = { loss: scenario.loss, burst: scenario.burst, delayMs: scenario.rttMs / 2, jitterMs: scenario.jitterMs }
  sender.peer.change({ ...oneWay, capacity: scenario.capacity, queueMs: scenario.queueMs })
  receiver.peer.change(oneWay)
  const uplink = sender.peer.uplink
  uplink.takeSlices()
  proxy.lateness.clear()
  const [senderError, receiverError] = await both(sides, (page) => page.evaluate(() => globalThis.networkBench.wallClockError()))
  const offset = receiverError - senderError

  await call.start(sender.page, receiver.page, scenario.bitrate)
  await receiver.page.waitForTimeout(WARM_UP_MS)
  const readCounters = async () => {
    const [ofSender, ofReceiver] = await both(sides, (page) => page.evaluate(() => globalThis.networkBench.counters()))
    return { sender: ofSender, receiver: ofReceiver }
  }
  const before = await readCounters()
  uplink.waits.clear()
  const start = { ...uplink.counters }
  const windowAtProxy = performance.now()
  const windowAt = await sender.page.evaluate(() => globalThis.networkBench.wallClock())
  const { middle, target } = await passWindow(scenario, windowMs, sender, receiver)
  const after = await readCounters()
  const end = { ...uplink.counters }
  const [queueP50, queueP95] = [uplink.waits.quantile(0.5), uplink.waits.quantile(0.95)]
  await receiver.page.waitForTimeout(AFTERWARDS_MS)
  const proof = await provePath(sender.page, proxy, sender.peer, [receiver.peer])
  const watched = await receiver.page.evaluate(() => globalThis.networkBench.take())
  const drawn = await sender.page.evaluate(() => globalThis.networkBench.takeDrawn())
  const slices = uplink.takeSlices()
  await endCall(sender.page, receiver.page)
  if (watched === undefined) throw new Error(`${call.name}: the receiver watched nothing`)
  if (proof.direct > 0) throw new Error(`${call.name}: ${proof.direct} connections went past the proxy`)
  const onSenderClock = (sightings: Sighting[]): Sighting[] => sightings.map(([number, at]) => [number, at + offset])
  return {
    call: call.name,
    scenario,
    windowMs,
    drawn,
    watched: { ...watched, decoded: onSenderClock(watched.decoded), shown: onSenderClock(watched.shown) },
    windowAt,
    windowAtProxy,
    before,
    after,
    slices,
    queueP50,
    queueP95,
    offeredPackets: end.offeredPackets - start.offeredPackets,
    offeredBytes: end.offeredBytes - start.offeredBytes,
    lostPackets: end.lostPackets - start.lostPackets,
    droppedPackets: end.droppedPackets - start.droppedPackets,
    ...(middle !== undefined && { middle }),
    ...(target !== undefined && { target }),
    proof,
    rigLateP99: proxy.lateness.quantile(0.99),
  }
}

/** Lets the window pass, with what is to happen in its middle third. */
async function passWindow(
  scenario: Scenario,
  windowMs: number,
  sender: Side,
  receiver: Side,
): Promise<{ middle?: PhaseBytes; target?: TargetTimes }> {
  const third = windowMs / 3
  const wait = (ms: number) => receiver.page.waitForTimeout(ms)
  if (scenario.event === "none") {
    await wait(windowMs)
    return {}
  }
  await wait(third)
  if (scenario.event === "halve") {
    const reaches = (least: number, most: number) =>
      sender.page.evaluate(([from, to, ms]) => globalThis.networkBench.targetReaches(from, to, ms), [least, most, third] as const)
    sender.peer.change({ capacity: scenario.capacity / 2 })
    const [downMs] = await Promise.all([reaches(0, (HALVED_TARGET * scenario.capacity) / 2), wait(third)])
    sender.peer.change({ capacity: scenario.capacity })
    const [backMs] = await Promise.all([reaches(RECOVERED * scenario.capacity, Number.MAX_VALUE), wait(third)])
    return { target: { downMs, backMs } }
  }
  await startBulk(sender.page, receiver.page)
  const begin = await receivedBytes(receiver.page)
  await wait(third)
  const end = await receivedBytes(receiver.page)
  await stopBulk(sender.page, receiver.page)
  await wait(third)
  return { middle: { call: end.call - begin.call, bulk: end.bulk - begin.bulk } }
}

/** Everything that arrived at the page, the transfer apart from the call. */
async function receivedBytes(page: Page): Promise<PhaseBytes> {
  const paths = await page.evaluate(() => globalThis.impairment.paths())
  const bulk = await page.evaluate(() => globalThis.networkBench.bulkBytes())
  return { bulk, call: paths.reduce((sum, { bytesReceived }) => sum + bytesReceived, 0) - bulk }
}

async function both<T>(sides: { sender: Side; receiver: Side }, ask: (page: Page) => Promise<T>): Promise<[T, T]> {
  return Promise.all([ask(sides.sender.page), ask(sides.receiver.page)])
}
