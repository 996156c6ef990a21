/** The peers a node is connected to: their keys, whether they are let in, and how much they may still ask for. */
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds, PeerKeyId, U64 } from "../../wire/types.ts"
import type { TrustGrantBody } from "../claims/bodies.ts"
import { keysMatch, type PeerKeys } from "../trust/verified.ts"

/** Connections at once. */
const MAX_PEERS = 1_024
/** Requests per minute of everybody who is let in; standing adds to it (14.5). */
const BASE_BUDGET = 10
/** Of members of a room, who need no chain. */
const MEMBER_STANDING = 255
const MINUTE_MS = 60_000
/** What somebody holds who has gone still counts for this long: pages are reloaded. */
const GONE_AFTER_MS = 10_000
/** Keys of peers that are not connected. */
const MAX_KEYS = 20_000

export interface Peer {
  readonly keyId: PeerKeyId
  readonly keys: PeerKeys
  /** How much it is trusted; undefined: not let in, nothing is served. */
  standing: number | undefined
  /** The grants that let it in. */
  grants: readonly TrustGrantBody[]
  /** It lets us in: we may ask. */
  mayAsk: boolean
  heard: boolean
  minute: number
  used: number
  /** Epochs in a row in which its claims were others than ours. */
  divergentEpochs: number
  /** When a challenge of it was answered last: signing takes time. */
  answeredMs: Milliseconds
  /** Epoch of its witness that was compared last. */
  comparedEpoch: U64 | undefined
}

export class PeerTable {
  readonly #peers = new Map<PeerKeyId, Peer>()
  /** Until when they count. The same number is told and compared: sums of fractions differ by their last bit. */
  readonly #gone = new Map<PeerKeyId, Milliseconds>()
  readonly #keys = new Map<PeerKeyId, PeerKeys>()

  /** @throws AvError `KeyInvalid` (not the keys of that id), `LimitExceeded` */
  connect(keyId: PeerKeyId, keys: PeerKeys, member: boolean): Peer {
    if (!keysMatch(keyId, keys)) throw new AvError("KeyInvalid", { what: "not the keys of this peer" })
    if (!this.#peers.has(keyId) && this.#peers.size >= MAX_PEERS) throw new AvError("LimitExceeded", { what: "peers" })
    const peer: Peer = {
      keyId,
      keys,
      standing: member ? MEMBER_STANDING : undefined,
      grants: [],
      mayAsk: member,
      heard: false,
      minute: 0,
      used: 0,
      divergentEpochs: 0,
      answeredMs: Number.NEGATIVE_INFINITY,
      comparedEpoch: undefined,
    }
    this.#peers.set(keyId, peer)
    this.#gone.delete(keyId)
    this.learnKeys(keyId, keys)
    return peer
  }

  disconnect(keyId: PeerKeyId, nowMs: Milliseconds): void {
    if (!this.#peers.delete(keyId)) return
    if (this.#gone.size >= MAX_PEERS) this.#gone.delete(this.#gone.keys().next().value!)
    this.#gone.set(keyId, nowMs + GONE_AFTER_MS)
  }

  get(keyId: PeerKeyId): Peer | undefined {
    return this.#peers.get(keyId)
  }

  all(): Peer[] {
    return [...this.#peers.values()]
  }

  /** Those that are served and told. */
  admitted(): Peer[] {
    return this.all().filter(({ standing }) => standing !== undefined)
  }

  /** What it holds counts: it is connected and let in, or was until a moment ago. */
  counts(keyId: PeerKeyId, nowMs: Milliseconds): boolean {
    const peer = this.#peers.get(keyId)
    if (peer !== undefined) return peer.standing !== undefined
    const untilMs = this.#gone.get(keyId)
    return untilMs !== undefined && nowMs < untilMs
  }

  /** When the next of those who have gone stops counting. */
  nextGoneMs(): Milliseconds {
    return Math.min(...this.#gone.values())
  }

  /** Forgets who has been gone long enough. True when there was somebody. */
  expire(nowMs: Milliseconds): boolean {
    const before = this.#gone.size
    for (const [keyId, untilMs] of this.#gone) if (nowMs >= untilMs) this.#gone.delete(keyId)
    return this.#gone.size !== before
  }

  /** Takes one request from a peer's budget of this minute. False when it has none left, or is not let in. */
  spend(peer: Peer, nowMs: Milliseconds): boolean {
    if (peer.standing === undefined) return false
    const minute = Math.floor(nowMs / MINUTE_MS)
    if (minute !== peer.minute) {
      peer.minute = minute
      peer.used = 0
    }
    if (peer.used >= BASE_BUDGET + peer.standing) return false
    peer.used += 1
    return true
  }

  /** Keys that belong to the id are remembered, others are not. */
  learnKeys(keyId: PeerKeyId, keys: PeerKeys): void {
    if (this.#keys.has(keyId) || !keysMatch(keyId, keys)) return
    if (this.#keys.size >= MAX_KEYS) this.#keys.delete(this.#keys.keys().next().value!)
    this.#keys.set(keyId, keys)
  }

  keysOf(keyId: PeerKeyId): PeerKeys | undefined {
    return this.#keys.get(keyId)
  }
}
