/** Which of several groups or commits wins. Both rules look at all candidates at once, so every peer comes to the same answer. */
import { compareBytes } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"

/** What is compared about a group (RM-11): `id` is the room id, or the epoch tip between branches of one room (RM-13). */
interface Head {
  root: Bytes
  size: number
  id: Bytes
}

/** The head to follow: the invited root first, then the larger group, then the smaller id (RM-11). */
export function chooseHead<T extends Head>(heads: readonly T[], root: Bytes | undefined): T {
  const invited = (head: Head): number => (root !== undefined && compareBytes(head.root, root) === 0 ? 0 : 1)
  return pickFirst(heads, (a, b) => invited(a) - invited(b) || b.size - a.size || compareBytes(a.id, b.id))
}

/** What is compared about commits made on one and the same state (RM-29). */
interface CommitCandidate {
  authorLeaf: number
  /** Leaf indices that it removes. */
  removes: readonly number[]
  /** SHA-256 of the message. */
  hash: Bytes
}

/**
 * The commit that counts among all known ones of a state (RM-29). A commit is struck when another one removes its author and is not
 * answered in kind: a member that was removed still holds the old epoch, and must not undo its removal with a commit of its own.
 */
export function chooseCommit<T extends CommitCandidate>(commits: readonly T[]): T {
  const struck = (commit: T): boolean =>
    commits.some((other) => other.removes.includes(commit.authorLeaf) && !commit.removes.includes(other.authorLeaf))
  const left = commits.filter((commit) => !struck(commit))
  return pickFirst(left.length > 0 ? left : commits, (a, b) => a.authorLeaf - b.authorLeaf || compareBytes(a.hash, b.hash))
}

function pickFirst<T>(items: readonly T[], order: (a: T, b: T) => number): T {
  const [first, ...rest] = items
  if (first === undefined) throw new RangeError("nothing to choose from")
  return rest.reduce((best, item) => (order(item, best) < 0 ? item : best), first)
}
