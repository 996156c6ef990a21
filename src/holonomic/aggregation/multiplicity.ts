/** How often one item, or near-copies of it, is among the members of a fold. */
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"

/** Two members are alike above this many thousandths, whatever their kind. */
const SIMILARITY_PER_MILLE = 950
const MAX_U32 = 0xffffffff

interface ContentMultiplicity {
  /** Each member's share of all bytes' sum. */
  masses: number[]
  /** Members of the largest group in which each is alike to another one. */
  maxSourceMultiplicity: number
}

/** `out[i] = src[floor(i * src.length / n)]`. @throws AvError `EmptyMember` when there is nothing to take from */
export function resampleNearest(source: Bytes, length: number): Bytes {
  if (source.length === 0 && length > 0) throw new AvError("EmptyMember")
  if (source.length === length) return source
  return Uint8Array.from({ length }, (_, i) => source[Math.floor((i * source.length) / length)]!)
}

/** Members as long as the longest of them. @throws AvError `NoMembers`, `EmptyMember`, `TooManyMembers` */
export function resampleMembers(members: readonly Bytes[]): Bytes[] {
  if (members.length === 0) throw new AvError("NoMembers")
  const empty = members.findIndex(({ length }) => length === 0)
  if (empty >= 0) throw new AvError("EmptyMember", { index: empty })
  if (members.length > MAX_U32) throw new AvError("TooManyMembers", { members: members.length })
  const longest = members.reduce((most, { length }) => Math.max(most, length), 0)
  return members.map((member) => resampleNearest(member, longest))
}

/** Compares every pair: for a few thousand members, no more. @throws AvError `NoMembers`, `EmptyMember`, `TooManyMembers` */
export function contentMultiplicity(members: readonly Bytes[]): ContentMultiplicity {
  const resampled = resampleMembers(members)
  const norms = resampled.map((member) => member.reduce((sum, byte) => sum + byte, 0))
  const total = norms.reduce((sum, norm) => sum + norm, 0)
  const masses = norms.map((norm) => (total === 0 ? 1 / norms.length : norm / total))
  const parent = resampled.map((_, i) => i)
  const rootOf = (i: number): number => {
    while (parent[i] !== i) {
      parent[i] = parent[parent[i]!]!
      i = parent[i]!
    }
    return i
  }
  for (let i = 0; i < resampled.length; i++) {
    for (let j = i + 1; j < resampled.length; j++) {
      const [a, b] = [rootOf(i), rootOf(j)]
      if (a !== b && alike(resampled[i]!, resampled[j]!, norms[i]! - norms[j]!)) parent[b] = a
    }
  }
  const sizes = new Map<number, number>()
  for (let i = 0; i < parent.length; i++) sizes.set(rootOf(i), (sizes.get(rootOf(i)) ?? 0) + 1)
  return { masses, maxSourceMultiplicity: [...sizes.values()].reduce((most, size) => Math.max(most, size), 0) }
}

/** @param normDifference of the sums of bytes: no pair differs by less in all */
function alike(a: Bytes, b: Bytes, normDifference: number): boolean {
  const limit = (1_000 - SIMILARITY_PER_MILLE) * 255 * a.length
  if (1_000 * Math.abs(normDifference) >= limit) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference += Math.abs(a[i]! - b[i]!)
  return 1_000 * difference < limit
}
