/** Who must not get in: the wanderer of the comeback with a chain, an answer or a signature that is not right. Each at a live peer. */

import type { MeshPeer } from "../../src/holonomic/gossip/virtual-mesh.ts"
import {
  bootstrapAnswer,
  type HoloMessage,
  type LinkedRefusal,
  type OwnChain,
  type SignedClaim,
  signClaim,
  trustGrantBytes,
  trustRevokeBytes,
} from "../../src/holonomic/index.ts"
import { keysOf } from "../../src/holonomic/testing.ts"
import type { IdentitySigner } from "../../src/identity/index.ts"
import { extended, peerNumber, type Revived, revive, type SavedWorld } from "./world.ts"

/** What did not hold. */
export async function negatives(world: SavedWorld, seed: number): Promise<string[]> {
  const failures: string[] = []
  const { chain, keys } = world.wanderer.chain
  const first = { ...chain[0]!, signatureMlDsa65Base64: "" }
  const refusals: [what: string, chain: OwnChain, reason: LinkedRefusal][] = [
    ["claims of the root that do not concern it", strangers(world), "ChainUnlinked"],
    ["a grant without its second signature", { chain: [first, ...chain.slice(1)], keys }, "SignatureInvalid"],
    ["nothing to show", { chain: [], keys: [] }, "ChainExhausted"],
  ]
  for (const [i, [what, shown, reason]] of refusals.entries()) {
    const { revived, contact } = await placeOf(world, seed, i)
    await arrive(revived, world, contact, shown)
    judge(failures, what, contact, world, reason)
  }
  failures.push(...(await revoked(world, seed)), ...(await wrongAnswers(world, seed)), ...(await halfSigned(world, seed)))
  return failures
}

/** Every grant to somebody else that the live peers show: signed by the root, or by somebody it trusts. */
function strangers(world: SavedWorld): OwnChain {
  const { chain, keys } = world.live[0]!.chain
  return { chain: [world.wanderer.chain.chain[0]!, ...chain], keys: [...world.wanderer.chain.keys, ...keys] }
}

/** From the root to the wanderer, each link good. */
async function longChain(world: SavedWorld): Promise<OwnChain> {
  const between = await Promise.all([61, 62, 63, 64, 65].map(peerNumber))
  const line = [world.root, ...between, world.wanderer.signer]
  let shown: OwnChain = { chain: [], keys: [] }
  for (const [i, granter] of line.slice(0, -1).entries()) {
    shown = extended(shown, await grant(granter, line[i + 1]!, world.nowMs), granter)
  }
  return shown
}

/** The grant of the wanderer was taken back while it was away; only the live peers know. */
async function revoked(world: SavedWorld, seed: number): Promise<string[]> {
  const failures: string[] = []
  const { revived, contact } = await placeOf(world, seed, 2)
  const { granter, wanderer } = world
  const body = { granter: granter.keyId, grantee: wanderer.signer.keyId, revokedAtUnixMs: BigInt(world.nowMs) }
  const claim = await signClaim(granter, "trust_revoke", trustRevokeBytes(body), world.nowMs)
  await revived.live[0]!.node.learn(claim, keysOf(granter), revived.mesh.nowMs)
  await revived.mesh.run(5_000)
  await arrive(revived, world, contact, wanderer.chain)
  judge(failures, "its grant was taken back", contact, world, "GrantRevoked")
  return failures
}

/** It answers another challenge than the one it got, with one signature, or with too long a chain; and then again, rightly but too late. */
async function wrongAnswers(world: SavedWorld, seed: number): Promise<string[]> {
  const failures: string[] = []
  const { signer, chain } = world.wanderer
  const answers: [what: string, nonce: "right" | "wrong", pqHalf: boolean, chain: OwnChain, reason: LinkedRefusal][] = [
    ["an answer to another challenge", "wrong", true, chain, "CandidateStale"],
    ["an answer without its second signature", "right", false, chain, "SignatureInvalid"],
    // Too long for any message: given to the peer as it would be read.
    ["a chain of six", "right", true, await longChain(world), "ChainTooLong"],
  ]
  for (const [i, [what, which, pqHalf, shown, reason]] of answers.entries()) {
    const { revived, contact } = await placeOf(world, seed, i + 3)
    const { mesh } = revived
    // A node without roots says hello and answers no challenge: what it says is said for it.
    const silent = await mesh.add(signer)
    let nonce: Uint8Array | undefined
    mesh.watch = (from, frame) => {
      if (from !== contact.signer.keyId || frame.kind !== "message") return
      if (frame.message.t === "holo.challenge") nonce = frame.message.nonce
    }
    await mesh.link(silent, contact, false)
    await mesh.run(1_000)
    if (nonce === undefined) failures.push(`${what}: nobody asked`)
    const answered = which === "right" && nonce !== undefined ? nonce : new Uint8Array(32).fill(7)
    const message = await bootstrapAnswer(contact.signer.keyId, answered, shown, signer, mesh.nowMs)
    const candidate = pqHalf ? message.candidate : { ...message.candidate, signatureMlDsa65Base64: "" }
    await mesh.inject(signer.keyId, contact, { kind: "message", message: { ...message, candidate } })
    judge(failures, what, contact, world, reason)
    const right = await bootstrapAnswer(contact.signer.keyId, nonce ?? answered, chain, signer, mesh.nowMs)
    await mesh.inject(signer.keyId, contact, { kind: "message", message: right })
    judge(failures, `${what}, then a right one to the used challenge`, contact, world, reason)
  }
  return failures
}

/** Somebody who is let in sends a claim and a witness with one signature. */
async function halfSigned(world: SavedWorld, seed: number): Promise<string[]> {
  const failures: string[] = []
  const { revived, contact } = await placeOf(world, seed, 5)
  const { mesh } = revived
  const { signer, chain } = world.wanderer
  const wanderer = await mesh.add(signer, { trust: { roots: [world.root.keyId], chain } })
  await mesh.link(wanderer, contact, false)
  await mesh.run(90_000)
  const witness = (await wanderer.node.ledger.witnesses(signer.keyId)).at(-1)
  const claim = await grant(signer, contact.signer, mesh.nowMs)
  const sent: [message: HoloMessage, code: string][] = [
    [{ t: "holo.claim", ...claim, signatureMlDsa65Base64: "", keys: keysOf(signer) }, "SignatureInvalid"],
    ...(witness === undefined
      ? []
      : ([[{ t: "holo.witness", ...witness, signatureMlDsa65: "" }, "PqcMissing"]] as [HoloMessage, string][])),
  ]
  if (witness === undefined) failures.push("one signature: no witness to try it on")
  for (const [message, code] of sent) {
    contact.events.length = 0
    await mesh.inject(signer.keyId, contact, { kind: "message", message })
    const refused = contact.events.some((event) => event.type === "rejected" && event.what === message.t && event.code === code)
    if (!refused) failures.push(`${message.t} with one signature: not ${code}`)
  }
  return failures
}

function grant(granter: IdentitySigner, grantee: IdentitySigner, nowMs: number): Promise<SignedClaim> {
  const body = {
    granter: granter.keyId,
    grantee: grantee.keyId,
    grantedAtUnixMs: BigInt(Math.floor(nowMs)),
    chainDepth: 0,
    weight: 255,
    expiresAtUnixMs: 0n,
  }
  return signClaim(granter, "trust_grant", trustGrantBytes(body), nowMs)
}

/** The live peers at the time of the return, and the one of them that is asked. */
async function placeOf(world: SavedWorld, seed: number, at: number): Promise<{ revived: Revived; contact: MeshPeer }> {
  const revived = await revive(world, { seed, reorder: true })
  return { revived, contact: revived.live[at % revived.live.length]! }
}

async function arrive({ mesh }: Revived, world: SavedWorld, contact: MeshPeer, chain: OwnChain): Promise<void> {
  const wanderer = await mesh.add(world.wanderer.signer, { trust: { roots: [world.root.keyId], chain } })
  await mesh.link(wanderer, contact, false)
  await mesh.run(2_000)
}

function judge(failures: string[], what: string, contact: MeshPeer, world: SavedWorld, reason: LinkedRefusal): void {
  const { keyId } = world.wanderer.signer
  if (contact.events.some((event) => event.type === "admitted" && event.peer === keyId)) failures.push(`${what}: let in`)
  const refused = contact.events.find((event) => event.type === "refused" && event.peer === keyId && event.by === "us")
  if (refused?.type !== "refused") failures.push(`${what}: not refused`)
  else if (refused.reason !== reason) failures.push(`${what}: ${refused.reason} instead of ${reason}`)
}
