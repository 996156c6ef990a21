/**
 * Makes this repository's own MLS vectors: `npx tsx conformance/generate/group.ts`. Fresh keys every time; what is checked is that a member that
 * knows only its private keys follows the history that other members made.
 */
import { writeFile } from "node:fs/promises"
import { createConfirmationTag, createContentCommitSignature } from "ts-mls/framedContent.js"
import { secureRandom } from "../../src/crypto/random.ts"
import { xwingDeriveKeyPair } from "../../src/crypto/xwing.ts"
import { MlsEngine } from "../../src/group/engine.ts"
import { HPKE_AEAD_ID, HPKE_KDF_ID, HPKE_KEM_ID, hpkeReceiveExport, hpkeSeal } from "../../src/group/hpke.ts"
import type { OwnKeyPackage } from "../../src/group/key-package.ts"
import { sealCommit } from "../../src/group/message.ts"
import type { GroupState } from "../../src/group/state.ts"
import { CIPHERSUITE_ID } from "../../src/group/suite.ts"
import { toHex, utf8Encode } from "../../src/wire/bytes.ts"
import type { Bytes } from "../../src/wire/types.ts"

const NOW = 1_760_000_000_000
const EXPORTER = { label: "own vectors", context: toHex(utf8Encode("context")), length: 40 }
const engine = new MlsEngine()

const authenticator = (state: GroupState) => toHex(state.keySchedule.epochAuthenticator)
const exported = async (state: GroupState) =>
  toHex(await engine.exporter(state, EXPORTER.label, utf8Encode("context"), EXPORTER.length))

function client(own: OwnKeyPackage, welcome: Bytes, state: GroupState) {
  return {
    cipher_suite: CIPHERSUITE_ID,
    key_package: toHex(own.bytes),
    signature_priv: toHex(own.privateKeys.signaturePrivateKey),
    encryption_priv: toHex(own.privateKeys.hpkePrivateKey),
    init_priv: toHex(own.privateKeys.initPrivateKey),
    welcome: toHex(welcome),
    ratchet_tree: null,
    initial_epoch_authenticator: authenticator(state),
  }
}

async function start(): Promise<{ own: OwnKeyPackage; welcome: Bytes; founder: GroupState }> {
  const founder = await engine.mint("founder", NOW)
  const own = await engine.mint("client", NOW)
  const made = await engine.commit(await engine.create(secureRandom(16), founder), { adds: [own.keyPackage] })
  return { own, welcome: made.welcome as Bytes, founder: made.next }
}

/** An empty commit, an Add without a path, an Add with Remove, and at last the removal of the client. */
async function passiveClient() {
  const { own, welcome, founder } = await start()
  const initial = { ...client(own, welcome, founder), size: 2, exporter: EXPORTER, initial_exported: await exported(founder) }
  let state = founder
  const epochs: object[] = []
  const follow = async (kind: string, operations: Parameters<MlsEngine["commit"]>[1], forcePath: boolean) => {
    const made = await engine.commit(state, operations, { forcePath })
    state = made.next
    const members = state.tree.filter((node) => node?.nodeType === "leaf").length
    const commit = toHex(made.bytes)
    epochs.push({
      proposals: [],
      commit,
      kind,
      members,
      epoch_authenticator: authenticator(state),
      exported: await exported(state),
    })
  }
  await follow("U", {}, true)
  await follow("A1", { adds: [(await engine.mint("third", NOW)).keyPackage] }, false)
  await follow("R1", { removes: [2] }, true)
  const last = await engine.commit(state, { removes: [1] })
  const removed = { commit: toHex(last.bytes), next_epoch_authenticator: authenticator(last.next) }
  return { ...initial, epochs, removed }
}

/** A Remove with its path, and one of the same member without. */
async function commitVerdict() {
  const { founder } = await start()
  const third = await engine.mint("third", NOW)
  const added = await engine.commit(founder, { adds: [third.keyPackage] })
  const { suite } = engine
  const state = added.next
  const joined = await engine.mint("late", NOW)
  const late = await engine.commit(state, { removes: [1], adds: [joined.keyPackage] })
  const { framedContent, signature } = await createContentCommitSignature(
    late.next.context,
    "mls_private_message",
    {
      proposals: [{ proposalOrRefType: "proposal", proposal: { proposalType: "remove", remove: { removed: 2 } } }],
      path: undefined,
    },
    { senderType: "member", leafIndex: 0 },
    new Uint8Array(),
    late.next.signatureKey,
    suite.signature,
  )
  const confirmationTag = await createConfirmationTag(late.next.keySchedule.confirmationKey, secureRandom(32), suite.hash)
  const auth = { contentType: "commit" as const, signature, confirmationTag }
  const pathless = await sealCommit(late.next, framedContent, auth, suite)
  const accepted = await engine.commit(pathless.state, { removes: [2] })
  return {
    ...client(joined, late.welcome as Bytes, late.next),
    must_reject: { commit: toHex(pathless.bytes), why: "Remove without a path" },
    must_accept: { commit: toHex(accepted.bytes), epoch_authenticator: authenticator(accepted.next) },
  }
}

async function hpke() {
  const ikm = secureRandom(32)
  const { publicKey, secretKey } = xwingDeriveKeyPair(ikm)
  const [info, aad, pt, context] = ["some info", "some data", "some text", "export"].map(utf8Encode) as [
    Bytes,
    Bytes,
    Bytes,
    Bytes,
  ]
  const { enc, ciphertext } = await hpkeSeal(publicKey, info, aad, pt)
  const exportedBytes = await hpkeReceiveExport(secretKey, enc, info, context, 24)
  return {
    kem_id: HPKE_KEM_ID,
    kdf_id: HPKE_KDF_ID,
    aead_id: HPKE_AEAD_ID,
    mode: 0,
    ikm: toHex(ikm),
    skR: toHex(secretKey),
    pkR: toHex(publicKey),
    enc: toHex(enc),
    info: toHex(info),
    aad: toHex(aad),
    pt: toHex(pt),
    ct: toHex(ciphertext),
    exporter_context: toHex(context),
    exporter_len: 24,
    exported: toHex(exportedBytes),
  }
}

async function write(name: string, sections: object): Promise<void> {
  const file = { format: "mls-0x004d-vectors/1", note: "Made by conformance/generate/group.ts.", sections }
  await writeFile(new URL(`../vectors/${name}.json`, import.meta.url), `${JSON.stringify(file, undefined, 1)}\n`)
}

await write("mls-0x004d-client", { passive_client: [await passiveClient()], hpke_xwing: [await hpke()] })
await write("mls-0x004d-verdict", { commit_verdict: [await commitVerdict()] })
