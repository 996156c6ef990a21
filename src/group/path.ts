/** UpdatePath (RFC 9420 7.4-7.6): making one, and getting the commit secret out of one that another member made. */
import type { CiphersuiteImpl } from "ts-mls/crypto/ciphersuite.js"
import { decryptWithLabel } from "ts-mls/crypto/hpke.js"
import { deriveSecret } from "ts-mls/crypto/kdf.js"
import { encodeGroupContext, type GroupContext } from "ts-mls/groupContext.js"
import type { PrivateKeyPath } from "ts-mls/privateKeyPath.js"
import { filteredDirectPathAndCopathResolution, type RatchetTree } from "ts-mls/ratchetTree.js"
import { treeHashRoot } from "ts-mls/treeHash.js"
import { isAncestor, leafToNodeIndex, toLeafIndex } from "ts-mls/treemath.js"
import { applyUpdatePath, createUpdatePath, type PathSecret, type UpdatePath } from "ts-mls/updatePath.js"
import { equalBytes } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"
import { checkUniqueKeys, invalid, leafAt } from "./tree.ts"

/** The tree after a path, and what the holder of a path secret knows then. */
interface PathResult {
  tree: RatchetTree
  privatePath: PrivateKeyPath
  commitSecret: Bytes
}

interface CreatedPath extends PathResult {
  path: UpdatePath
  /** From the lowest node of the path to the highest; newcomers get theirs in the Welcome. */
  pathSecrets: PathSecret[]
}

async function nodeKeyPair(pathSecret: Bytes, suite: CiphersuiteImpl): Promise<{ seed: Bytes; publicKey: Bytes }> {
  const pair = await suite.hpke.deriveKeyPair(await deriveSecret(pathSecret, "node", suite.kdf))
  return { seed: await suite.hpke.exportPrivateKey(pair.privateKey), publicKey: await suite.hpke.exportPublicKey(pair.publicKey) }
}

/**
 * The private keys from `start` upwards along the committer's filtered path. Each derived public key must be the one in the tree: a committer
 * that encrypts other secrets to different members is found out here. Also returns the secret after the last node: the commit secret.
 */
export async function deriveUpwards(
  tree: RatchetTree,
  nodes: number[],
  pathSecret: Bytes,
  suite: CiphersuiteImpl,
): Promise<{ keys: Record<number, Bytes>; commitSecret: Bytes }> {
  const keys: Record<number, Bytes> = {}
  let secret = pathSecret
  for (const nodeIndex of nodes) {
    const { seed, publicKey } = await nodeKeyPair(secret, suite)
    const node = tree[nodeIndex]
    if (node?.nodeType !== "parent" || !equalBytes(node.parent.hpkePublicKey, publicKey))
      throw invalid("path secret does not fit the tree")
    keys[nodeIndex] = seed
    secret = await deriveSecret(secret, "path", suite.kdf)
  }
  return { keys, commitSecret: secret }
}

/** The nodes of a leaf's filtered direct path, lowest first, that lie above `below` too. */
export function sharedPath(tree: RatchetTree, committer: number, below: number): number[] {
  const child = leafToNodeIndex(toLeafIndex(below))
  return filteredDirectPathAndCopathResolution(toLeafIndex(committer), tree)
    .map(({ nodeIndex }) => nodeIndex)
    .filter((nodeIndex) => isAncestor(child, nodeIndex, tree.length))
}

/** A fresh path for the committer; `context` is that of the epoch being left, with the new extensions. */
export async function createPath(
  tree: RatchetTree,
  privatePath: PrivateKeyPath,
  context: GroupContext,
  signatureKey: Bytes,
  newLeaves: number[],
  suite: CiphersuiteImpl,
): Promise<CreatedPath> {
  const leafIndex = toLeafIndex(privatePath.leafIndex)
  const exclude = newLeaves.map((leaf) => leafToNodeIndex(toLeafIndex(leaf)))
  const [newTree, path, pathSecrets, leafKey] = await createUpdatePath(tree, leafIndex, context, signatureKey, suite, exclude)
  const privateKeys: Record<number, Bytes> = { ...privatePath.privateKeys }
  privateKeys[leafToNodeIndex(leafIndex)] = await suite.hpke.exportPrivateKey(leafKey)
  for (const { nodeIndex, secret } of pathSecrets) {
    privateKeys[nodeIndex] = (await nodeKeyPair(secret, suite)).seed
  }
  const last = pathSecrets.at(-1)
  // Alone in the group nobody else needs the secret, so it need not come from a path.
  const commitSecret = last === undefined ? suite.rng.randomBytes(32) : await deriveSecret(last.secret, "path", suite.kdf)
  return { tree: newTree, path, pathSecrets, privatePath: { leafIndex, privateKeys }, commitSecret }
}

/** Applies another member's path and decrypts the secret meant for us. */
export async function applyPath(
  tree: RatchetTree,
  privatePath: PrivateKeyPath,
  committer: number,
  path: UpdatePath,
  context: GroupContext,
  newLeaves: number[],
  suite: CiphersuiteImpl,
): Promise<PathResult> {
  // The library's tree arithmetic does not end for a leaf outside the tree.
  if (leafAt(tree, privatePath.leafIndex) === undefined) throw invalid("own leaf is not in the tree")
  const newTree = await applyUpdatePath(tree, toLeafIndex(committer), path, suite.hash)
  checkUniqueKeys(newTree)
  const exclude = new Set<number>(newLeaves.map((leaf) => leafToNodeIndex(toLeafIndex(leaf))))
  const filtered = filteredDirectPathAndCopathResolution(toLeafIndex(committer), newTree).map(({ nodeIndex, resolution }) => ({
    nodeIndex,
    sentTo: resolution.filter((node) => !exclude.has(node)),
  }))
  for (const [i, { sentTo }] of filtered.entries()) {
    if (path.nodes[i]?.encryptedPathSecret.length !== sentTo.length) throw invalid("path secrets do not match the resolution")
  }
  const own = leafToNodeIndex(toLeafIndex(privatePath.leafIndex))
  const level = filtered.findIndex(({ nodeIndex }) => isAncestor(own, nodeIndex as never, newTree.length))
  const meeting = filtered[level]
  if (meeting === undefined) throw invalid("path does not meet this leaf")
  const position = meeting.sentTo.findIndex((node) => privatePath.privateKeys[node] !== undefined)
  const ciphertext = path.nodes[level]?.encryptedPathSecret[position]
  const seed = privatePath.privateKeys[meeting.sentTo[position] ?? -1]
  if (ciphertext === undefined || seed === undefined) throw invalid("path has no secret for this leaf")
  const provisional = { ...context, epoch: context.epoch + 1n, treeHash: await treeHashRoot(newTree, suite.hash) }
  const pathSecret = await decryptWithLabel(
    await suite.hpke.importPrivateKey(seed),
    "UpdatePathNode",
    encodeGroupContext(provisional),
    ciphertext.kemOutput,
    ciphertext.ciphertext,
    suite.hpke,
  )
  const above = filtered.slice(level).map(({ nodeIndex }) => nodeIndex)
  const { keys, commitSecret } = await deriveUpwards(newTree, above, pathSecret, suite)
  return {
    tree: newTree,
    privatePath: { leafIndex: privatePath.leafIndex, privateKeys: { ...privatePath.privateKeys, ...keys } },
    commitSecret,
  }
}
