/** The keys of a link: session key, transit keys, and what the kex signatures cover (av-mesh 3.1, D-5, D-34). */
import { hkdf, requireLength, sha256Sync } from "../../crypto/index.ts"
import { ByteWriter } from "../../wire/byte-writer.ts"
import { concatBytes, utf8Encode } from "../../wire/bytes.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"

const EMPTY: Bytes = new Uint8Array(0)

/** Who made a kex signature. */
export type KexRole = "initiator" | "responder"

/** The transcript hash `T` of D-34: SHA-256 over kex1 and the body of kex2, exactly as sent. */
export function kexTranscript(kex1: Bytes, kex2Body: Bytes): Bytes {
  return sha256Sync(concatBytes(kex1, kex2Body))
}

/** The 32-byte session key of a link (D-34). */
export async function deriveLinkKey(
  x25519Shared: Bytes,
  mlkemShared: Bytes,
  kex1: Bytes,
  kex2Body: Bytes,
  initiator: PeerKeyId,
  responder: PeerKeyId,
): Promise<Bytes> {
  requireLength(x25519Shared, 32, "x25519 shared")
  requireLength(mlkemShared, 32, "ml-kem shared")
  const info = new ByteWriter(256)
    .bytes(utf8Encode("AVMESH-LINKKEY-1"))
    .lp16(utf8Encode(initiator))
    .lp16(utf8Encode(responder))
    .finish()
  return hkdf(concatBytes(x25519Shared, mlkemShared), kexTranscript(kex1, kex2Body), info, 32)
}

/** What each side signs with the hybrid signature of av-mesh 8.4 (D-34). */
export function kexAuthMessage(role: KexRole, transcript: Bytes, initiator: PeerKeyId, responder: PeerKeyId): Bytes {
  return new ByteWriter(256)
    .bytes(utf8Encode("AVMESH-LINKAUTH1"))
    .u8(role === "responder" ? 2 : 1)
    .fixed(transcript, 32)
    .lp16(utf8Encode(initiator))
    .lp16(utf8Encode(responder))
    .finish()
}

/** The 32-byte key of one direction, stream and subscription (D-5.2). `subNonce`: 16 bytes chosen by the receiver. */
export async function deriveTransitKey(
  sessionKey: Bytes,
  streamId: Bytes,
  sender: PeerKeyId,
  receiver: PeerKeyId,
  subNonce: Bytes,
): Promise<Bytes> {
  requireLength(sessionKey, 32, "session key")
  requireLength(streamId, 32, "stream id")
  requireLength(subNonce, 16, "sub nonce")
  const info = new ByteWriter(256)
    .bytes(utf8Encode("AVMESH-TRANSIT-1"))
    .bytes(streamId)
    .lp16(utf8Encode(sender))
    .lp16(utf8Encode(receiver))
    .bytes(subNonce)
    .finish()
  return hkdf(sessionKey, EMPTY, info, 32)
}

/** The inputs of the reference's one-message handshake. */
interface ReferenceKexInputs {
  x25519Shared: Bytes
  mlkemShared: Bytes
  ephemeralX25519: Bytes
  responderX25519: Bytes
  mlkemCiphertext: Bytes
  responderMlkem: Bytes
}

/** The session key of the reference's handshake (av-mesh 3.1), for links to a reference peer only: it lacks forward secrecy. */
export async function deriveReferenceKex(inputs: ReferenceKexInputs): Promise<Bytes> {
  const salt = concatBytes(inputs.ephemeralX25519, inputs.responderX25519, inputs.mlkemCiphertext, inputs.responderMlkem)
  return hkdf(concatBytes(inputs.x25519Shared, inputs.mlkemShared), salt, utf8Encode("CIRIS-FED-KEX-V1"), 32)
}
