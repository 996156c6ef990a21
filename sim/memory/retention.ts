/** A mesh that keeps contents while peers come and go: the product's nodes and storage, a virtual clock, one seed. */
import { type MeshPeer, VirtualMesh } from "../../src/holonomic/gossip/virtual-mesh.ts"
import {
  type ContentRef,
  DEFAULT_N_SOURCE,
  DEFAULT_TARGET_HOLDERS,
  makeContent,
  overTargetThreshold,
  RankTable,
} from "../../src/holonomic/index.ts"
import { peerFromSeed } from "../../src/holonomic/testing.ts"
import { Random } from "../engine/random.ts"
import { lightSigner, sharedVerify } from "./light.ts"
import { Census, type Spread } from "./spread.ts"

export interface RetentionScenario {
  peers: number
  contents: number
  minutes: number
  /** Of the peers leave per hour for good, and as many come. */
  churnPerHour: number
  /** Publishers leave for good at this minute, all of them; 0: never. */
  publishersLeaveAt: number
  /** Peers that publish; contents are spread over them. */
  publishers: number
  /** Minutes at the end without churn, to see that nothing moves any more. */
  quiet: number
  seed: number
}

export const RETENTION_DEFAULTS: RetentionScenario = {
  peers: 40,
  contents: 8,
  minutes: 60,
  churnPerHour: 0.2,
  publishersLeaveAt: 15,
  publishers: 2,
  quiet: 20,
  seed: 1,
}

interface RetentionSample extends Spread {
  minute: number
  online: number
  /** Symbols that live peers have let go and taken up in this minute. */
  dropped: number
  adopted: number
}

export interface RetentionReport {
  scenario: RetentionScenario
  samples: RetentionSample[]
  left: number
  joined: number
  /** The least that any content had, looked at after every departure and every minute. */
  leastDistinct: number
  /** Contents that had fewer than their source symbols at any of these moments. */
  lost: number
  /** Over the last quiet minute. */
  settled: Spread
  /** Seconds until all contents were spread as plans want them, from the publication on. Undefined: not before the publishers left. */
  spreadSeconds: number | undefined
  /** The same from the moment at which the publishers left. */
  settleSeconds: number | undefined
  /** Symbols taken up and let go per peer: in the minutes with churn, after the first five; and in the last ten quiet minutes. */
  movesPerPeer: number
  quietMovesPerPeer: number
  /** Bytes of symbols sent, per content and byte of content. */
  trafficFactor: number
  /** A content revoked at the end: seconds until the last live peer had deleted it. */
  revocationSeconds: number
}

const MINUTE_MS = 60_000
/** How finely the time until something is settled is looked at. */
const LOOK_MS = 2_000
const SYMBOL_BYTES = 64
const N_SOURCE = DEFAULT_N_SOURCE
/** Until then what moves is the first spreading. */
export const SPREADING_MINUTES = 5

/** The same scenario gives the same report, byte for byte. */
export async function simulateRetention(
  scenario: RetentionScenario,
  progress?: (minute: number) => void,
): Promise<RetentionReport> {
  return new RetentionRun(scenario).run(progress)
}

class RetentionRun {
  readonly #scenario: RetentionScenario
  readonly #random: Random
  readonly #mesh: VirtualMesh
  readonly #census: Census
  readonly #publishers: MeshPeer[] = []
  /** What is waited for, and since when. */
  #waiting: { sinceMs: number; done(seconds: number): void } | undefined
  #next = 0
  #left = 0
  #leastDistinct = Number.POSITIVE_INFINITY
  #lost = 0

  constructor(scenario: RetentionScenario) {
    const { seed } = scenario
    this.#scenario = scenario
    this.#random = new Random(seed, "retention")
    const shared = { verify: sharedVerify(), ranks: new RankTable() }
    this.#mesh = new VirtualMesh({ seed, wire: false, delayMs: 30, shared })
    this.#census = new Census(this.#mesh)
  }

  async run(progress?: (minute: number) => void): Promise<RetentionReport> {
    const { peers, contents, minutes, quiet, publishers, publishersLeaveAt } = this.#scenario
    for (let i = 0; i < peers; i++) {
      const peer = await this.#join()
      if (i < publishers) this.#publishers.push(peer)
      await this.#mesh.run(1_000)
    }
    let spreadSeconds: number | undefined
    let settleSeconds: number | undefined
    for (let i = 0; i < contents; i++) this.#census.refs.push(await this.#publish(i))
    this.#wait((seconds) => {
      spreadSeconds = seconds
    })
    const samples: RetentionSample[] = []
    let before = await this.#census.held()
    for (let minute = 1; minute <= minutes + quiet; minute++) {
      if (minute === publishersLeaveAt) {
        for (const peer of this.#publishers) this.#mesh.leave(peer)
        await this.#look()
        this.#wait((seconds) => {
          settleSeconds = seconds
        })
      }
      await this.#minute(minute <= minutes)
      const now = await this.#census.held()
      const online = new Set(this.#mesh.online().map(({ signer }) => signer.keyId))
      const dropped = [...before].filter(([key, peer]) => online.has(peer) && !now.has(key)).length
      const adopted = [...now.keys()].filter((key) => !before.has(key)).length
      samples.push({ ...(await this.#look()), minute, online: online.size, dropped, adopted })
      before = now
      progress?.(minute)
    }
    const { minute: _, online: __, dropped: ___, adopted: ____, ...settled } = samples.at(-1)!
    const sent = [...this.#mesh.peers.values()].reduce((sum, peer) => sum + peer.sent.symbols, 0)
    return {
      scenario: this.#scenario,
      samples,
      left: this.#left,
      joined: this.#left,
      leastDistinct: this.#leastDistinct,
      lost: this.#lost,
      settled,
      spreadSeconds,
      settleSeconds,
      movesPerPeer: movesPerPeer(samples.slice(SPREADING_MINUTES, minutes), peers),
      quietMovesPerPeer: movesPerPeer(samples.slice(Math.max(minutes, samples.length - 10)), peers),
      trafficFactor: Math.round((100 * sent) / (contents * N_SOURCE * SYMBOL_BYTES)) / 100,
      revocationSeconds: await this.#revoke(this.#census.refs[0]!, this.#publishers[0]!),
    }
  }

  /** Who leaves and comes does so at any moment of the minute. */
  async #minute(churn: boolean): Promise<void> {
    const { peers, churnPerHour } = this.#scenario
    const mean = churn ? (peers * churnPerHour) / 60 : 0
    const events = Math.floor(mean) + (this.#random.unit() < mean % 1 ? 1 : 0)
    const times = Array.from({ length: events }, () => this.#random.between(0, MINUTE_MS)).sort((a, b) => a - b)
    let at = 0
    for (const time of times) {
      await this.#advance(time - at)
      at = time
      const online = this.#mesh.online().filter((peer) => !this.#publishers.includes(peer))
      this.#mesh.leave(online[this.#random.below(online.length)]!)
      await this.#look()
      await this.#join()
      this.#left += 1
    }
    await this.#advance(MINUTE_MS - at)
    // They are not looked at, and there would be millions.
    for (const peer of this.#mesh.peers.values()) peer.events.length = 0
  }

  async #advance(ms: number): Promise<void> {
    let rest = ms
    for (; this.#waiting !== undefined && rest > 0; rest -= LOOK_MS) {
      await this.#mesh.run(Math.min(rest, LOOK_MS))
      if (!isSettled(await this.#census.look())) continue
      const { sinceMs, done } = this.#waiting
      this.#waiting = undefined
      done(Math.round((this.#mesh.nowMs - sinceMs) / 1_000))
    }
    if (rest > 0) await this.#mesh.run(rest)
  }

  #wait(done: (seconds: number) => void): void {
    this.#waiting = { sinceMs: this.#mesh.nowMs, done }
  }

  async #look(): Promise<Spread> {
    const spread = await this.#census.look()
    this.#leastDistinct = Math.min(this.#leastDistinct, spread.distinct)
    this.#lost = Math.max(this.#lost, spread.lost)
    return spread
  }

  async #join(): Promise<MeshPeer> {
    const peer = await this.#mesh.add(lightSigner(await peerFromSeed(this.#next++)))
    await this.#mesh.join(peer)
    return peer
  }

  async #publish(i: number): Promise<ContentRef> {
    const publisher = this.#publishers[i % this.#publishers.length]!
    const ref = { contentId: `content-${i}`, corpusKind: "blob" }
    const payload = Uint8Array.from({ length: N_SOURCE * SYMBOL_BYTES }, (_, at) => (at * 7 + (at >> 6) * 31 + i * 101) & 0xff)
    const envelope = { className: "PERSISTENT", authorities: [], application: new Uint8Array(0) }
    const { manifest, symbols } = await makeContent(ref, payload, envelope, publisher.signer)
    await publisher.node.put(manifest, symbols, this.#mesh.nowMs)
    return ref
  }

  /** The publisher comes back for it when it has left. */
  async #revoke(ref: ContentRef, publisher: MeshPeer): Promise<number> {
    const mesh = this.#mesh
    if (!publisher.online) await mesh.join(publisher)
    await mesh.run(20_000)
    const start = mesh.nowMs
    await publisher.node.revoke(ref, mesh.nowMs)
    while (!(await this.#census.isGone(ref))) {
      if (mesh.nowMs - start > 10 * MINUTE_MS) return Number.POSITIVE_INFINITY
      await mesh.run(250)
    }
    return (mesh.nowMs - start) / 1_000
  }
}

/** Each symbol is there beside the heaviest holder, there are copies enough, and not too many peers bother. */
function isSettled({ holders, copies, distinctBeside, total }: Spread): boolean {
  const enough = copies.min >= DEFAULT_TARGET_HOLDERS && distinctBeside === total
  return enough && holders.max <= overTargetThreshold(DEFAULT_TARGET_HOLDERS)
}

function movesPerPeer(samples: readonly RetentionSample[], peers: number): number {
  const moved = samples.reduce((sum, { dropped, adopted }) => sum + dropped + adopted, 0)
  return Math.round((100 * moved) / peers) / 100
}
