/**
 * Writes `conformance/vectors/link-lanes-rate.json`: what the digest and the rate controller make of reports (link-lanes LL-11,
 * LL-12, LL-22). The figures come from the product itself, after it agreed with the published code of LL-12 over 240 000
 * random digests; they hold it in place from then on. Deterministic.
 */
import { createHash } from "node:crypto"
import { writeFile } from "node:fs/promises"
import { RateController, silence, silentRate } from "../../src/link/rate-controller.ts"
import { ReportDigester } from "../../src/link/rate-digest.ts"
import { toHex } from "../../src/wire/bytes.ts"
import { encodeLaneReport, type LaneReportEntry } from "../../src/wire/lane-message.ts"

let drawn = 0
/** Pseudo-random, 0 ≤ x < 1. */
function random(): number {
  const digest = createHash("sha256").update(`holomesh rate vectors ${drawn++}`).digest()
  return digest.readUInt32BE(0) / 2 ** 32
}
const below = (limit: number) => Math.floor(random() * limit)
const u32 = (value: number) => ((Math.floor(value) % 2 ** 32) + 2 ** 32) % 2 ** 32

interface Phase {
  until: number
  q: number
  loss: number
}

function trace(name: string, offsetUs: number, lanes: number[], phases: Phase[]) {
  const digester = new ReportDigester()
  const controller = new RateController(500_000)
  const counters = new Map(lanes.map((lane) => [lane, { sent: 2 ** 24 - 30 * lane, received: 0, bytes: 0 }]))
  const steps: Record<string, unknown>[] = []
  let reportSeq = 65_530
  let now = 100
  for (const { until, q, loss } of phases) {
    for (; now < until; now += 50 + 5 * below(2)) {
      const entries: LaneReportEntry[] = []
      for (const [laneId, counter] of counters) {
        let count = below(6)
        for (let sent = count; sent > 0; sent--) {
          counter.sent += 1
          if (random() < loss) count -= 1
        }
        counter.received += count
        counter.bytes += count * 1_090
        const minDelayUs = u32(25_000 + offsetUs + 1_000 * q + 400 * below(10))
        const highest = (counter.sent - 1) & 0xffffff
        if (counter.received > 0) {
          entries.push({ laneId, highest, received: counter.received, bytes: counter.bytes, minDelayUs, count, spread: below(9) })
        }
      }
      if (entries.length === 0) continue
      if (random() < 0.96) reportSeq = (reportSeq + 1) & 0xffff
      const report = { reportSeq, nowUs: u32(now * 1_000 + offsetUs - 25_000), entries }
      const result = digester.take(report, now)
      const step: Record<string, unknown> = { now, report: toHex(encodeLaneReport(report)) }
      if ("digest" in result) {
        const limited = random() < 0.1
        const { q, rtt, got, lost, rx } = result.digest
        controller.feed({ ...result.digest, now, limited })
        Object.assign(step, { q, rtt, got, lost, rx, ...(limited && { limited }) })
      } else step.result = result.kind
      steps.push({ ...step, rate: controller.rate, mode: controller.mode })
    }
  }
  return { name, start_rate: 500_000, steps }
}

function controllerCase(phases: Phase[]) {
  const controller = new RateController()
  const steps: Record<string, unknown>[] = []
  let now = 0
  let rx = 0
  for (const phase of phases) {
    while (now < phase.until) {
      now += below(12) === 0 ? 300 : 50
      const q = Math.max(0, phase.q + below(12) - 6)
      const got = 4 + below(20)
      const lost = random() < phase.loss * 8 ? below(4) : 0
      const limited = below(15) === 0
      rx += got * 1_200
      const input = { now, q, rtt: 60 + q, got, lost, rx }
      controller.feed({ ...input, receiverMs: now, limited })
      steps.push({ ...input, rt: now, limited, rate: controller.rate, mode: controller.mode })
    }
  }
  return { steps }
}

const phases = (...list: [number, number, number][]): Phase[] => list.map(([until, q, loss]) => ({ until, q, loss }))
const sections = {
  rate_trace: [
    trace("full, then free", 0, [1, 2, 3], phases([1_500, 0, 0], [2_400, 35, 0.02], [4_500, 2, 0])),
    trace(
      "clocks wrap both ways",
      2 ** 32 - 27_000_000 + 2 ** 31,
      [2, 4],
      phases([1_200, 1, 0.05], [1_900, 70, 0.3], [3_000, 12, 0]),
    ),
  ],
  rate_controller: [
    controllerCase(phases([1_000, 2, 0], [2_500, 40, 0.02], [4_500, 30, 0.05], [7_000, 3, 0.01])),
    controllerCase(phases([900, 0, 0], [1_300, 90, 0], [3_500, 4, 0.2], [5_000, 15, 0])),
  ],
  rate_silence: [
    [1_200_000, 20, 299],
    [1_200_000, 20, 300],
    [1_200_000, 180, 459],
    [1_200_000, 180, 1_360],
    [160_000, 180, 1_501],
  ].map(([rate = 0, rtt_ms = 0, silent_ms = 0]) => ({
    rate,
    rtt_ms,
    silent_ms,
    result: { rate: silentRate(rate, rtt_ms, silent_ms), suspected_dead: silence(rtt_ms, silent_ms).dead },
  })),
}
const note = "Own cases for the digest of reports and the rate controller; see conformance/generate/link-rate.ts."
const file = { format: "link-lanes-vectors/1", note, sections }
await writeFile(new URL("../vectors/link-lanes-rate.json", import.meta.url), `${JSON.stringify(file)}\n`)
