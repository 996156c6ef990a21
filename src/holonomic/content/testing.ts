/** For tests: contents with any symbols, signed by any peer. The symbols are no fountain code. Not part of the product. */
import { sha256Sync } from "../../crypto/index.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import { toBase64, toHex } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"
import { consentBytes } from "../claims/bodies.ts"
import { signedClaimBytes } from "../claims/signed-claim.ts"
import { keysOf } from "../testing.ts"
import { type SignedClaim, verifyClaim } from "../trust/verified.ts"
import type { ContentSymbol } from "./admission.ts"
import { type ContentEnvelope, encodeEnvelope } from "./envelope.ts"
import { type ContentRef, type FountainManifest, manifestBytes, type SignedManifest } from "./manifest.ts"

export interface TestContent {
  manifest: SignedManifest
  symbols: ContentSymbol[]
}

export async function testContent(
  producer: IdentitySigner,
  ref: Partial<ContentRef> = {},
  shape: { nSource?: number; kRepair?: number; minViableSymbols?: number; seed?: number } = {},
  envelope: Partial<ContentEnvelope> = {},
): Promise<TestContent> {
  const { nSource = 20, kRepair = 6, minViableSymbols = 5, seed = 0 } = shape
  const { contentId = "clip", corpusKind = "av_chunk" } = ref
  const parts = Array.from({ length: nSource + kRepair }, (_, i) => new Uint8Array(64).fill(i + seed))
  const signed = await signManifest(producer, {
    manifestVersion: 1,
    contentId,
    corpusKind,
    nSource,
    kRepair,
    symbolSize: 64,
    originalContentLength: BigInt(nSource * 64),
    minViableSymbols,
    symbolHashes: parts.map((bytes) => toHex(sha256Sync(bytes))),
    envelope: encodeEnvelope({
      producer: keysOf(producer),
      className: "STANDARD",
      authorities: [],
      application: new Uint8Array(0),
      ...envelope,
    }),
  })
  return { manifest: signed, symbols: parts.map((bytes, symbolId) => ({ contentId, symbolId, bytes })) }
}

export async function signManifest(producer: IdentitySigner, manifest: FountainManifest): Promise<SignedManifest> {
  return { ...manifest, signature: await producer.signHybrid(manifestBytes(manifest)), pqcKeyId: producer.keyId }
}

/** A verified claim. */
export async function testClaim(signer: IdentitySigner, claimKind: string, claimBytes: Bytes): Promise<SignedClaim> {
  const statement = {
    claimKind,
    signerPeerId: signer.keyId,
    claimBytes,
    signedAtUnixMs: 1_000n,
    claimVersion: 1,
    userOwner: null,
    delegatesTo: null,
    identityOccurrence: null,
  }
  const { ed, pq } = await signer.signHybrid(signedClaimBytes(statement))
  const claim = { ...statement, signatureEd25519Base64: toBase64(ed), signatureMlDsa65Base64: toBase64(pq) }
  await verifyClaim(claim, keysOf(signer))
  return claim
}

export function testConsent(
  signer: IdentitySigner,
  ref: ContentRef,
  state: number,
  times: { at?: bigint; expires?: bigint } = {},
): Promise<SignedClaim> {
  const { contentId, corpusKind } = ref
  const body = { contentId, corpusKind, state, atUnixMs: times.at ?? 1n, expiresAtUnixMs: times.expires ?? 0n }
  return testClaim(signer, "consent_state", consentBytes(body))
}
