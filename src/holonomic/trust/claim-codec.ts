/** Signed claims as they are stored and sent. */
import { ML_DSA_SIGNATURE_LENGTH } from "../../crypto/index.ts"
import { ByteReader, ByteWriter, fromHex, toBase64, toHex, utf8Decode } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"
import { strictBase64 } from "../checks.ts"
import { signedClaimBytes } from "../claims/signed-claim.ts"
import { separator } from "../separators.ts"
import type { SignedClaim } from "./verified.ts"

/** Bytes of what a claim says; the longest durable body has a few hundred. */
export const MAX_CLAIM_BYTES = 4_096
/** Bytes of a kind, an id or a part of the owner's binding. */
const MAX_TEXT = 255

/** `lp32(signed bytes) ‖ Ed25519 ‖ ML-DSA-65`. @throws AvError as `signedClaimBytes`; `Base64Invalid`, `UsageError` */
export function encodeSignedClaim(claim: SignedClaim): Bytes {
  return new ByteWriter(4_096)
    .lp32(signedClaimBytes(claim))
    .fixed(strictBase64(claim.signatureEd25519Base64), 64)
    .fixed(strictBase64(claim.signatureMlDsa65Base64), ML_DSA_SIGNATURE_LENGTH)
    .finish()
}

/** Verifies nothing. @throws AvError `Malformed` */
export function decodeSignedClaim(bytes: Bytes): SignedClaim {
  const outer = new ByteReader(bytes, "Malformed")
  const reader = new ByteReader(outer.lp32(), "Malformed")
  const [ed, pq] = [outer.bytes(64), outer.bytes(ML_DSA_SIGNATURE_LENGTH)]
  outer.end()
  const text = (max = MAX_TEXT) => {
    const value = reader.lp32()
    return value.length > max ? reader.fail("too long", { got: value.length, max }) : utf8Decode(value)
  }
  const optional = () => {
    const flag = reader.u8()
    if (flag > 1) reader.fail("flag")
    return flag === 0 ? null : text()
  }
  reader.expect(separator("signedClaim"), "separator")
  const [signedAtUnixMs, claimVersion] = [reader.u64be(), reader.u16be()]
  const [claimKind, signerPeerId] = [text(), text()]
  const hex = text(2 * MAX_CLAIM_BYTES)
  const claimBytes = fromHex(hex)
  if (toHex(claimBytes) !== hex) reader.fail("hex not lower-case")
  const [userOwner, delegatesTo, identityOccurrence] = [optional(), optional(), optional()]
  reader.end()
  return {
    claimKind,
    signerPeerId,
    claimBytes,
    signedAtUnixMs,
    claimVersion,
    userOwner,
    delegatesTo,
    identityOccurrence,
    signatureEd25519Base64: toBase64(ed),
    signatureMlDsa65Base64: toBase64(pq),
  }
}
