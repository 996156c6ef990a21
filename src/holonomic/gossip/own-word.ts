/** What a node says in its own name: signed claims about contents and about whom it trusts, which it learns like anybody else's. */
import type { Bytes, Milliseconds, U64 } from "../../wire/types.ts"
import { consentBytes, type TrustGrantBody, type TrustRevokeBody, trustGrantBytes, trustRevokeBytes } from "../claims/bodies.ts"
import { CONSENT_GRANTS, CONSENT_REVOKES } from "../content/consent.ts"
import type { ContentRef } from "../content/manifest.ts"
import type { SignedClaim } from "../trust/verified.ts"
import { signClaim } from "./bootstrap-exchange.ts"
import type { ClaimGossip } from "./claim-gossip.ts"
import { type NodeContext, unixMs } from "./context.ts"

export class OwnWord {
  readonly #context: Pick<NodeContext, "signer" | "self">
  readonly #claims: Pick<ClaimGossip, "learn">

  constructor(context: Pick<NodeContext, "signer" | "self">, claims: Pick<ClaimGossip, "learn">) {
    this.#context = context
    this.#claims = claims
  }

  async say(kind: string, bytes: Bytes, nowMs: Milliseconds): Promise<SignedClaim> {
    const { signer } = this.#context
    const claim = await signClaim(signer, kind, bytes, nowMs)
    await this.#claims.learn(claim, { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey }, undefined, nowMs)
    return claim
  }

  /** Until a time or (0) without end. */
  grant(ref: ContentRef, expiresAtUnixMs: U64, nowMs: Milliseconds): Promise<SignedClaim> {
    return this.#consent(ref, CONSENT_GRANTS, expiresAtUnixMs, nowMs)
  }

  revoke(ref: ContentRef, nowMs: Milliseconds): Promise<SignedClaim> {
    return this.#consent(ref, CONSENT_REVOKES, 0n, nowMs)
  }

  grantTrust(grant: Omit<TrustGrantBody, "granter">, nowMs: Milliseconds): Promise<SignedClaim> {
    return this.say("trust_grant", trustGrantBytes({ ...grant, granter: this.#context.self }), nowMs)
  }

  revokeTrust(revoke: Omit<TrustRevokeBody, "granter">, nowMs: Milliseconds): Promise<SignedClaim> {
    return this.say("trust_revoke", trustRevokeBytes({ ...revoke, granter: this.#context.self }), nowMs)
  }

  #consent(
    { contentId, corpusKind }: ContentRef,
    state: number,
    expiresAtUnixMs: U64,
    nowMs: Milliseconds,
  ): Promise<SignedClaim> {
    const body = consentBytes({ contentId, corpusKind, state, atUnixMs: unixMs(nowMs), expiresAtUnixMs })
    return this.say("consent_state", body, nowMs)
  }
}
