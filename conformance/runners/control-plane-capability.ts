/** Runs the control-plane sections on certificates, floors, announcements and the gates. */
import { deepStrictEqual, strictEqual } from "node:assert"
import {
  AnnouncementReceiver,
  CapabilityCounters,
  CapabilityIndex,
  callerGate,
  decodeAnnouncement,
  encodeAnnouncement,
  encodeAnnouncementBody,
  formatAnnouncementJson,
  mayExecute,
  mayExecuteBatch,
  type PolicyView,
  parseAnnouncementJson,
  parseMembership,
  requireGenuine,
  restrictMembership,
  type ServiceIndex,
  serviceTag,
  signAnnouncement,
  stampedTtl,
} from "../../src/capability/index.ts"
import { ed25519PublicKey, ed25519Sign, labelledMessage, sha256Sync } from "../../src/crypto/index.ts"
import {
  FloorTable,
  isCertLive,
  PinTable,
  signFloorRecord,
  verifyFloorRecord,
  verifyMembershipCert,
} from "../../src/identity/index.ts"
import {
  addressFromText,
  type Bytes,
  decodeAddressBlock,
  decodeMembershipCert,
  isAvError,
  type NodeId,
  parseNodeId,
  toHex,
} from "../../src/wire/index.ts"
import type { RunnerTable } from "../types.ts"
import { expectHex, hex } from "./wire-check.ts"

interface FailingCase {
  error?: string
  any_error?: boolean
}

/** Runs `action`; true when it failed the way the case says, false when it succeeded as it should. */
export async function failedAsExpected(c: FailingCase, action: () => unknown): Promise<boolean> {
  let failure: string | undefined
  try {
    await action()
  } catch (error) {
    if (!isAvError(error)) throw error
    failure = error.name
  }
  if (c.any_error === true) strictEqual(failure !== undefined, true, "an error")
  else strictEqual(failure, c.error)
  return failure !== undefined
}

interface CertCase extends FailingCase {
  bytes: string
  claimer: string
  now: number
  skew: number
  valid: boolean
  id?: string
  kind?: number
}

async function cert(c: CertCase): Promise<void> {
  let valid = false
  try {
    const proven = await verifyMembershipCert(hex(c.bytes), hex(c.claimer))
    valid = isCertLive(proven, BigInt(c.now), c.skew)
    if (c.id !== undefined) expectHex(proven.id, c.id)
    if (c.kind !== undefined) strictEqual(proven.kind, c.kind === 1 ? "subnet" : "group")
  } catch (error) {
    if (!isAvError(error)) throw error
    if (c.error !== undefined && c.any_error !== true) strictEqual(error.name, c.error)
  }
  strictEqual(valid, c.valid)
  if (valid) strictEqual(toHex(decodeMembershipCert(hex(c.bytes)).cert.member), c.claimer)
}

interface FloorCase extends FailingCase {
  bytes: string
  valid?: boolean
  seed?: string
  fields?: { entity: string; generation: number; issued_ms: string }
}

async function floor(c: FloorCase): Promise<void> {
  const expected = c.valid === false && c.error === undefined ? { any_error: true } : c
  if (await failedAsExpected(expected, () => verifyFloorRecord(hex(c.bytes)))) return
  const record = await verifyFloorRecord(hex(c.bytes))
  if (c.fields !== undefined) {
    expectHex(record.entity, c.fields.entity)
    strictEqual(record.generation, c.fields.generation)
    strictEqual(record.issuedMs.toString(), c.fields.issued_ms)
  }
  if (c.seed === undefined) return
  const signer = { entityId: ed25519PublicKey(hex(c.seed)), ...signerOf(hex(c.seed)) }
  expectHex(await signFloorRecord(signer, record.generation, Number(record.issuedMs)), c.bytes)
}

const signerOf = (seed: Bytes) => ({ signEd25519: (message: Bytes) => ed25519Sign(seed, message) })

interface AnnouncementFields {
  node_id: string
  entity_id: string
  version: string
  issued_ms: string
  ttl_s: number
  tags?: string[]
  metadata?: Record<string, string>
  reflex?: string[]
  generation?: number
  allowed_nodes?: string[]
  allowed_subnets?: string[]
  allowed_groups?: string[]
  certs?: string[]
  flags?: number
  pq_hash?: string
}
interface AnnouncementCase extends FailingCase {
  seed?: string
  hop?: number
  fields?: AnnouncementFields
  body?: string
  payload: string
  json?: string
  transcript_sha256?: string
}

function addressOf(text: string) {
  if (/^[0-9a-f]{38}$/.test(text)) return decodeAddressBlock(hex(text))
  const colon = text.lastIndexOf(":")
  const block = addressFromText(text.slice(0, colon).replace(/^\[|\]$/g, ""), Number(text.slice(colon + 1)))
  if (block === undefined) throw new Error("address of the case")
  return block
}

function announcementOf(f: AnnouncementFields) {
  return {
    nodeId: f.node_id,
    entityId: hex(f.entity_id),
    version: BigInt(f.version),
    issuedMs: BigInt(f.issued_ms),
    ttlSeconds: f.ttl_s,
    tags: f.tags ?? [],
    metadata: new Map(Object.entries(f.metadata ?? {})),
    reflex: (f.reflex ?? []).map(addressOf),
    generation: f.generation ?? 0,
    allowedNodes: f.allowed_nodes ?? [],
    allowedSubnets: (f.allowed_subnets ?? []).map(hex),
    allowedGroups: (f.allowed_groups ?? []).map(hex),
    certs: (f.certs ?? []).map(hex),
    strictMembership: ((f.flags ?? 0) & 1) !== 0,
    pqHash: hex(f.pq_hash ?? "00".repeat(32)),
    extensions: new Map(),
  }
}

async function announcement(c: AnnouncementCase): Promise<void> {
  const read = async () => requireGenuine(decodeAnnouncement(hex(c.payload)))
  if (await failedAsExpected(c, read)) return
  const signed = await read()
  if (c.hop !== undefined) strictEqual(signed.hopCount, c.hop)
  if (c.body !== undefined) expectHex(signed.body, c.body)
  if (c.transcript_sha256 !== undefined) expectHex(sha256Sync(labelledMessage("mesh/ann/v1", signed.body)), c.transcript_sha256)
  expectHex(encodeAnnouncementBody(signed.announcement), toHex(signed.body))
  if (c.fields !== undefined && c.seed !== undefined) {
    const made = await signAnnouncement(announcementOf(c.fields), signerOf(hex(c.seed)))
    expectHex(encodeAnnouncement({ ...made, hopCount: c.hop ?? 0 }), c.payload)
  }
  if (c.json === undefined) return
  strictEqual(formatAnnouncementJson(signed), c.json)
  const parsed = await requireGenuine(parseAnnouncementJson(c.json))
  expectHex(parsed.body, toHex(signed.body))
}

function membership(c: { tags: string[]; subnet: string | null; groups: string[]; collapsed: boolean }): void {
  // The order of tags must not matter.
  for (const tags of [c.tags, [...c.tags].reverse(), [...c.tags].sort()]) {
    const found = parseMembership(tags)
    strictEqual(found.subnet === undefined ? null : toHex(found.subnet), c.subnet)
    deepStrictEqual(found.groups.map(toHex), c.groups)
    strictEqual(found.collapsed, c.collapsed)
  }
}

interface WorldEntry {
  node: string
  tags: string[]
  allowed_nodes: string[]
  allowed_subnets: string[]
  allowed_groups: string[]
  strict: boolean
  proven_subnets: string[]
  proven_groups: string[]
  expires: number | string
}

class World implements ServiceIndex {
  readonly #entries = new Map<NodeId, WorldEntry>()

  constructor(entries: readonly WorldEntry[]) {
    for (const entry of entries) this.#entries.set(entry.node, entry)
  }

  view(node: NodeId, now: number): PolicyView | undefined {
    const entry = this.#entries.get(node)
    if (entry === undefined || now >= Number(entry.expires)) return undefined
    const declared = parseMembership(entry.tags)
    return {
      hasTag: (tag) => entry.tags.includes(tag),
      allowedNodes: entry.allowed_nodes,
      allowedSubnets: entry.allowed_subnets.map(hex),
      allowedGroups: entry.allowed_groups.map(hex),
      strict: entry.strict,
      declared,
      proven: () => restrictMembership(declared, entry.proven_subnets.map(hex), entry.proven_groups.map(hex)),
    }
  }

  findServiceNodes(service: string, now: number, options: { self?: NodeId; includeSelf?: boolean } = {}): NodeId[] {
    const nodes = [...this.#entries.keys()].filter((node) => this.view(node, now)?.hasTag(serviceTag(service)) === true)
    return nodes.filter((node) => options.includeSelf === true || node !== options.self).sort()
  }
}

interface MayExecuteCase {
  now: number
  entries: WorldEntry[]
  queries: { target: string; tag: string; caller: string; allow: boolean }[]
}

function mayExecuteCase(c: MayExecuteCase): void {
  const world = new World(c.entries)
  for (const { target, tag, caller, allow } of c.queries) {
    strictEqual(mayExecute(world, target, tag, caller, c.now), allow, `${caller} at ${target}`)
    deepStrictEqual(mayExecuteBatch(world, [target, target], tag, caller, c.now), [allow, allow])
  }
}

interface CallServiceCase {
  now: number
  world: WorldEntry[]
  self: string
  service: string
  unhealthy?: string[]
  include_self?: boolean
  result: unknown
}

function callService(c: CallServiceCase): void {
  const options = {
    self: c.self,
    includeSelf: c.include_self === true,
    isUnhealthy: (node: NodeId) => (c.unhealthy ?? []).includes(node),
  }
  deepStrictEqual(callerGate(new World(c.world), c.service, options, c.now), c.result)
}

interface AcceptCase {
  self: string
  skew?: number
  steps: { payload: string; from: string; at: number; outcome: string; forward: number | null }[]
  pins: Record<string, string>
  floors?: Record<string, number>
  index: Record<string, { version: string; tags: string[]; metadata: Record<string, string>; expires: number }>
  index_at?: number
}

async function acceptSequence(c: AcceptCase): Promise<void> {
  const [index, pins, floors] = [new CapabilityIndex(), new PinTable(), new FloorTable()]
  const self = parseNodeId(c.self) as NodeId
  const receiver = new AnnouncementReceiver({
    self,
    index,
    pins,
    floors,
    counters: new CapabilityCounters(),
    isNeighbour: () => false,
    rateLimits: false,
    ...(c.skew === undefined ? {} : { skewSeconds: c.skew }),
  })
  for (const [i, step] of c.steps.entries()) {
    const result = await receiver.receive(hex(step.payload), step.from, Number(step.at))
    strictEqual(result.outcome, step.outcome, `step ${i}`)
    strictEqual(result.forward?.hopCount ?? null, step.forward, `step ${i} forward`)
  }
  strictEqual(pins.size, Object.keys(c.pins).length)
  for (const [node, entity] of Object.entries(c.pins)) expectHex(pins.get(node) ?? new Uint8Array(), entity)
  for (const [entity, generation] of Object.entries(c.floors ?? {})) strictEqual(floors.get(hex(entity)), generation)
  const at = c.index_at ?? Number(c.steps.at(-1)?.at ?? 0)
  const live = index.freshest(at).map(({ node, announcement, metadata, expiresAt }) => {
    const { version, tags } = announcement
    return [node, { version: version.toString(), tags, metadata: Object.fromEntries(metadata), expires: expiresAt }]
  })
  deepStrictEqual(Object.fromEntries(live), c.index)
}

function ttl(c: { reannounce_ms: number | string | null; min_announce_ms: number; ttl_s?: number; result?: number }): void {
  const disabled = c.reannounce_ms === null || typeof c.reannounce_ms === "string"
  const interval = disabled ? Number.POSITIVE_INFINITY : Number(c.reannounce_ms)
  strictEqual(stampedTtl(interval, c.min_announce_ms), c.ttl_s ?? c.result)
}

export const runners: RunnerTable = {
  "control-plane": {
    certs: cert,
    floors: floor,
    announcements: announcement,
    membership,
    may_execute: mayExecuteCase,
    call_service: callService,
    accept_sequence: acceptSequence,
    ttl,
  },
}
