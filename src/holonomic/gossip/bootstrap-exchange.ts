/**
 * How a newcomer and somebody who is there decide about each other: a challenge, a chain of grants, a verdict. It gives trust and
 * service, never membership of anything (N1). Both sides, without I/O.
 */
import { hybridVerify } from "../../crypto/index.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import { equalBytes, toBase64 } from "../../wire/bytes.ts"
import type { Bytes, Milliseconds, PeerKeyId, RandomBytes } from "../../wire/types.ts"
import type { TrustRevokeBody } from "../claims/bodies.ts"
import { bootstrapChallengeBytes } from "../claims/digests.ts"
import { CLAIM_VERSION, type ClaimStatement, signedClaimBytes } from "../claims/signed-claim.ts"
import type { TrustGraph } from "../trust/bootstrap.ts"
import { bootstrapLinked, type LinkedVerdict } from "../trust/linked.ts"
import { judged, keysMatch, type PeerKeys, type SignedClaim, type VerifyHybrid, verifyClaim } from "../trust/verified.ts"
import type { HoloMessageOf } from "./messages.ts"

export const BOOTSTRAP_KIND = "bootstrap_hello"
/** A nonce is good once, for this long. */
const NONCE_LASTS_MS = 30_000
/** Newcomers that have a nonce at once. */
const MAX_NONCES = 256

/** A chain of grants with the keys of its signers: what a peer shows about itself. */
export interface OwnChain {
  chain: readonly SignedClaim[]
  keys: readonly PeerKeys[]
}

/** What is trusted here, now. */
export interface TrustView {
  graph: TrustGraph
  revokes: readonly TrustRevokeBody[]
  nowUnixMs: Milliseconds
}

/** The side that is asked. */
export class BootstrapHost {
  readonly #self: PeerKeyId
  readonly #random: RandomBytes
  readonly #verify: VerifyHybrid
  readonly #nonces = new Map<PeerKeyId, { nonce: Bytes; untilMs: Milliseconds }>()

  constructor(self: PeerKeyId, random: RandomBytes, verify: VerifyHybrid = hybridVerify) {
    this.#self = self
    this.#random = random
    this.#verify = verify
  }

  /** A challenge for somebody who said hello; it replaces an earlier one. */
  challenge(
    peer: PeerKeyId,
    own: OwnChain & { keys: readonly PeerKeys[]; ownKeys: PeerKeys },
    nowMs: Milliseconds,
  ): HoloMessageOf<"holo.challenge"> {
    const nonce = this.#random(32)
    this.#nonces.delete(peer)
    if (this.#nonces.size >= MAX_NONCES) this.#nonces.delete(this.#nonces.keys().next().value!)
    this.#nonces.set(peer, { nonce, untilMs: nowMs + NONCE_LASTS_MS })
    return { t: "holo.challenge", nonce, keys: own.ownKeys, chain: [...own.chain], chainKeys: [...own.keys] }
  }

  /** What the answer to the challenge is worth. @param keys of the peer, as its session has proven them */
  async judge(
    peer: PeerKeyId,
    keys: PeerKeys,
    { candidate, chain, chainKeys }: HoloMessageOf<"holo.bootstrap">,
    view: TrustView,
  ): Promise<LinkedVerdict> {
    const waiting = this.#nonces.get(peer)
    this.#nonces.delete(peer)
    // Nobody asked: nothing is verified for it.
    if (waiting === undefined) return { kind: "Refuse", reason: "CandidateStale" }
    const signed = candidate.signerPeerId === peer && (await verifyClaim(candidate, keys, this.#verify))
    const answered =
      view.nowUnixMs <= waiting.untilMs &&
      candidate.claimKind === BOOTSTRAP_KIND &&
      equalBytes(candidate.claimBytes, bootstrapChallengeBytes(waiting.nonce, this.#self))
    if (signed && answered) await verifyChain(chain, chainKeys, this.#verify)
    return bootstrapLinked({
      candidate: { signerPeerId: peer, verified: signed },
      fresh: answered,
      graph: view.graph,
      chain: chain.map(judged),
      revokes: view.revokes,
      nowUnixMs: BigInt(Math.floor(view.nowUnixMs)),
    })
  }
}

/** The newcomer's look at the peer it asks: the same rules. Its session has shown who it is. */
export async function judgeHost(
  host: PeerKeyId,
  { chain, chainKeys }: HoloMessageOf<"holo.challenge">,
  view: TrustView,
  verify: VerifyHybrid = hybridVerify,
): Promise<LinkedVerdict> {
  await verifyChain(chain, chainKeys, verify)
  return bootstrapLinked({
    candidate: { signerPeerId: host, verified: true },
    fresh: true,
    graph: view.graph,
    chain: chain.map(judged),
    revokes: view.revokes,
    nowUnixMs: BigInt(Math.floor(view.nowUnixMs)),
  })
}

/** The newcomer's answer to a challenge of `host`. */
export async function bootstrapAnswer(
  host: PeerKeyId,
  nonce: Bytes,
  own: OwnChain,
  signer: IdentitySigner,
  nowUnixMs: Milliseconds,
): Promise<HoloMessageOf<"holo.bootstrap">> {
  const candidate = await signClaim(signer, BOOTSTRAP_KIND, bootstrapChallengeBytes(nonce, host), nowUnixMs)
  return { t: "holo.bootstrap", candidate, chain: [...own.chain], chainKeys: [...own.keys] }
}

/** A verified claim of one's own. */
export async function signClaim(
  signer: IdentitySigner,
  claimKind: string,
  claimBytes: Bytes,
  nowUnixMs: Milliseconds,
): Promise<SignedClaim> {
  const statement: ClaimStatement = {
    claimKind,
    signerPeerId: signer.keyId,
    claimBytes,
    signedAtUnixMs: BigInt(Math.floor(nowUnixMs)),
    claimVersion: CLAIM_VERSION,
    userOwner: null,
    delegatesTo: null,
    identityOccurrence: null,
  }
  const { ed, pq } = await signer.signHybrid(signedClaimBytes(statement))
  const claim = { ...statement, signatureEd25519Base64: toBase64(ed), signatureMlDsa65Base64: toBase64(pq) }
  await verifyClaim(claim, { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey })
  return claim
}

/** Verifies what can be verified with the keys that came along; the rules refuse the rest. */
async function verifyChain(chain: readonly SignedClaim[], keys: readonly PeerKeys[], verify: VerifyHybrid): Promise<void> {
  for (const claim of chain) {
    const own = keys.find((pair) => keysMatch(claim.signerPeerId, pair))
    if (own !== undefined) await verifyClaim(claim, own, verify)
  }
}
