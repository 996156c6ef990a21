/** Keeps one stream fed by two parents: carries out what its parent manager decides, and tells it what happens. */
import {
  type Delivery,
  type ParentAction,
  type ParentCandidate,
  ParentManager,
  type ParentReport,
  type TreeView,
} from "../../alm/index.ts"
import type { Milliseconds, PeerKeyId, ReceiverLayerPolicy } from "../../wire/types.ts"
import type { Upstream, UpstreamDriver } from "../upstream.ts"
import { LeadWatch } from "./lead-watch.ts"

/** Who has been the second parent for this long is asked for the base layer alone, ms: by then the first one delivers everything. */
const BASE_ONLY_AFTER_MS = 3_000
/** Deliveries of parents are compared over this time, and only where so many chunks were due. */
const MEASURE_MS = 1_000
const MIN_CHUNKS = 8
/** Bitrate of a stream that announces none, Mbit/s. */
const EXPECTED_MBPS = 0.5

/** A stream as one parent brings it, since it was asked; see `MeshFeed`. */
interface Feed {
  from: PeerKeyId
  started: boolean
  silentMs: number
  base: number
  upper: number
  bytes: number
}

/** What is told of one parent in `room.stats()`. */
export interface ParentFigures extends ParentReport {
  /** Bytes of chunks that came from it in the last second or so, as bit/s. */
  bitrate: number
  /** Of what every parent should have brought, the share that this one did, 0..1; undefined before it was measured. */
  share: number | undefined
}

interface StreamParentsHost {
  me: PeerKeyId
  /** Unix ms. */
  now(): Milliseconds
  /** 0..1. */
  random(): number
  keyframe(upstream: Upstream, parent: PeerKeyId): void
  /** A link to this member will be needed, or is. */
  connect(peer: PeerKeyId): void
}

/** What is known of the room when parents are chosen. */
export interface ParentKnowledge {
  candidates: readonly ParentCandidate[]
  /** Members with a direct link. */
  neighbours: readonly PeerKeyId[]
  tree: TreeView | undefined
  children: readonly PeerKeyId[]
}

interface Counts {
  base: number
  bytes: number
}

export class StreamParents implements UpstreamDriver {
  readonly upstream: Upstream
  readonly #host: StreamParentsHost
  readonly #manager: ParentManager
  readonly #heardAt = new Map<PeerKeyId, Milliseconds>()
  /** Bytes of chunks when a parent was heard last: without more of them it was a keep-alive. */
  readonly #bytesAt = new Map<PeerKeyId, number>()
  readonly #secondSince = new Map<PeerKeyId, Milliseconds>()
  readonly #lead = new LeadWatch()
  #baseOnly: ReadonlySet<PeerKeyId> = new Set()
  #counts = new Map<PeerKeyId, Counts>()
  #countedAt: Milliseconds
  readonly #delivered = new Map<PeerKeyId, { bitrate: number; share: number | undefined }>()
  #doing = false
  readonly #queue: ParentAction[] = []

  constructor(upstream: Upstream, host: StreamParentsHost) {
    const now = host.now()
    const { stream, publisher, policy } = upstream
    this.upstream = upstream
    this.#host = host
    this.#countedAt = now
    const { me, random } = host
    const bitrateMbps = stream.mbps ?? EXPECTED_MBPS
    const streamMaxLayer = { spatial: 0, temporal: stream.temporalLayers - 1, quality: 255 }
    this.#manager = new ParentManager(
      { me, streamId: stream.streamId, publisher, policy, streamMaxLayer, bitrateMbps, wanted: 1, random },
      now,
    )
  }

  /** Takes over: the publisher goes on if it was asked already, then there is a second parent. */
  begin(knowledge: ParentKnowledge): void {
    const now = this.#host.now()
    this.#do(this.#manager.setDownstream(knowledge.children, now))
    this.#do(this.#manager.setCandidates([], now))
    this.learn(knowledge)
    this.#do(this.#manager.setWanted(2, now))
  }

  learn({ candidates, neighbours, tree, children }: ParentKnowledge): void {
    const now = this.#host.now()
    this.#manager.setNeighbours(neighbours)
    this.#do(this.#manager.setDownstream(children, now))
    this.#do(this.#manager.setTree(tree, now))
    this.#do(this.#manager.setCandidates(candidates, now))
  }

  /** What parents brought; then time passes. A few times per second. @param isLossy much of what this parent sends gets lost on the way */
  tick(feeds: readonly Feed[], isLossy: (keyId: PeerKeyId) => boolean = () => false): void {
    const now = this.#host.now()
    for (const { from, started, silentMs, bytes } of feeds) {
      const at = now - silentMs
      if (!started || at <= (this.#heardAt.get(from) ?? Number.NEGATIVE_INFINITY)) continue
      const chunk = bytes !== this.#bytesAt.get(from)
      this.#heardAt.set(from, at)
      this.#bytesAt.set(from, bytes)
      this.#do(this.#manager.heard(from, at, chunk))
    }
    this.#measure(feeds, now)
    this.#do(this.#manager.tick(now))
    this.#shareWork(feeds, isLossy, now)
  }

  /** The publisher serves, and nobody else does. */
  get isFedByPublisher(): boolean {
    const serving = this.#manager.parents.filter(({ role }) => role !== "asked")
    return serving.length > 0 && serving.every(({ keyId }) => keyId === this.upstream.publisher)
  }

  get parents(): ParentFigures[] {
    return this.#manager.parents.map((report) => {
      const { bitrate = 0, share } = this.#delivered.get(report.keyId) ?? {}
      return { ...report, bitrate, share }
    })
  }

  /** A parent was lost and is not replaced yet. */
  get inNeed(): boolean {
    return this.#manager.inNeed
  }

  get counts(): ParentManager["counts"] {
    return this.#manager.counts
  }

  subscribed(peer: PeerKeyId): void {
    this.#do(this.#manager.subscribed(peer, this.#host.now()))
  }

  refused(peer: PeerKeyId, error: string): void {
    this.#do(this.#manager.refused(peer, error, this.#host.now()))
  }

  lost(peer: PeerKeyId): void {
    this.#do(this.#manager.lost(peer, this.#host.now()))
  }

  leaving(peer: PeerKeyId, inMs: Milliseconds): void {
    this.#do(this.#manager.leaving(peer, inMs, this.#host.now()))
  }

  heard(peer: PeerKeyId): void {
    this.#do(this.#manager.heard(peer, this.#host.now()))
  }

  policyChanged(policy: ReceiverLayerPolicy): void {
    const { mbps = EXPECTED_MBPS } = this.upstream.stream
    // The parents have heard of it from the upstream itself.
    const actions = this.#manager.setPolicy(policy, mbps, this.#host.now())
    this.#do(actions.filter(({ kind }) => kind !== "setPolicy"))
  }

  /** What one action brings about may ask for further ones: they wait for their turn. */
  #do(actions: readonly ParentAction[]): void {
    this.#queue.push(...actions)
    if (this.#doing) return
    this.#doing = true
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) this.#perform(next)
    } finally {
      this.#doing = false
    }
  }

  #perform(action: ParentAction): void {
    switch (action.kind) {
      case "subscribe":
        this.#heardAt.delete(action.parent)
        this.#bytesAt.delete(action.parent)
        if (this.upstream.ask(action.parent, action.via.slice(0, 4))) this.subscribed(action.parent)
        else this.#host.connect(action.parent)
        return
      case "subscribeAgain":
        this.upstream.again(action.parent)
        return
      case "unsubscribe":
        this.#secondSince.delete(action.parent)
        this.upstream.leave(action.parent)
        return
      case "requestKeyframe":
        this.#host.keyframe(this.upstream, action.parent)
        return
      case "prepare":
        this.#host.connect(action.parent)
        return
      case "starved":
        this.#host.connect(this.upstream.publisher)
        return
      case "release":
      case "setPolicy":
      case "setRange":
        return
    }
  }

  /**
   * The second parent of a picture sends the base layer: it plays on when the first one goes, and the uplinks of the room are spared. Where
   * messages of the first one get lost it sends everything, for whatever is missing of upper layers would come from nobody.
   */
  #shareWork(feeds: readonly Feed[], isLossy: (keyId: PeerKeyId) => boolean, now: Milliseconds): void {
    if (this.upstream.stream.kind !== "video") return
    const parents = this.#manager.parents
    const primary = parents.find(({ role }) => role === "primary")?.keyId
    const { stream, policy } = this.upstream
    const hasUpper = stream.temporalLayers > 1 && policy.maxTemporal > 0
    const led = this.#lead.isLed(primary, feeds, { hasUpper, baseOnly: this.#baseOnly.size > 0 }, now)
    const shares = led && primary !== undefined && !isLossy(primary)
    const seconds = shares ? parents.flatMap(({ keyId, role }) => (role === "backup" ? [keyId] : [])) : []
    for (const keyId of this.#secondSince.keys()) if (!seconds.includes(keyId)) this.#secondSince.delete(keyId)
    for (const keyId of seconds) if (!this.#secondSince.has(keyId)) this.#secondSince.set(keyId, now)
    const due = seconds.filter((keyId) => now - (this.#secondSince.get(keyId) ?? now) >= BASE_ONLY_AFTER_MS)
    this.#baseOnly = new Set(due)
    this.upstream.setBaseOnly(this.#baseOnly)
  }

  #measure(feeds: readonly Feed[], now: Milliseconds): void {
    const elapsed = now - this.#countedAt
    if (elapsed < MEASURE_MS) return
    const before = this.#counts
    this.#countedAt = now
    this.#counts = new Map(feeds.map(({ from, base, bytes }) => [from, { base, bytes }]))
    const grown = feeds.flatMap(({ from, base, bytes }) => {
      const last = before.get(from)
      return last === undefined || base < last.base ? [] : [{ from, base: base - last.base, bytes: bytes - last.bytes }]
    })
    const most = Math.max(0, ...grown.map(({ base }) => base))
    this.#delivered.clear()
    for (const { from, base, bytes } of grown) {
      const share = most < MIN_CHUNKS ? undefined : base / most
      this.#delivered.set(from, { bitrate: (8_000 * bytes) / elapsed, share })
      // How late its copies are is not counted apart.
      if (share !== undefined) this.#manager.measured(from, { share, lateMs: 0 } satisfies Delivery, now)
    }
  }
}
