/** What a network of memories holds and survives: the figures behind the calculator. One symbol on each of `targetHolders` peers. */
import { AvError } from "../../wire/errors.ts"
import type { FountainPolicy } from "../retention/policy.ts"
import { overTargetThreshold as thresholdOf } from "../retention/rarity.ts"

type Shape = Pick<FountainPolicy, "nSource" | "kRepair" | "targetHolders">
/** More peers than anybody computes by hand; the work grows with its square. */
const MAX_PEERS = 4_096

/** Bytes of content that `peers` peers with `bytesEach` of room hold together. */
export function contentCapacity(peers: number, bytesEach: number, policy: Shape): number {
  return (peers * bytesEach * policy.nSource) / policy.targetHolders
}

/** Bytes that one holder keeps of a content: one symbol. */
export function perPeerLoad(contentBytes: number, policy: Shape): number {
  return contentBytes / policy.nSource
}

/** Bytes that the network keeps of a content. */
export function networkBytes(contentBytes: number, policy: Shape): number {
  return (contentBytes * policy.targetHolders) / policy.nSource
}

/** Holders above which copies go. */
export function holderThreshold(policy: Shape): number {
  return thresholdOf(policy.targetHolders)
}

/** Copies of one symbol on average. */
export function copiesPerSymbol(policy: Shape): number {
  return policy.targetHolders / (policy.nSource + policy.kRepair)
}

/** Peers reached by one copy in a tree that feeds `fanOut` at each of `depth` levels, its root included. */
export function viewersPerCopy(fanOut: number, depth: number): number {
  let level = 1
  let all = 1
  for (let i = 0; i < depth; i++) {
    level *= fanOut
    all += level
  }
  return all
}

/** Bytes per source item at level `level` of a memory that folds `fanIn` items into one. */
export function foldedBytesPerItem(contentBytes: number, level: number, fanIn: number, policy: Shape): number {
  return networkBytes(contentBytes, policy) / fanIn ** level
}

/** Items that a memory with bounded windows keeps at most after `items` of them (D28). */
export function boundedItems(items: number, fanIn: number): number {
  if (items <= 1) return 2 * fanIn
  let levels = 0
  for (let reach = 1; reach < items; reach *= fanIn) levels += 1
  return 2 * fanIn * (1 + levels)
}

/** P(at least `need` of `holders` peers are there), each with `availability` 0..1: as if every holder had another symbol. */
export function survivalIndependent(holders: number, need: number, availability: number): number {
  check(holders, need, availability)
  return tail(
    Array.from({ length: holders }, () => availability),
    need,
  )
}

/**
 * P(at least `need` distinct symbols are there) when `total` symbols lie on `holders` peers, each on one or two of them.
 * @throws AvError `UsageError` unless total <= holders <= 2 total
 */
export function survivalDistinct(total: number, holders: number, need: number, availability: number): number {
  check(holders, need, availability)
  if (!Number.isInteger(total) || holders < total || holders > 2 * total) throw new AvError("UsageError", { total, holders })
  const twice = 1 - (1 - availability) ** 2
  return tail(
    Array.from({ length: total }, (_, i) => (i < holders - total ? twice : availability)),
    need,
  )
}

/** P(at least `need` of independent events happen), all terms added up from the small ones. */
function tail(chances: readonly number[], need: number): number {
  const exactly = new Float64Array(chances.length + 1)
  exactly[0] = 1
  chances.forEach((chance, seen) => {
    for (let k = seen + 1; k > 0; k--) exactly[k] = exactly[k]! * (1 - chance) + exactly[k - 1]! * chance
    exactly[0] = exactly[0]! * (1 - chance)
  })
  const terms = exactly.slice(Math.max(0, need)).sort()
  return Math.min(
    1,
    terms.reduce((sum, term) => sum + term, 0),
  )
}

function check(holders: number, need: number, availability: number): void {
  const counts = Number.isInteger(holders) && holders >= 0 && holders <= MAX_PEERS && Number.isInteger(need)
  if (!counts || !(availability >= 0 && availability <= 1)) throw new AvError("UsageError", { holders, need, availability })
}
