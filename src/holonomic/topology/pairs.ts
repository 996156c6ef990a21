/** Which pairs of peers may be parent and child, and how well they suit each other. */
import type { PeerKeyId } from "../../wire/types.ts"
import { MAX_TRUST_CHAIN_DEPTH, MAX_USEFUL_RTT_MS, pairScore } from "./quantise.ts"
import type { ReachabilityObservation, TrustGrant } from "./types.ts"

/** No edge is possible between the two. */
export const NO_EDGE = -1

/** Peers are named by their place in peer order. */
export interface PairScores {
  /** Told which parents the next questions can name, ascending. */
  prepare(parents: readonly number[]): void
  /** Writes the score of each of `parents` for `child` to the same place of `out`; {@link NO_EDGE} where there can be no edge. */
  fill(child: number, parents: readonly number[], out: Int32Array): void
}

/** Pairs as grants and observations name them, for sparse and for dense lists alike. */
export class ListedPairs implements PairScores {
  /** By child: its possible parents ascending, and beside them the scores. */
  readonly #parents: Int32Array[]
  readonly #scores: Int32Array[]
  readonly #scratch: Int32Array

  constructor(
    place: ReadonlyMap<PeerKeyId, number>,
    grants: readonly TrustGrant[],
    observations: readonly ReachabilityObservation[],
  ) {
    const count = place.size
    const depth = new Map<number, number>()
    for (const { granterPeerId, granteePeerId, chainDepth } of grants) {
      if (chainDepth <= MAX_TRUST_CHAIN_DEPTH) least(depth, pair(place, granterPeerId, granteePeerId), chainDepth)
    }
    const rtt = new Map<number, number>()
    for (const { fromPeerId, toPeerId, observedRttMs } of observations) {
      if (observedRttMs <= MAX_USEFUL_RTT_MS) least(rtt, pair(place, fromPeerId, toPeerId), observedRttMs)
    }
    const byChild = Array.from({ length: count }, (): [parent: number, score: number][] => [])
    for (const [key, chainDepth] of depth) {
      const rttMs = rtt.get(key)
      const [parent, child] = [Math.floor(key / count), key % count]
      if (rttMs !== undefined && parent !== child) byChild[child]?.push([parent, pairScore(chainDepth, rttMs)])
    }
    for (const list of byChild) list.sort(([a], [b]) => a - b)
    this.#parents = byChild.map((list) => Int32Array.from(list, ([parent]) => parent))
    this.#scores = byChild.map((list) => Int32Array.from(list, ([, score]) => score))
    this.#scratch = new Int32Array(count).fill(NO_EDGE)
  }

  prepare(): void {}

  /** Ascending places of everybody who could be the parent of `child`. */
  parentsOf(child: number): Int32Array {
    return this.#parents[child]!
  }

  /** The scores beside {@link parentsOf}. */
  scoresOf(child: number): Int32Array {
    return this.#scores[child]!
  }

  fill(child: number, parents: readonly number[], out: Int32Array): void {
    const own = this.parentsOf(child)
    const scores = this.scoresOf(child)
    const scratch = this.#scratch
    for (let i = 0; i < own.length; i++) scratch[own[i]!] = scores[i]!
    for (let i = 0; i < parents.length; i++) out[i] = scratch[parents[i]!]!
    for (let i = 0; i < own.length; i++) scratch[own[i]!] = NO_EDGE
  }
}

/** The pair as one number, undefined when one of the two does not take part. */
function pair(place: ReadonlyMap<PeerKeyId, number>, from: PeerKeyId, to: PeerKeyId): number | undefined {
  const [parent, child] = [place.get(from), place.get(to)]
  return parent === undefined || child === undefined ? undefined : parent * place.size + child
}

function least(values: Map<number, number>, key: number | undefined, value: number): void {
  if (key === undefined) return
  const held = values.get(key)
  if (held === undefined || value < held) values.set(key, value)
}
