/** What a commit would do, said before it is done: the input of the room's decisions (RM-13, RM-14, RM-29). */
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import type { MadeCommit, OpenedCommit } from "./commit.ts"
import { commitNames } from "./commit-input.ts"
import type { LeafDirectory } from "./leaf-directory.ts"
import type { GroupState } from "./state.ts"
import { memberAt } from "./tree.ts"
import type { CommitPreview } from "./types.ts"

/** Of an own commit, which its author cannot decrypt. */
export function previewOwn(made: MadeCommit, ownKeyId: PeerKeyId, hash: Bytes, authenticatedData: Bytes): CommitPreview {
  const { adds, removes } = commitNames(made)
  const { context, privatePath } = made.current
  return {
    epoch: context.epoch,
    hash,
    author: ownKeyId,
    authorLeaf: privatePath.leafIndex,
    removes,
    adds: adds.map(({ keyId }) => keyId),
    unverified: [],
    removesMe: false,
    authenticatedData,
    superseded: false,
  }
}

/** Of an opened commit. `unverified` names its author too, should it be unknown. */
export function previewCommit(state: GroupState, opened: OpenedCommit, hash: Bytes, directory: LeafDirectory): CommitPreview {
  const author = memberAt(state.tree, opened.authorLeaf)
  const { adds, removes } = commitNames(opened)
  const unverified = directory.unverified([author, ...adds])
  return {
    epoch: state.context.epoch,
    hash,
    author: author.keyId,
    authorLeaf: opened.authorLeaf,
    removes,
    adds: adds.map(({ keyId }) => keyId),
    unverified: [...new Set(unverified)],
    removesMe: opened.removesMe,
    authenticatedData: opened.content.content.authenticatedData.slice(),
    superseded: false,
  }
}
