/** The MLS working group's vectors, as far as they touch parts that suite 0x004D shares: everything but the KEM. Skipped where absent. */
import { existsSync, readFileSync } from "node:fs"
import { decodeAuthenticatedContent } from "ts-mls/authenticatedContent.js"
import { determineLength } from "ts-mls/codec/variableLength.js"
import { encodeCommit } from "ts-mls/commit.js"
import { refhash } from "ts-mls/crypto/hash.js"
import { deriveSecret, deriveTreeSecret, expandWithLabel } from "ts-mls/crypto/kdf.js"
import { signWithLabel, verifyWithLabel } from "ts-mls/crypto/signature.js"
import { encodeGroupContext, type GroupContext } from "ts-mls/groupContext.js"
import { initializeEpoch, mlsExporter } from "ts-mls/keySchedule.js"
import type { PreSharedKeyID } from "ts-mls/presharedkey.js"
import { decodeProposal, encodeProposal } from "ts-mls/proposal.js"
import { accumulatePskSecret } from "ts-mls/pskIndex.js"
import { addLeafNode, decodeRatchetTree, encodeRatchetTree, removeLeafNode, updateLeafNode } from "ts-mls/ratchetTree.js"
import { createSecretTree, deriveKey, deriveNonce, ratchetUntil } from "ts-mls/secretTree.js"
import { expandSenderDataKey, expandSenderDataNonce } from "ts-mls/sender.js"
import { createConfirmedHash, createInterimHash } from "ts-mls/transcriptHash.js"
import { treeHashRoot } from "ts-mls/treeHash.js"
import { left, parent, right, root, toLeafIndex, toNodeIndex } from "ts-mls/treemath.js"
import { describe, expect, test } from "vitest"
import { secureRandom } from "../crypto/random.ts"
import { fromHex, toHex } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"
import { MlsEngine } from "./engine.ts"
import { decodeMessage, openMessage } from "./message.ts"
import { type GroupState, RETENTION } from "./state.ts"
import { makeSuite } from "./suite.ts"

const FOLDER = new URL("../../../shared/vectors/public/mlswg", import.meta.url).pathname
const present = existsSync(FOLDER)
/** MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519: same hash, KDF, AEAD and signature as ours. */
const SIBLING = 3
const SIBLING_NAME = "MLS_128_DHKEMX25519_CHACHA20POLY1305_SHA256_Ed25519"
const suite = makeSuite(secureRandom)

// biome-ignore lint/suspicious/noExplicitAny: foreign JSON, read member by member below
type Case = any

function cases(file: string, suites: number[] = [SIBLING]): Case[] {
  if (!present) return []
  const all: Case[] = JSON.parse(readFileSync(`${FOLDER}/${file}.json`, "utf8"))
  return all.filter((c) => c.cipher_suite === undefined || suites.includes(c.cipher_suite))
}

const title = present ? "working group vectors" : `working group vectors (skipped: no ${FOLDER})`

describe.skipIf(!present)(title, () => {
  test("crypto basics", async () => {
    for (const c of cases("crypto-basics")) {
      expect(toHex(await refhash(c.ref_hash.label, fromHex(c.ref_hash.value), suite.hash))).toBe(c.ref_hash.out)
      const e = c.expand_with_label
      expect(toHex(await expandWithLabel(fromHex(e.secret), e.label, fromHex(e.context), e.length, suite.kdf))).toBe(e.out)
      expect(toHex(await deriveSecret(fromHex(c.derive_secret.secret), c.derive_secret.label, suite.kdf))).toBe(
        c.derive_secret.out,
      )
      const d = c.derive_tree_secret
      expect(toHex(await deriveTreeSecret(fromHex(d.secret), d.label, d.generation, d.length, suite.kdf))).toBe(d.out)
      const s = c.sign_with_label
      expect(await verifyWithLabel(fromHex(s.pub), s.label, fromHex(s.content), fromHex(s.signature), suite.signature)).toBe(true)
      const own = await signWithLabel(fromHex(s.priv), s.label, fromHex(s.content), suite.signature)
      expect(await verifyWithLabel(fromHex(s.pub), s.label, fromHex(s.content), own, suite.signature)).toBe(true)
    }
  })

  test("lengths", () => {
    for (const c of cases("deserialization")) expect(determineLength(fromHex(c.vlbytes_header)).length).toBe(c.length)
  })

  test("tree arithmetic", () => {
    for (const c of cases("tree-math")) {
      expect(root(c.n_leaves)).toBe(c.root)
      for (let i = 0; i < c.n_nodes; i++) {
        if (c.left[i] !== null) expect(left(toNodeIndex(i))).toBe(c.left[i])
        if (c.right[i] !== null) expect(right(toNodeIndex(i))).toBe(c.right[i])
        if (c.parent[i] !== null) expect(parent(toNodeIndex(i), c.n_leaves)).toBe(c.parent[i])
      }
    }
  })

  test("tree operations", async () => {
    for (const c of cases("tree-operations", [1])) {
      const before = decodeRatchetTree(fromHex(c.tree_before), 0)?.[0]
      const proposal = decodeProposal(fromHex(c.proposal), 0)?.[0]
      if (before === undefined || proposal === undefined) throw new Error("vector does not decode")
      expect(toHex(await treeHashRoot(before, suite.hash))).toBe(c.tree_hash_before)
      let after = before
      if (proposal.proposalType === "add") [after] = addLeafNode(before, proposal.add.keyPackage.leafNode)
      if (proposal.proposalType === "remove") after = removeLeafNode(before, toLeafIndex(proposal.remove.removed))
      if (proposal.proposalType === "update")
        after = updateLeafNode(before, proposal.update.leafNode, toLeafIndex(c.proposal_sender))
      expect(toHex(encodeRatchetTree(after))).toBe(c.tree_after)
      expect(toHex(await treeHashRoot(after, suite.hash))).toBe(c.tree_hash_after)
    }
  })

  test("key schedule", async () => {
    for (const c of cases("key-schedule")) {
      let initSecret = fromHex(c.initial_init_secret)
      for (const [i, e] of c.epochs.entries()) {
        const context = contextOf(c.group_id, BigInt(i), e.tree_hash, e.confirmed_transcript_hash)
        expect(toHex(encodeGroupContext(context))).toBe(e.group_context)
        const secrets = await initializeEpoch(initSecret, fromHex(e.commit_secret), context, fromHex(e.psk_secret), suite.kdf)
        const { keySchedule } = secrets
        expect(toHex(secrets.joinerSecret)).toBe(e.joiner_secret)
        expect(toHex(secrets.welcomeSecret)).toBe(e.welcome_secret)
        expect(toHex(secrets.encryptionSecret)).toBe(e.encryption_secret)
        expect(toHex(keySchedule.initSecret)).toBe(e.init_secret)
        expect(toHex(keySchedule.epochAuthenticator)).toBe(e.epoch_authenticator)
        expect(toHex(keySchedule.confirmationKey)).toBe(e.confirmation_key)
        const { label, context: exporterContext, length, secret } = e.exporter
        expect(toHex(await mlsExporter(keySchedule.exporterSecret, label, fromHex(exporterContext), length, suite))).toBe(secret)
        initSecret = keySchedule.initSecret
      }
    }
  })

  test("pre-shared keys", async () => {
    for (const c of cases("psk_secret", [1, 2, 3])) {
      const ids = c.psks.map(
        (psk: Case): PreSharedKeyID => ({ psktype: "external", pskId: fromHex(psk.psk_id), pskNonce: fromHex(psk.psk_nonce) }),
      )
      const byId = new Map<string, Bytes>(c.psks.map((psk: Case) => [psk.psk_id, fromHex(psk.psk)]))
      const index = { findPsk: (id: PreSharedKeyID) => (id.psktype === "external" ? byId.get(toHex(id.pskId)) : undefined) }
      const [secret] = await accumulatePskSecret(ids, index, suite, new Uint8Array(32))
      expect(toHex(secret)).toBe(c.psk_secret)
    }
  })

  test("secret tree", async () => {
    for (const c of cases("secret-tree")) {
      const { sender_data_secret, ciphertext, key, nonce } = c.sender_data
      expect(toHex(await expandSenderDataKey(suite, fromHex(sender_data_secret), fromHex(ciphertext)))).toBe(key)
      expect(toHex(await expandSenderDataNonce(suite, fromHex(sender_data_secret), fromHex(ciphertext)))).toBe(nonce)
      const tree = await createSecretTree(c.leaves.length, fromHex(c.encryption_secret), suite.kdf)
      for (const [i, generations] of c.leaves.entries()) {
        for (const g of generations) {
          const node = tree[i * 2]
          if (node === undefined) throw new Error("no such leaf")
          const [application] = await ratchetUntil(node.application, g.generation, RETENTION, suite.kdf)
          const [handshake] = await ratchetUntil(node.handshake, g.generation, RETENTION, suite.kdf)
          expect(toHex(await deriveKey(application.secret, g.generation, suite))).toBe(g.application_key)
          expect(toHex(await deriveNonce(application.secret, g.generation, suite))).toBe(g.application_nonce)
          expect(toHex(await deriveKey(handshake.secret, g.generation, suite))).toBe(g.handshake_key)
          expect(toHex(await deriveNonce(handshake.secret, g.generation, suite))).toBe(g.handshake_nonce)
        }
      }
    }
  })

  test("message protection", async () => {
    for (const c of cases("message-protection")) {
      const state = await memberState(c)
      const open = async (hex: string) => (await openMessage(state, decodeMessage(fromHex(hex)), suite)).content.content
      for (const hex of [c.proposal_priv, c.proposal_pub]) {
        const content = await open(hex)
        if (content.contentType !== "proposal") throw new Error("not a proposal")
        expect(toHex(encodeProposal(content.proposal))).toBe(c.proposal)
      }
      for (const hex of [c.commit_priv, c.commit_pub]) {
        const content = await open(hex)
        if (content.contentType !== "commit") throw new Error("not a commit")
        expect(toHex(encodeCommit(content.commit))).toBe(c.commit)
      }
      const content = await open(c.application_priv)
      if (content.contentType !== "application") throw new Error("not application data")
      expect(toHex(content.applicationData)).toBe(c.application)
    }
  })

  test("transcript hashes", async () => {
    for (const c of cases("transcript-hashes")) {
      const authenticated = decodeAuthenticatedContent(fromHex(c.authenticated_content), 0)?.[0]
      if (authenticated?.content.contentType !== "commit" || authenticated.auth.contentType !== "commit")
        throw new Error("not a commit")
      const { content, auth, wireformat } = authenticated
      const input = { wireformat, content, signature: auth.signature }
      const confirmed = await createConfirmedHash(fromHex(c.interim_transcript_hash_before), input, suite.hash)
      expect(toHex(confirmed)).toBe(c.confirmed_transcript_hash_after)
      expect(toHex(await createInterimHash(confirmed, auth.confirmationTag, suite.hash))).toBe(c.interim_transcript_hash_after)
      expect(await suite.hash.verifyMac(fromHex(c.confirmation_key), auth.confirmationTag, confirmed)).toBe(true)
    }
  })
})

function contextOf(groupId: string, epoch: bigint, treeHash: string, transcript: string): GroupContext {
  return {
    version: "mls10",
    cipherSuite: SIBLING_NAME,
    groupId: fromHex(groupId),
    epoch,
    treeHash: fromHex(treeHash),
    confirmedTranscriptHash: fromHex(transcript),
    extensions: [],
  }
}

/** Two members, the second being the sender of everything (as the vector format says). */
async function memberState(c: Case): Promise<GroupState> {
  const engine = new MlsEngine()
  const [first, sender] = await Promise.all(["first", "sender"].map((name) => engine.mint(name, 1_750_000_000_000)))
  if (first === undefined || sender === undefined) throw new Error("no packages")
  const base = await engine.create(new Uint8Array(1), first)
  const leaf = { ...sender.keyPackage.leafNode, signaturePublicKey: fromHex(c.signature_pub) }
  return {
    ...base,
    context: contextOf(c.group_id, BigInt(c.epoch), c.tree_hash, c.confirmed_transcript_hash),
    tree: [base.tree[0], undefined, { nodeType: "leaf", leaf }],
    secretTree: await createSecretTree(2, fromHex(c.encryption_secret), suite.kdf),
    keySchedule: {
      ...base.keySchedule,
      senderDataSecret: fromHex(c.sender_data_secret),
      membershipKey: fromHex(c.membership_key),
    },
  }
}
