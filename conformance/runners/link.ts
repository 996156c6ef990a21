/** Runs the link-lanes sections about lane set-up, reports, assignment, repair, lane policy and queues. */
import { deepStrictEqual, strictEqual } from "node:assert"
import { signerFromSeeds } from "../../src/identity/signer.ts"
import { LaneAssigner, type LaneLoad } from "../../src/link/lane-assigner.ts"
import {
  audioCopies,
  laneCapacity,
  publisherRepair,
  type RepairInputs,
  relayForwards,
  repairSymbols,
} from "../../src/link/lane-capacity.ts"
import { laneHealth } from "../../src/link/lane-health.ts"
import { openLaneKey, signLaneKey } from "../../src/link/lane-key.ts"
import { type LaneDemand, LanePolicy, laneCount, laneLimit } from "../../src/link/lane-policy.ts"
import { NackReceiver, NackSender } from "../../src/link/nack.ts"
import { Pacer, type SendClass } from "../../src/link/pacer.ts"
import { RateController, silence, silentRate } from "../../src/link/rate-controller.ts"
import { ReportDigester } from "../../src/link/rate-digest.ts"
import { ReportBuilder } from "../../src/link/report-builder.ts"
import { type QueuedChunk, shed } from "../../src/link/shed.ts"
import { fromHex, toHex } from "../../src/wire/bytes.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { LaneBlock } from "../../src/wire/lane-block.ts"
import { decodeLaneMessage, encodeLaneNack, encodeLaneReport } from "../../src/wire/lane-message.ts"
import type { RunnerTable } from "../types.ts"

interface BlockJson {
  lane_id: number
  ufrag: string
  pwd: string
  candidates: { index: number; port: number }[]
}
interface LaneJson {
  lane_id: number
  buffered: number
}
interface DemandJson {
  rate: number
  p: number
  rtt: number
  cap: number
  open: number
  laneLimited: boolean
}
interface ChildJson {
  p: number
  rtt: number
  run: number
  losses: number
}

const blockJson = (block: LaneBlock): BlockJson => ({
  lane_id: block.laneId,
  ufrag: block.ufrag,
  pwd: block.pwd,
  candidates: block.candidates,
})
const loads = (lanes: LaneJson[]): LaneLoad[] => lanes.map((lane) => ({ laneId: lane.lane_id, buffered: lane.buffered }))
const demand = (json: DemandJson): LaneDemand => ({
  rate: json.rate,
  loss: json.p,
  rttMs: json.rtt,
  cap: json.cap,
  open: json.open,
  laneLimited: json.laneLimited,
})
const child = (json: ChildJson): Omit<RepairInputs, "k" | "keyframe"> => ({
  loss: json.p,
  rttMs: json.rtt,
  run: json.run,
  losses: json.losses,
})

function expectClose(actual: number | undefined, expected: number | null, what: string): void {
  if (expected === null) strictEqual(actual, undefined, what)
  else if (actual === undefined || Math.abs(actual - expected) > Math.abs(expected) * 1e-6) {
    throw new Error(`${what}: ${actual} is not ${expected}`)
  }
}

interface Key8Case {
  name: string
  seed?: string
  entity_id: string
  description: string
  listed: number
  key8: string
  result: BlockJson[] | "dropped"
}

async function laneKey8(c: Key8Case): Promise<void> {
  const description = fromHex(c.description)
  let opened: LaneBlock[] | "dropped"
  try {
    opened = await openLaneKey(fromHex(c.key8), description, fromHex(c.entity_id), c.listed)
  } catch (error) {
    if (!isAvError(error, "LaneBlockInvalid")) throw error
    opened = "dropped"
  }
  deepStrictEqual(opened === "dropped" ? opened : opened.map(blockJson), c.result)
  if (c.name !== "right" || c.seed === undefined || opened === "dropped") return
  const signer = await signerFromSeeds(fromHex(c.seed))
  const made = await signLaneKey(description, opened, signer)
  strictEqual(made && toHex(made), c.key8)
}

type ReportStep =
  | { lane_id: number; lane_seq: number; sent_us: number; at_us: number; bytes: number; counted: boolean }
  | { report_at_us: number; report: string | null }

function reportBuilder(c: { steps: ReportStep[] }): void {
  const builder = new ReportBuilder()
  for (const step of c.steps) {
    if ("report" in step) {
      const report = builder.build(step.report_at_us)
      strictEqual(report === undefined ? null : toHex(encodeLaneReport(report)), step.report)
    } else {
      strictEqual(builder.receive(step.lane_id, step.lane_seq, step.sent_us, step.at_us, step.bytes), step.counted)
    }
  }
}

function assign(c: { steps: { lanes: LaneJson[]; lane: number | null }[] }): void {
  const assigner = new LaneAssigner()
  for (const step of c.steps) strictEqual(assigner.choose(loads(step.lanes))?.laneId ?? null, step.lane)
}

function repairTable(c: { k: number; p: number[]; fast: number[]; slow: number[] }): void {
  const row = (rttMs: number) => c.p.map((loss) => repairSymbols({ k: c.k, loss, rttMs, run: 1, losses: 0, keyframe: false }))
  deepStrictEqual([row(90), row(91)], [c.fast, c.slow])
}

interface PacerCase {
  rate: number
  steps: { now: number; put: { id: number; class: SendClass; len: number }[]; sent: number[] }[]
}

function pacer(c: PacerCase): void {
  const queue = new Pacer<number>()
  for (const step of c.steps) {
    for (const message of step.put) queue.put(message.id, message.class, message.len)
    deepStrictEqual(queue.step(step.now, c.rate), step.sent)
  }
}

interface NackReceiverCase {
  rtt_ms: number
  steps: { now: number; lane_id?: number; lane_seq?: number; nacks: string[] }[]
}

function nackReceiver(c: NackReceiverCase): void {
  const receiver = new NackReceiver()
  for (const step of c.steps) {
    if (step.lane_id !== undefined && step.lane_seq !== undefined) receiver.receive(step.lane_id, step.lane_seq)
    const nacks = receiver.due(step.now, c.rtt_ms).map((nack) => toHex(encodeLaneNack(nack.laneId, nack.laneSeqs)))
    deepStrictEqual(nacks, step.nacks)
  }
}

interface NackSenderStep {
  now: number
  sent?: { lane_id: number; lane_seq: number; frame_at: number; class: string; len: number }
  nack?: { lane_id: number; lane_seqs: number[] }
  lanes?: LaneJson[]
  playout?: { delay_ms: number; rtt_ms: number }
  results?: string[]
}

function nackSender(c: { rate: number; steps: NackSenderStep[] }): void {
  const sender = new NackSender<string>(new LaneAssigner())
  for (const { now, sent, nack, lanes, playout, results } of c.steps) {
    if (sent !== undefined) {
      const item = sent.class === "padding" ? undefined : sent.class
      sender.sent({ laneId: sent.lane_id, laneSeq: sent.lane_seq, frameAt: sent.frame_at, length: sent.len, item }, now)
    }
    if (nack === undefined) continue
    const told = playout && { playout: { delayMs: playout.delay_ms, rttMs: playout.rtt_ms } }
    const conditions = { now, rate: c.rate, lanes: loads(lanes ?? []), ...told }
    const outcomes = sender.answer({ laneId: nack.lane_id, laneSeqs: nack.lane_seqs }, conditions)
    deepStrictEqual(
      outcomes.map((outcome) => (outcome.kind === "resend" ? `lane ${outcome.laneId}` : outcome.kind)),
      results,
    )
  }
}

interface CountCase extends DemandJson {
  result: { need: number; want: number; limit: number | null }
}

function countLanes(c: CountCase): void {
  const { need, want, limit } = laneCount(demand(c))
  deepStrictEqual({ need, want }, { need: c.result.need, want: c.result.want })
  expectClose(limit, c.result.limit, "limit")
}

interface PolicyStep extends DemandJson {
  now: number
  result: { want: number; action: "add" | "remove" | null }
}

function lanePolicy(c: { steps: PolicyStep[] }): void {
  const policy = new LanePolicy()
  for (const step of c.steps) {
    const { want, action } = policy.evaluate(step.now, demand(step))
    deepStrictEqual({ want, action: action ?? null }, { want: step.result.want, action: step.result.action })
  }
}

interface HealthCase {
  pc: RTCPeerConnectionState
  channel_open: boolean
  no_rise_ms: number
  others_rose: boolean
  buffered_stuck_ms: number
  suspect_ms: number
  result: string
}

function health(c: HealthCase): void {
  const signs = {
    connection: c.pc,
    channelOpen: c.channel_open,
    noRiseMs: c.no_rise_ms,
    othersRose: c.others_rose,
    bufferedStuckMs: c.buffered_stuck_ms,
    suspectMs: c.suspect_ms,
  }
  strictEqual(laneHealth(signs), c.result)
}

interface DigestJson {
  q: number
  rtt: number
  got: number
  lost: number
  rx: number
}
interface TraceStep extends Partial<DigestJson> {
  now: number
  report: string
  limited?: boolean
  result?: "old" | "alive"
  rate?: number
  mode?: string
}

/** The digest of one report against the figures of a step; a queueing delay may be the difference of two large numbers. */
function expectDigest(actual: DigestJson, expected: Partial<DigestJson>, at: string): void {
  for (const name of ["q", "rtt", "got", "lost", "rx"] as const)
    expectClose(actual[name], expected[name] ?? null, `${name} ${at}`)
}

function rateTrace(c: { start_rate: number; steps: TraceStep[] }): void {
  const digester = new ReportDigester()
  const controller = new RateController(c.start_rate)
  for (const step of c.steps) {
    const at = `at ${step.now}`
    const report = decodeLaneMessage(fromHex(step.report))
    if (report.type !== "report") throw new Error(`no report ${at}`)
    const result = digester.take(report, step.now)
    strictEqual(result.kind, step.result ?? "digest", at)
    if ("digest" in result) {
      expectDigest(result.digest, step, at)
      controller.feed({ ...result.digest, now: step.now, limited: step.limited ?? false })
    }
    if (step.rate !== undefined) expectClose(controller.rate, step.rate, `rate ${at}`)
    if (step.mode !== undefined) strictEqual(controller.mode, step.mode, `mode ${at}`)
  }
}

interface ControllerStep extends DigestJson {
  now: number
  rt: number
  limited: boolean
  rate: number
  mode: string
}

function rateController(c: { start_rate?: number; steps: ControllerStep[] }): void {
  const controller = new RateController(c.start_rate)
  for (const { now, rt, q, rtt, got, lost, rx, limited, rate, mode } of c.steps) {
    controller.feed({ now, q, rtt, got, lost, rx, receiverMs: rt, limited })
    expectClose(controller.rate, rate, `rate at ${now}`)
    strictEqual(controller.mode, mode, `mode at ${now}`)
  }
}

interface SilenceCase {
  rate: number
  rtt_ms: number
  silent_ms: number
  result: { rate: number; suspected_dead: boolean }
}

function rateSilence(c: SilenceCase): void {
  expectClose(silentRate(c.rate, c.rtt_ms, c.silent_ms), c.result.rate, "rate")
  strictEqual(silence(c.rtt_ms, c.silent_ms).dead, c.result.suspected_dead)
}

export const runners: RunnerTable = {
  "link-lanes": {
    lane_key8: laneKey8,
    report_builder: reportBuilder,
    rate_trace: rateTrace,
    rate_controller: rateController,
    rate_silence: rateSilence,
    assign,
    repair_table: repairTable,
    repair_symbols: (c: ChildJson & { k: number; keyframe: boolean; r: number }) =>
      strictEqual(repairSymbols({ ...child(c), k: c.k, keyframe: c.keyframe }), c.r),
    publisher_repair: (c: { k: number; keyframe: boolean; children: ChildJson[]; r: number }) =>
      strictEqual(publisherRepair(c.k, c.keyframe, c.children.map(child)), c.r),
    relay_repair: (c: { child_r: number; qualities: number[]; forward: boolean[] }) =>
      deepStrictEqual(
        c.qualities.map((quality) => relayForwards(quality, c.child_r)),
        c.forward,
      ),
    audio_copies: (c: { p: number; copies: number; second_after_ms: number | null }) => {
      const { copies, secondAfterMs } = audioCopies(c.p)
      deepStrictEqual([copies, secondAfterMs ?? null], [c.copies, c.second_after_ms])
    },
    lane_cap: (c: { rtt_ms: number; p: number; bits_per_s: number | null }) => {
      const capacity = laneCapacity(c.rtt_ms, c.p)
      // JSON cannot write that nothing limits.
      expectClose(Number.isFinite(capacity) ? capacity : undefined, c.bits_per_s, "capacity")
    },
    lane_count: countLanes,
    lane_limit: (c: { media_links: number; cap: number }) => strictEqual(laneLimit(c.media_links), c.cap),
    lane_policy: lanePolicy,
    pacer,
    shed: (c: { role: "publisher" | "relay"; stale_ms: number; now: number; queue: QueuedChunk[]; drop: number[] }) =>
      deepStrictEqual(shed(c.role, c.queue, c.now, c.stale_ms), c.drop),
    nack_receiver: nackReceiver,
    nack_sender: nackSender,
    lane_health: health,
  },
}
