/** The streams that this node hands on: who may have them, what they need from above, and when they end. */
import { KEYFRAME_REQUEST_GAP_MS, KeyframeGate } from "../../membership/keyframe-gate.ts"
import { POLICY_GAP_MS } from "../../membership/policy-merge.ts"
import { RelayLedger } from "../../relay/index.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy, SealProfile } from "../../wire/types.ts"
import type { Inflow } from "../mesh/hop/inbound.ts"
import { streamKeyOf } from "../mesh/stream-key.ts"
import type { MeshAnswer, MeshEvent, MeshRelayOptions, MeshRelayStats, MeshSubscriber } from "../mesh/types.ts"
import { RelayedStream } from "./relayed-stream.ts"

const MAX_STREAMS = 64
const MAX_SUBSCRIBERS = 32
const MAX_SUBSCRIBERS_PER_STREAM = 16
/** What a stream is taken to need before it was measured, Mbit/s. */
const EXPECTED_MBPS = 0.5
/** Children that found no source here in this time are told so, ms (D-45). */
const NO_UPSTREAM_MS = 5_000
/** After the last child the stream is kept up for this time, in case another one comes; ms. */
const LINGER_MS = 3_000
/** Books are brought in line with what was measured this often, ms. */
const MEASURE_MS = 500

interface Entry {
  stream: RelayedStream
  streamId: Bytes
  via: readonly PeerKeyId[]
  /** Since when no parent brings it, ms. */
  dryAt: number
  emptyAt: number | undefined
  told: ReceiverLayerPolicy | undefined
  toldAt: number
}

export class RelayedStreams {
  readonly #options: MeshRelayOptions
  readonly #io: { now(): number; emit(event: MeshEvent): void }
  readonly #parents: (streamKey: string) => readonly Inflow[]
  readonly #entries = new Map<string, Entry>()
  readonly #profiles = new Map<string, SealProfile>()
  readonly #gates = new Map<string, KeyframeGate>()
  readonly #ledger: RelayLedger
  readonly #refused: Record<string, number> = {}
  #measuredAt = Number.NEGATIVE_INFINITY

  constructor(
    options: MeshRelayOptions | undefined,
    io: { now(): number; emit(event: MeshEvent): void },
    parents: (streamKey: string) => readonly Inflow[],
    uplinkBitrate?: number,
  ) {
    this.#options = options ?? { enabled: false }
    this.#io = io
    this.#parents = parents
    const { maxStreams, maxSubscribers, maxSubscribersPerStream } = this.#options
    this.#ledger = new RelayLedger({
      maxStreams: maxStreams ?? MAX_STREAMS,
      maxSubscribers: maxSubscribers ?? MAX_SUBSCRIBERS,
      maxSubscribersPerStream: maxSubscribersPerStream ?? MAX_SUBSCRIBERS_PER_STREAM,
    })
    this.limitUplink(uplinkBitrate)
  }

  /** What all of this node may send, bit/s: nothing is taken on beyond it, nor beyond what was set aside for handing on. */
  limitUplink(bitrate = Number.POSITIVE_INFINITY): void {
    this.#ledger.limitUplink(Math.min(bitrate, this.#options.uplinkBitrate ?? Number.POSITIVE_INFINITY) / 1e6)
  }

  /** For all copies that leave this node, bit/s. */
  get uplinkLimit(): number {
    return (this.#ledger.limits.uplinkMbps ?? Number.POSITIVE_INFINITY) * 1e6
  }

  get enabled(): boolean {
    return this.#options.enabled
  }

  get(streamKey: string): RelayedStream | undefined {
    return this.#entries.get(streamKey)?.stream
  }

  all(): RelayedStream[] {
    return [...this.#entries.values()].map(({ stream }) => stream)
  }

  /** Why this peer cannot have the stream now, by the limits of this relay. @param ownMbps what copies of own streams take of the uplink */
  refusal(streamKey: string, peer: PeerKeyId, ownMbps = 0): MeshAnswer | undefined {
    const mbps = this.#mbps(streamKey)
    const { uplinkMbps = Number.POSITIVE_INFINITY } = this.#ledger.limits
    const full = ownMbps > 0 && this.#ledger.mbps + ownMbps + mbps > uplinkMbps && !this.#isChild(streamKey, peer)
    const limit = this.#ledger.exceeded(streamKey, peer, { mbps }) ?? (full ? "uplink_mbps" : undefined)
    if (limit === undefined) return undefined
    this.#refused[limit] = (this.#refused[limit] ?? 0) + 1
    return { ok: false, error: "CapacityExceeded", limit }
  }

  /** The stream, which begins to be handed on with its first child. */
  open({ streamId, via = [] }: MeshSubscriber): RelayedStream {
    const key = streamKeyOf(streamId)
    const known = this.#entries.get(key)
    if (known !== undefined) return known.stream
    const stream = new RelayedStream({
      streamId,
      sealProfile: this.profileOf(key),
      now: this.#io.now,
      parents: () => this.#parents(key),
      wantKeyframe: () => this.wantKeyframe(key),
      childGone: (peer) => this.#ledger.release(key, peer),
      exhausted: (error, peer) => this.#io.emit({ type: "exhausted", streamId, error, peer }),
    })
    const now = this.#io.now()
    this.#entries.set(key, { stream, streamId, via, dryAt: now, emptyAt: undefined, told: undefined, toldAt: -Infinity })
    return stream
  }

  /** A child was added to a stream that is handed on. One that asks again does not make a dry stream wait longer for its source. */
  subscribed(streamKey: string, peer: PeerKeyId, asksAgain: boolean): void {
    const entry = this.#entries.get(streamKey)
    if (entry === undefined) return
    if (entry.stream.fanout.size === 1 && !asksAgain) entry.dryAt = this.#io.now()
    this.#ledger.admit(streamKey, peer, { mbps: this.#mbps(streamKey) })
    this.#tell(entry, this.#io.now())
  }

  /** Known once this node subscribes; without a content key a room of profile 1 is assumed. */
  profileOf(streamKey: string): SealProfile {
    return this.#profiles.get(streamKey) ?? 1
  }

  describe(streamKey: string, profile: SealProfile): void {
    this.#profiles.set(streamKey, profile)
  }

  parentGone(streamKey: string, parent: PeerKeyId): void {
    this.#entries.get(streamKey)?.stream.distrust(parent)
  }

  /** Asks a parent, at most every 300 ms; who asks in between joins the next request (RM-37). */
  wantKeyframe(streamKey: string): void {
    const gate = this.#gates.get(streamKey) ?? new KeyframeGate(KEYFRAME_REQUEST_GAP_MS)
    this.#gates.set(streamKey, gate)
    if (gate.request(this.#io.now()) === "now") this.#askKeyframe(streamKey)
  }

  tick(now: number): void {
    for (const [key, gate] of this.#gates) {
      if (gate.tick(now)) this.#askKeyframe(key)
      if (this.#parents(key).length === 0 && !this.#entries.has(key)) this.#gates.delete(key)
    }
    for (const [key, entry] of [...this.#entries]) {
      entry.stream.tick(now)
      this.#care(key, entry, now)
    }
    if (now - this.#measuredAt < MEASURE_MS) return
    this.#measuredAt = now
    for (const key of this.#entries.keys()) this.#ledger.measured(key, this.#mbps(key))
    for (const key of this.#profiles.keys()) if (this.#parents(key).length === 0) this.#profiles.delete(key)
  }

  stats(): MeshRelayStats {
    return {
      enabled: this.enabled,
      subscribers: this.#ledger.subscribers,
      admittedBitrate: this.#ledger.mbps * 1e6,
      ...(this.uplinkLimit === Number.POSITIVE_INFINITY ? {} : { uplinkLimit: this.uplinkLimit }),
      refused: { ...this.#refused },
      streams: this.all().map((stream) => stream.stats()),
    }
  }

  close(): void {
    for (const { stream } of this.#entries.values()) stream.close()
    this.#entries.clear()
  }

  #care(key: string, entry: Entry, now: number): void {
    const { stream, streamId } = entry
    if (this.#parents(key).some(({ started }) => started)) entry.dryAt = now
    if (stream.fanout.size > 0 && now - entry.dryAt >= NO_UPSTREAM_MS) {
      const children = stream.fanout.all().map(({ peer, subNonce }) => ({ peer, subNonce }))
      stream.fanout.clear()
      this.#io.emit({ type: "no-upstream", streamId, children })
    }
    if (stream.fanout.size > 0) entry.emptyAt = undefined
    else entry.emptyAt ??= now
    if (entry.emptyAt !== undefined && now - entry.emptyAt >= LINGER_MS) {
      stream.close()
      this.#entries.delete(key)
      this.#io.emit({ type: "relay-demand", streamId, policy: undefined, via: [] })
    } else this.#tell(entry, now)
  }

  /** What the children want goes up when it changes, at most every 250 ms (RM-19). */
  #tell(entry: Entry, now: number): void {
    const { policy } = entry.stream
    if (policy === undefined || samePolicy(policy, entry.told) || now - entry.toldAt < POLICY_GAP_MS) return
    entry.told = policy
    entry.toldAt = now
    this.#io.emit({ type: "relay-demand", streamId: entry.streamId, policy, via: [...entry.via] })
  }

  #isChild(streamKey: string, peer: PeerKeyId): boolean {
    return this.get(streamKey)?.fanout.get(peer) !== undefined
  }

  /** Of several parents the one that was heard last is asked. */
  #askKeyframe(streamKey: string): void {
    const parents = [...this.#parents(streamKey)].sort((a, b) => b.heardAt - a.heardAt)
    const [parent] = parents
    if (parent !== undefined) this.#io.emit({ type: "keyframe-wanted", streamId: parent.streamId, from: parent.peer })
  }

  /** Sound is measured at once, a picture when it has flowed for a while. */
  #mbps(streamKey: string): number {
    const stream = this.#entries.get(streamKey)?.stream
    const known = stream?.facts.kind === "audio" ? stream.bitrate : stream?.facts.maxBitrate
    return known === undefined ? EXPECTED_MBPS : known / 1e6
  }
}

function samePolicy(a: ReceiverLayerPolicy, b: ReceiverLayerPolicy | undefined): boolean {
  return a.maxSpatial === b?.maxSpatial && a.maxTemporal === b.maxTemporal && a.maxQuality === b.maxQuality
}
