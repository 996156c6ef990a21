/** Runs the multicast sections of av-mesh vectors: capacity, room, planner, heal. */
import { deepStrictEqual, strictEqual } from "node:assert"
import type { HealAction } from "../../src/alm/heal.ts"
import { MultiParentSubscription } from "../../src/alm/heal.ts"
import { ReferenceSubscription } from "../../src/alm/heal-reference.ts"
import { type JoinPlan, type ParentCandidate, planJoin, planJoinForSubstream } from "../../src/alm/index.ts"
import { planJoinReference } from "../../src/alm/planner-reference.ts"
import { ed25519PublicKey, ed25519Sign, ed25519Verify } from "../../src/crypto/ed25519.ts"
import { sha256Sync } from "../../src/crypto/hash.ts"
import { DedupRing } from "../../src/seal/inner/dedup.ts"
import {
  capacityCanonicalBytes,
  checkCapacity,
  concatBytes,
  fromHex,
  hasRoomFor,
  hasRoomForSubstream,
  isAvError,
  isStale,
  isStaleReference,
  type ReceiverLayerPolicy,
  type RelayCapacity,
  toHex,
} from "../../src/wire/index.ts"
import type { CaseRunner, RunnerTable } from "../types.ts"

interface PolicyCase {
  max_spatial: number
  max_temporal: number
  max_quality: number
}
interface CapacityCase {
  uplink_mbps: number
  uplink_mbps_hex?: string
  max_streams: number
  max_subscribers_per_stream: number
  measured_at_unix_ms: string | number
  max_layer_supported: PolicyCase
  sub_stream_commitments?: {
    sub_stream_path: number[]
    uplink_budget_mbps: number
    uplink_budget_mbps_hex?: string
    max_subscribers: number
  }[]
}
interface CandidateCase {
  advertiser_key_id: string
  capacity: CapacityCase
  reachability_ratio?: number | null
  rtt_ms_estimate?: number | null
  current_subscribers?: number | null
}

const policyOf = (c: PolicyCase): ReceiverLayerPolicy => ({
  maxSpatial: c.max_spatial,
  maxTemporal: c.max_temporal,
  maxQuality: c.max_quality,
})

/** The bits, where a case gives them: JSON cannot write every binary32 (a negative zero, say). */
function rate(value: number, bits: string | undefined): number {
  if (bits === undefined) return value
  const bytes = fromHex(bits)
  return new DataView(bytes.buffer, bytes.byteOffset).getFloat32(0)
}

function capacityOf(c: CapacityCase): RelayCapacity {
  return {
    uplinkMbps: rate(c.uplink_mbps, c.uplink_mbps_hex),
    maxStreams: c.max_streams,
    maxSubscribersPerStream: c.max_subscribers_per_stream,
    measuredAtUnixMs: BigInt(c.measured_at_unix_ms),
    maxLayerSupported: policyOf(c.max_layer_supported),
    subStreamCommitments: (c.sub_stream_commitments ?? []).map((commitment) => ({
      subStreamPath: Uint8Array.from(commitment.sub_stream_path),
      uplinkBudgetMbps: rate(commitment.uplink_budget_mbps, commitment.uplink_budget_mbps_hex),
      maxSubscribers: commitment.max_subscribers,
    })),
  }
}

/** A bitrate that JSON cannot write is given by its name, or as null. */
const bitrateOf = (value: number | string | null) => (value === null ? Number.NaN : Number(value))

/** What `action` returns, or the error that it raises as a case writes it. */
function outcome<T>(action: () => T): T | { error: string } {
  try {
    return action()
  } catch (error) {
    if (isAvError(error)) return { error: error.code, ...error.details }
    throw error
  }
}

const canonical: CaseRunner = async (c) => {
  const capacity = checkCapacity(capacityOf(c.capacity))
  const bytes = capacityCanonicalBytes(capacity, fromHex(c.stream_id), BigInt(c.epoch))
  strictEqual(toHex(bytes), c.canonical)
  strictEqual(bytes.length, c.length)
  if (c.ed25519_seed === undefined) return
  const seed = fromHex(c.ed25519_seed)
  const publicKey = ed25519PublicKey(seed)
  strictEqual(toHex(publicKey), c.ed25519_pub)
  const signature = await ed25519Sign(seed, bytes)
  strictEqual(toHex(signature), c.ed25519_sig)
  strictEqual(await ed25519Verify(publicKey, bytes, fromHex(c.ed25519_sig)), true)
  strictEqual(toHex(sha256Sync(concatBytes(bytes, signature))), c.ml_dsa_message_sha256)
}

const stale: CaseRunner = (c) => {
  const [measuredAt, now] = [BigInt(c.measured_at_unix_ms), BigInt(c.now)]
  strictEqual(isStaleReference(measuredAt, now), c.reference, "reference")
  strictEqual(isStale(measuredAt, now), c.project, "project")
}

function expectRoom(answer: () => boolean, c: { room?: boolean; error?: string }): void {
  const found = outcome(answer)
  if (c.error === undefined) strictEqual(found, c.room)
  else strictEqual(typeof found === "object" ? found.error : found, c.error)
}

const room: CaseRunner = (c) => {
  const capacity = capacityOf({
    max_streams: 1,
    measured_at_unix_ms: 0,
    max_layer_supported: { max_spatial: 0, max_temporal: 0, max_quality: 0 },
    ...c.capacity,
    uplink_mbps: c.uplink_mbps ?? c.capacity?.uplink_mbps,
    max_subscribers_per_stream: c.max_subscribers_per_stream ?? c.capacity?.max_subscribers_per_stream,
  })
  expectRoom(() => hasRoomFor(capacity, bitrateOf(c.bitrate_mbps), c.current), c)
}

const roomSubstream: CaseRunner = (c) => {
  const path = Uint8Array.from(c.path)
  expectRoom(() => hasRoomForSubstream(capacityOf(c.capacity), path, bitrateOf(c.bitrate_mbps), c.current), c)
}

const candidatesOf = (list: CandidateCase[]): ParentCandidate[] =>
  list.map((c) => ({
    signedCapacity: { advertiserKeyId: c.advertiser_key_id, capacity: capacityOf(c.capacity) },
    reachabilityRatio: c.reachability_ratio ?? undefined,
    rttMsEstimate: c.rtt_ms_estimate ?? undefined,
    currentSubscribers: c.current_subscribers ?? undefined,
  }))

function expectPlan(plan: () => JoinPlan, expected: { error?: string; primary?: string; backups?: string[] }): void {
  const found = outcome(plan)
  if ("error" in found) {
    strictEqual(found.error, expected.error ?? "a plan")
    return
  }
  deepStrictEqual({ primary: found.primaryParent, backups: found.backupParents }, expected)
}

const pathOf = (path: number[] | null | undefined) => (path === null || path === undefined ? undefined : Uint8Array.from(path))

const plannerReference: CaseRunner = (c) => {
  const [candidates, policy, now] = [candidatesOf(c.candidates), policyOf(c.policy), BigInt(c.now)]
  expectPlan(() => planJoinReference(candidates, pathOf(c.sub_stream_path), bitrateOf(c.bitrate_mbps), policy, now), c.result)
}

const plannerProject: CaseRunner = (c) => {
  const [candidates, policy, now] = [candidatesOf(c.candidates), policyOf(c.policy), BigInt(c.now)]
  const options = { exclude: c.exclude ?? [], ...(c.stream_max_layer === null ? {} : { streamMaxLayer: c.stream_max_layer }) }
  const [path, bitrate] = [pathOf(c.sub_stream_path), bitrateOf(c.bitrate_mbps)]
  const plan = (list: ParentCandidate[]) =>
    path === undefined
      ? planJoin(list, bitrate, policy, now, options)
      : planJoinForSubstream(list, path, bitrate, policy, now, options)
  expectPlan(() => plan(candidates), c.result)
  // D-26.1: the answer must not depend on the order of the input.
  expectPlan(() => plan([...candidates].reverse()), c.result)
}

const healTexts = (actions: readonly HealAction[]): string[] =>
  actions.map((action) => (action.kind === "reParent" ? `ReParent:${action.dead}` : "UpstreamRebuildRequired"))

interface HealStep {
  op: Record<string, unknown>
  result: unknown
  primary: string | null
  backups: string[]
  active: string[]
}

const at = (value: unknown) => Number(value)

function expectState(step: HealStep, index: number, result: unknown, state: Omit<HealStep, "op" | "result">): void {
  const { op, ...expected } = step
  deepStrictEqual({ result, ...state }, { ...expected }, `step ${index} ${JSON.stringify(op)}`)
}

const healReference: CaseRunner = (c) => {
  const machine = new ReferenceSubscription(
    { primaryParent: c.primary, backupParents: c.backups },
    new DedupRing(c.ring_capacity),
  )
  for (const [index, step] of (c.steps as HealStep[]).entries()) {
    const [[name, value] = []] = Object.entries(step.op)
    const list = value as [string, ...unknown[]]
    let result: unknown = null
    if (name === "tick") result = healTexts(machine.tick(at(value)))
    else if (name === "observe") {
      result = machine.observe(list[0], BigInt(list[1] as string), BigInt(list[2] as string), at(list[3]))
    } else if (name === "add") machine.addParent(list[0], at(list[1]))
    else if (name === "remove") machine.removeParent(value as string)
    else if (name === "promote") machine.promoteToPrimary(value as string)
    else throw new Error(`unknown step ${name}`)
    const { primaryParent, backupParents, activeParents } = machine
    expectState(step, index, result, { primary: primaryParent, backups: backupParents, active: activeParents })
  }
}

const healProject: CaseRunner = (c) => {
  const plan = { primaryParent: c.primary ?? undefined, backupParents: c.backups }
  const machine = new MultiParentSubscription(new Uint8Array(32), new Uint8Array(), plan, at(c.now), new DedupRing())
  for (const [index, step] of (c.steps as HealStep[]).entries()) {
    const [[name, value] = []] = Object.entries(step.op)
    const list = value as [string, ...unknown[]]
    let result: unknown = null
    if (name === "tick") result = healTexts(machine.tick(at(value)))
    else if (name === "heard") result = machine.heard(list[0], at(list[1]))
    else if (name === "observe") {
      result = machine.observe(list[0], BigInt(list[1] as string), BigInt(list[2] as string), at(list[3]))
    } else if (name === "add") machine.addParent(list[0], at(list[1]))
    else if (name === "remove") machine.removeParent(list[0], at(list[1]))
    else if (name === "promote") result = machine.promoteToPrimary(value as string)
    else throw new Error(`unknown step ${name}`)
    const { primaryParent, backupParents, activeParents } = machine
    const state = { primary: primaryParent ?? null, backups: [...backupParents], active: activeParents }
    expectState(step, index, result, state)
  }
}

export const runners: RunnerTable = {
  "av-mesh": {
    capacity_canonical: canonical,
    is_stale: stale,
    has_room: room,
    has_room_substream: roomSubstream,
    planner_reference: plannerReference,
    planner_project: plannerProject,
    heal_reference: healReference,
    heal_project: healProject,
  },
}
