/** Runs the sections of control-plane vectors on calls, NAT, candidates and directory paths. */
import { deepStrictEqual, strictEqual } from "node:assert"
import { CandidateFilter } from "../../src/rendezvous/candidate-filter.ts"
import { clampedOffsets, classifyNat, type NatClass, pairAction } from "../../src/rendezvous/nat/classify.ts"
import { stickyChoice } from "../../src/rpc/routing.ts"
import { type RpcFailure, retryable } from "../../src/rpc/status.ts"
import { findUnsafePath, type TreeKind, type TreePlatform } from "../../src/store/tree/paths.ts"
import {
  CANDIDATE_PROTOCOLS,
  CANDIDATE_TYPES,
  decodeAddressBlock,
  decodeRpc,
  encodeRpc,
  encodeRpcInto,
  isAvError,
  type RpcFrame,
  type RpcHeader,
  type RpcKind,
  rpcLength,
} from "../../src/wire/index.ts"
import type { RunnerTable } from "../types.ts"
import { expectHex, hex } from "./wire-check.ts"

interface FrameFields {
  kind: string
  flags?: number
  seq?: number
  call_id: string
  service?: string
  timeout_ms?: number
  response_window?: number
  headers?: [string, string][]
  body?: string
  status?: number
  credits?: number
}

const KINDS: Record<string, RpcKind> = {
  REQUEST: "request",
  RESPONSE: "response",
  CANCEL: "cancel",
  DEADLINE_EXCEEDED: "deadline-exceeded",
  STREAM_GRANT: "grant",
  REQUEST_CHUNK: "chunk",
  REQUEST_GRANT: "request-grant",
}

function frameOf(fields: FrameFields): RpcFrame {
  const kind = KINDS[fields.kind]
  if (kind === undefined) throw new Error(`kind ${fields.kind} of the case`)
  const head = { flags: fields.flags ?? 0, seq: fields.seq ?? 0, callId: BigInt(fields.call_id) }
  const body = hex(fields.body ?? "")
  const headers: RpcHeader[] = (fields.headers ?? []).map(([name, value]) => ({ name, value: hex(value) }))
  switch (kind) {
    case "request": {
      const { service = "", timeout_ms: timeoutMs = 0, response_window: responseWindow = 0 } = fields
      return { kind, ...head, service, timeoutMs, responseWindow, headers, body }
    }
    case "response":
      return { kind, ...head, status: fields.status ?? 0, headers, body }
    case "chunk":
      return { kind, ...head, body }
    case "grant":
    case "request-grant":
      return { kind, ...head, credits: fields.credits ?? 0 }
    default:
      return { kind, ...head }
  }
}

function rpcFrame(c: { fields?: FrameFields; bytes: string; error?: string; any_error?: boolean }): void {
  const bytes = hex(c.bytes)
  let decoded: RpcFrame
  try {
    decoded = decodeRpc(bytes)
  } catch (error) {
    if (!isAvError(error)) throw error
    if (c.any_error !== true) strictEqual(error.name, c.error)
    return
  }
  strictEqual(c.error, undefined, "decoded")
  strictEqual(c.any_error ?? false, false, "decoded")
  expectHex(encodeRpc(decoded), c.bytes)
  if (c.fields === undefined) return
  const frame = frameOf(c.fields)
  expectHex(encodeRpc(frame), c.bytes)
  const buffer = new Uint8Array(rpcLength(frame) + 3)
  strictEqual(encodeRpcInto(frame, buffer, 2), buffer.length - 1)
  expectHex(buffer.subarray(2, -1), c.bytes)
}

interface CandidatesCase {
  cands: { addr: string; typ: number; proto: number; priority: number }[]
  peer_attested: string[]
  own_attested: string[]
  relay_allow: string[]
  kept: number[]
  reasons: (string | null)[]
}

function candidates(c: CandidatesCase): void {
  const blocks = (list: string[]) => list.map((block) => decodeAddressBlock(hex(block)))
  const filter = new CandidateFilter({
    peerAttested: blocks(c.peer_attested),
    ownAttested: blocks(c.own_attested),
    relayAllow: blocks(c.relay_allow),
  })
  const entries = c.cands.map(({ addr, typ, proto, priority }) => {
    const [type, protocol] = [CANDIDATE_TYPES[typ], CANDIDATE_PROTOCOLS[proto]]
    if (type === undefined || protocol === undefined) throw new Error("candidate of the case")
    return { address: decodeAddressBlock(hex(addr)), type, protocol, priority }
  })
  deepStrictEqual(filter.filter(entries), { kept: c.kept, reasons: c.reasons })
}

interface ClassifyCase {
  observations: { observer: number; observer_ip: string; mapped: string }[]
  host_addrs: string[]
  override: boolean
  dial_back: boolean
  result: string | null
}

function classify(c: ClassifyCase): void {
  const verdict = classifyNat({
    observations: c.observations.map(({ observer, observer_ip, mapped }) => ({
      observer,
      observerIp: observer_ip,
      mapped: decodeAddressBlock(hex(mapped)),
    })),
    hostAddresses: c.host_addrs.map((block) => decodeAddressBlock(hex(block))),
    override: c.override,
    dialBack: c.dial_back,
  })
  strictEqual(verdict?.class ?? null, c.result)
}

interface PathsCase {
  entries: { path: string; kind: TreeKind; target?: string }[]
  platform: TreePlatform
  ok: boolean
  offending?: number | string
}

function dirPaths(c: PathsCase): void {
  const found = findUnsafePath(c.entries, c.platform)
  strictEqual(found === undefined, c.ok, found?.fault)
  if (typeof c.offending === "number") strictEqual(found?.index, c.offending)
  if (typeof c.offending === "string") strictEqual(c.entries[found?.index ?? -1]?.path, c.offending)
}

export const runners: RunnerTable = {
  "control-plane": {
    rpc_frames: rpcFrame,
    retryable: (c: { error: RpcFailure; result: boolean }) => strictEqual(retryable(c.error), c.result),
    sticky: (c: { key: string; nodes: string[]; result: string | null }) =>
      strictEqual(stickyChoice(BigInt(c.key), c.nodes) ?? null, c.result),
    candidates,
    classify,
    pair_action: (c: { local: NatClass; remote: NatClass; result: string }) =>
      strictEqual(pairAction(c.local, c.remote), c.result),
    clamped_offsets: (c: { fire_at: string; now: string; deadline: string; result: string[] }) =>
      deepStrictEqual(clampedOffsets(BigInt(c.fire_at), BigInt(c.now), BigInt(c.deadline)).map(String), c.result),
    dir_paths: dirPaths,
  },
}
