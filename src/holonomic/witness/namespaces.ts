/** What a witness may speak about: nothing deniable and nothing private is ever bound into one (WW-2). */
import { compareUtf8 } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { WitnessStatement } from "./witness.ts"

const DENIABLE = "anonymous"
const PRIVATE = "self"

/** The leaves that may enter a witness, in their order. Those without a namespace or a scope are left out. */
export function filterWitnessLeaves<T>(
  leaves: readonly T[],
  namespaces: readonly string[],
  cohortScopes: readonly string[],
): T[] {
  return leaves.filter((_, i) => {
    const [namespace, scope] = [namespaces[i], cohortScopes[i]]
    return namespace !== undefined && scope !== undefined && !namespace.startsWith(DENIABLE) && scope !== PRIVATE
  })
}

/**
 * The check of a received witness before its signatures. Stricter than the filter: here letters count in either case.
 * @throws AvError `ForbiddenNamespace`, `DuplicateNamespace`, `LeafCountMismatch`
 */
export function guardNamespaces({ claimNamespaces, leafCount }: Pick<WitnessStatement, "claimNamespaces" | "leafCount">): void {
  for (const namespace of claimNamespaces) {
    const segments = lowerCaseAscii(namespace).split(":")
    if (segments[0]?.startsWith(DENIABLE) || segments.includes(PRIVATE)) throw new AvError("ForbiddenNamespace")
  }
  if (new Set(claimNamespaces).size !== claimNamespaces.length) throw new AvError("DuplicateNamespace")
  if (claimNamespaces.length === 0 && leafCount !== 0) throw new AvError("LeafCountMismatch", { leaf_count: leafCount })
}

/** True when both cover the same set. */
export function sameNamespaces(
  a: Pick<WitnessStatement, "claimNamespaces">,
  b: Pick<WitnessStatement, "claimNamespaces">,
): boolean {
  const [left, right] = [a, b].map(({ claimNamespaces }) => [...new Set(claimNamespaces)].sort(compareUtf8))
  return left!.length === right!.length && left!.every((namespace, i) => namespace === right![i])
}

/** `toLowerCase` would also change letters outside ASCII, and one of them into an ASCII one (the Kelvin sign). */
function lowerCaseAscii(text: string): string {
  return text.replace(/[A-Z]/g, (letter) => letter.toLowerCase())
}
