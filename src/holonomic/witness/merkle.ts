/**
 * The root over a peer's claims. Not RFC 6962: no prefixes, the last node of an odd layer is doubled. Sound only for sets of leaves
 * that begin with a separator, and only by computing it in full; never build proofs of inclusion on it (D06).
 */
import { sha256Sync } from "../../crypto/hash.ts"
import { compareBytes, concatBytes, equalBytes, utf8Encode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { isSeparated } from "../separators.ts"

/** The root over no leaves. */
export function emptyRoot(): Bytes {
  return sha256Sync(utf8Encode("WW-v1-empty"))
}

/** The root in any order of the leaves. Repeated leaves count as often as they come; see {@link leafSet}. */
export function merkleRoot(leaves: readonly Bytes[]): Bytes {
  if (leaves.length === 0) return emptyRoot()
  let layer = leaves.toSorted(compareBytes).map(sha256Sync)
  while (layer.length > 1) {
    const next: Bytes[] = []
    for (let i = 0; i < layer.length; i += 2) next.push(sha256Sync(concatBytes(layer[i]!, layer[i + 1] ?? layer[i]!)))
    layer = next
  }
  return layer[0]!
}

/**
 * The leaves of a witness: sorted, each once.
 * @throws AvError `UsageError` for a leaf without one of the separators: it could be made to look like an inner node.
 */
export function leafSet(leaves: readonly Bytes[]): Bytes[] {
  const sorted = leaves.toSorted(compareBytes)
  if (!sorted.every(isSeparated)) throw new AvError("UsageError", { why: "leaf without separator" })
  return sorted.filter((leaf, i) => i === 0 || !equalBytes(leaf, sorted[i - 1]!))
}
