/** Signatures, key encapsulation and the link key exchange: what a peer pays per link, not per frame. */
import {
  ed25519Sign,
  ed25519Verify,
  hasNativeMlDsa,
  hasNativeMlKem,
  hybridVerify,
  mlKemDecapsulate,
  mlKemEncapsulate,
  mlKemKeyPair,
  secureRandom,
  xwingDecapsulate,
  xwingEncapsulate,
  xwingPublicKey,
} from "../../src/crypto/index.ts"
import { MlsEngine } from "../../src/group/index.ts"
import { createIdentity, type IdentitySigner, privateEd25519 } from "../../src/identity/index.ts"
import { type KexAction, KexMachine } from "../../src/link/kex.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

/** Operations per sample. */
const POOL = 4

async function measure(effort: Effort): Promise<BenchRow[]> {
  const signer = await createIdentity()
  const message = secureRandom(300)
  const hybrid = await signer.signHybrid(message)
  const keys = { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey }
  const edKey = await privateEd25519(secureRandom(32))
  const mlKem = await mlKemKeyPair()
  const sealed = await mlKemEncapsulate(mlKem.publicKey)
  const xwingSeed = secureRandom(32)
  const xwingKey = xwingPublicKey(xwingSeed)
  const xwing = await xwingEncapsulate(xwingKey)
  const engine = new MlsEngine()
  const operations: [string, () => Promise<unknown>][] = [
    ["Ed25519 sign", () => ed25519Sign(edKey, message)],
    ["Ed25519 verify (strict)", () => ed25519Verify(signer.entityId, message, hybrid.ed)],
    ["hybrid sign (Ed25519 + ML-DSA-65)", () => signer.signHybrid(message)],
    ["hybrid verify", () => mustBeTrue(hybridVerify(keys, message, hybrid))],
    ["ML-KEM-768 encapsulate", () => mlKemEncapsulate(mlKem.publicKey)],
    ["ML-KEM-768 decapsulate", () => mlKemDecapsulate(mlKem.secretKey, sealed.ciphertext)],
    ["X-Wing encapsulate", () => xwingEncapsulate(xwingKey)],
    ["X-Wing decapsulate", () => xwingDecapsulate(xwingSeed, xwing.ciphertext)],
    ["mint a KeyPackage", () => engine.mint("peer", Date.now())],
    ["av.kex, both sides", await keyExchange()],
  ]
  const [dsa, kem] = await Promise.all([hasNativeMlDsa(), hasNativeMlKem()])
  const implementation = `${dsa ? "native" : "JavaScript"} ML-DSA, ${kem ? "native" : "JavaScript"} ML-KEM`
  const rows: BenchRow[] = []
  for (const [operation, run] of operations) {
    const us = await microseconds(effort, { operations: POOL, run: () => inTurn(run) })
    rows.push({ operation, median_us: round(us), implementation })
  }
  return rows
}

async function inTurn(run: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < POOL; i++) await run()
}

async function mustBeTrue(result: Promise<boolean>): Promise<void> {
  if (!(await result)) throw new Error("a good signature was refused")
}

/** A whole run of the exchange, the network left out. */
async function keyExchange(): Promise<() => Promise<void>> {
  const [one, two] = await Promise.all([createIdentity(), createIdentity()])
  const [low, high] = one.keyId < two.keyId ? [one, two] : [two, one]
  return async () => {
    const initiator = machineOf(low, high)
    const responder = machineOf(high, low)
    const answer = await responder.receive(1, bodyOf(await initiator.start(0)), 0)
    const end = await initiator.receive(2, bodyOf(answer), 0)
    await responder.receive(3, bodyOf(end), 0)
  }
}

function machineOf(own: IdentitySigner, other: IdentitySigner): KexMachine {
  const { keyId, entityId, mlDsaPublicKey } = other
  const sign = (message: Bytes) => own.signHybrid(message)
  return new KexMachine({ keyId: own.keyId, peer: { keyId, entityId, mlDsaPublicKey }, sign, random: secureRandom }, 0)
}

function bodyOf(actions: KexAction[]): Bytes {
  const sent = actions.find((action) => action.kind === "send")
  if (sent === undefined) throw new Error("the exchange stopped")
  return sent.body
}

export const signatures: Subject = {
  name: "signatures",
  title: "Signatures, key encapsulation and the link key exchange",
  note: "av.kex is CPU time of both sides together: two hybrid signatures, two verifications, X25519 and ML-KEM-768.",
  run: measure,
}
