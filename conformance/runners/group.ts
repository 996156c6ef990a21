/** Runs the MLS sections of mls-0x004d vectors through the product's engine: life of a member, verdicts on commits, HPKE. */
import { emptyPskIndex, type PskIndex } from "ts-mls/pskIndex.js"
import { decodeRatchetTree, type RatchetTree } from "ts-mls/ratchetTree.js"
import { xwingDeriveKeyPair, xwingPublicKey } from "../../src/crypto/xwing.ts"
import { MlsEngine } from "../../src/group/engine.ts"
import { HPKE_AEAD_ID, HPKE_KDF_ID, HPKE_KEM_ID, hpkeOpen, hpkeReceiveExport, hpkeSeal } from "../../src/group/hpke.ts"
import { type OwnKeyPackage, readKeyPackage } from "../../src/group/key-package.ts"
import type { GroupState } from "../../src/group/state.ts"
import { CIPHERSUITE_ID } from "../../src/group/suite.ts"
import { fromHex, toHex, utf8Encode } from "../../src/wire/bytes.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { RunnerTable } from "../types.ts"

interface ClientCase {
  cipher_suite: number
  key_package: string
  signature_priv: string
  encryption_priv: string
  init_priv: string
  welcome: string
  ratchet_tree?: string | null
  external_psks?: { psk_id: string; psk: string }[]
  initial_epoch_authenticator: string
}
interface Exporter {
  label: string
  context: string
  length: number
}
interface PassiveClientCase extends ClientCase {
  exporter?: Exporter
  initial_exported?: string
  epochs: { proposals: string[]; commit: string; epoch_authenticator: string; exported?: string }[]
  removed?: { proposals?: string[]; commit: string; next_epoch_authenticator: string }
}
interface VerdictCommit {
  commit: string
  proposals?: string[]
  epoch_authenticator?: string
}
interface CommitVerdictCase extends ClientCase {
  must_accept?: VerdictCommit
  must_reject?: VerdictCommit
}
interface HpkeCase {
  kem_id: number
  kdf_id: number
  aead_id: number
  mode: number
  ikm?: string
  skR: string
  pkR: string
  enc: string
  info: string
  aad: string
  pt: string
  ct: string
  exporter_context?: string
  exporter_len?: number
  exported?: string
}

const engine = new MlsEngine()

function expect(actual: string, expected: string, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${actual.slice(0, 64)} is not ${expected.slice(0, 64)}`)
}

function ownPackage(c: ClientCase): Pick<OwnKeyPackage, "keyPackage" | "privateKeys"> {
  if (c.cipher_suite !== CIPHERSUITE_ID) throw new Error(`suite ${c.cipher_suite}`)
  const keyPackage = readKeyPackage(fromHex(c.key_package))
  const privateKeys = {
    initPrivateKey: fromHex(c.init_priv),
    hpkePrivateKey: fromHex(c.encryption_priv),
    signaturePrivateKey: fromHex(c.signature_priv),
  }
  expect(toHex(xwingPublicKey(privateKeys.initPrivateKey)), toHex(keyPackage.initKey), "init key")
  expect(toHex(xwingPublicKey(privateKeys.hpkePrivateKey)), toHex(keyPackage.leafNode.hpkePublicKey), "leaf key")
  return { keyPackage, privateKeys }
}

function pskIndex(c: ClientCase): PskIndex {
  const psks = new Map((c.external_psks ?? []).map(({ psk_id, psk }) => [psk_id, fromHex(psk)]))
  if (psks.size === 0) return emptyPskIndex
  return { findPsk: (id) => (id.psktype === "external" ? psks.get(toHex(id.pskId)) : undefined) }
}

function treeOf(c: ClientCase): RatchetTree | undefined {
  if (c.ratchet_tree === null || c.ratchet_tree === undefined) return undefined
  return decodeRatchetTree(fromHex(c.ratchet_tree), 0)?.[0]
}

async function join(c: ClientCase): Promise<GroupState> {
  const { state } = await engine.join(fromHex(c.welcome), ownPackage(c), { tree: treeOf(c), psks: pskIndex(c) })
  expect(authenticator(state), c.initial_epoch_authenticator, "initial epoch authenticator")
  return state
}

function authenticator(state: GroupState): string {
  return toHex(state.keySchedule.epochAuthenticator)
}

async function withProposals(state: GroupState, proposals: string[] = []): Promise<GroupState> {
  let next = state
  for (const proposal of proposals) next = await engine.acceptProposal(next, fromHex(proposal))
  return next
}

async function checkExport(state: GroupState, exporter: Exporter | undefined, exported: string | undefined): Promise<void> {
  if (exporter === undefined || exported === undefined) return
  const bytes = await engine.exporter(state, exporter.label, contextBytes(exporter.context), exporter.length)
  expect(toHex(bytes), exported, "exported")
}

function contextBytes(context: string): Uint8Array {
  return /^([0-9a-f]{2})*$/.test(context) ? fromHex(context) : utf8Encode(context)
}

async function passiveClient(c: PassiveClientCase): Promise<void> {
  let state = await join(c)
  await checkExport(state, c.exporter, c.initial_exported)
  for (const [i, epoch] of c.epochs.entries()) {
    const before = await withProposals(state, epoch.proposals)
    state = await engine.process(before, fromHex(epoch.commit), pskIndex(c))
    expect(authenticator(state), epoch.epoch_authenticator, `epoch authenticator ${i}`)
    await checkExport(state, c.exporter, epoch.exported)
  }
  if (c.removed === undefined) return
  const last = await withProposals(state, c.removed.proposals)
  try {
    const next = await engine.process(last, fromHex(c.removed.commit), pskIndex(c))
    throw new Error(`a removed member went on to ${authenticator(next)}`)
  } catch (error) {
    if (!isAvError(error, "RemovedFromGroup")) throw error
  }
}

async function commitVerdict(c: CommitVerdictCase): Promise<void> {
  const state = await join(c)
  if (c.must_reject !== undefined) {
    const before = await withProposals(state, c.must_reject.proposals)
    let accepted = true
    try {
      await engine.process(before, fromHex(c.must_reject.commit), pskIndex(c))
    } catch (error) {
      if (!isAvError(error)) throw error
      accepted = false
    }
    if (accepted) throw new Error("a commit that must be refused was accepted")
    expect(authenticator(state), c.initial_epoch_authenticator, "epoch after refusal")
  }
  if (c.must_accept !== undefined) {
    const before = await withProposals(state, c.must_accept.proposals)
    const next = await engine.process(before, fromHex(c.must_accept.commit), pskIndex(c))
    if (next.context.epoch !== state.context.epoch + 1n) throw new Error("epoch did not advance")
    if (c.must_accept.epoch_authenticator !== undefined) {
      expect(authenticator(next), c.must_accept.epoch_authenticator, "epoch authenticator")
    }
  }
}

async function hpke(c: HpkeCase): Promise<void> {
  if (c.kem_id !== HPKE_KEM_ID || c.kdf_id !== HPKE_KDF_ID || c.aead_id !== HPKE_AEAD_ID || c.mode !== 0) {
    throw new Error("another HPKE suite")
  }
  const seed = fromHex(c.skR)
  const enc = fromHex(c.enc)
  const info = fromHex(c.info)
  const aad = fromHex(c.aad)
  expect(toHex(xwingPublicKey(seed)), c.pkR, "public key")
  if (c.ikm !== undefined) expect(toHex(xwingDeriveKeyPair(fromHex(c.ikm)).secretKey), c.skR, "derived key")
  expect(toHex(await hpkeOpen(seed, enc, info, aad, fromHex(c.ct))), c.pt, "plaintext")
  if (c.exported !== undefined) {
    const length = c.exporter_len ?? 32
    expect(toHex(await hpkeReceiveExport(seed, enc, info, fromHex(c.exporter_context ?? ""), length)), c.exported, "exported")
  }
  const sealed = await hpkeSeal(fromHex(c.pkR), info, aad, fromHex(c.pt))
  expect(toHex(await hpkeOpen(seed, sealed.enc, info, aad, sealed.ciphertext)), c.pt, "round trip")
}

export const runners: RunnerTable = {
  "mls-0x004d": { passive_client: passiveClient, commit_verdict: commitVerdict, hpke_xwing: hpke },
}
