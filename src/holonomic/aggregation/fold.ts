/** Folds many members into one composite below whose noise no single member is left. */
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { resampleMembers, resampleNearest } from "./multiplicity.ts"

/** The operators, by their `aggregation_algorithm_id`. */
export const FOLD_ALGORITHMS = ["fountain-mean-v1", "fountain-decimate-v1", "fountain-mipmap-v1"] as const
export type FoldAlgorithm = (typeof FOLD_ALGORITHMS)[number]

/** Share of positions in which a member may still be seen (D28), when there are more members than its inverse. */
const RESIDUAL_LIMIT = 1 / 64

/** @throws AvError `MalformedInput` (unknown algorithm), `NoMembers`, `EmptyMember`, `TooManyMembers` */
export function foldMembers(algorithm: string, members: readonly Bytes[]): Bytes {
  if (!isFoldAlgorithm(algorithm)) throw new AvError("MalformedInput", { algorithm })
  const resampled = resampleMembers(members)
  const length = resampled[0]!.length
  const count = resampled.length
  switch (algorithm) {
    case "fountain-mean-v1":
      return Uint8Array.from({ length }, (_, i) => mean(resampled, i, i + 1))
    case "fountain-decimate-v1":
      return Uint8Array.from({ length }, (_, i) => resampled[i % count]![i]!)
    case "fountain-mipmap-v1":
      return Uint8Array.from({ length: Math.ceil(length / count) }, (_, i) =>
        mean(resampled, i * count, Math.min((i + 1) * count, length)),
      )
  }
}

/** Share of positions in which the composite still says what the member says. */
export function residualFidelity(member: Bytes, composite: Bytes): number {
  if (composite.length === 0) return 0
  const resampled = resampleNearest(member, composite.length)
  return composite.reduce((same, byte, i) => (byte === resampled[i] ? same + 1 : same), 0) / composite.length
}

/** Whether no member can be told from the composite. A fold that fails is not published. */
export function isErasing(members: readonly Bytes[], composite: Bytes): boolean {
  const limit = Math.max(RESIDUAL_LIMIT, 1 / members.length)
  return members.every((member) => residualFidelity(member, composite) <= limit)
}

function isFoldAlgorithm(name: string): name is FoldAlgorithm {
  return (FOLD_ALGORITHMS as readonly string[]).includes(name)
}

/** The mean of all members' bytes from `from` up to `to`, halves rounded up. */
function mean(members: readonly Bytes[], from: number, to: number): number {
  const count = members.length * (to - from)
  let sum = 0
  for (const member of members) for (let i = from; i < to; i++) sum += member[i]!
  return Math.floor((sum + Math.floor(count / 2)) / count)
}
