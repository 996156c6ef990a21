/** Keep-alives of a hop: an authenticated "nothing to send" for one stream (av-mesh D-6). */
import { aeadOpen, aeadSeal, importAeadKey } from "../../crypto/index.ts"
import { encodeKeepAliveFrame } from "../../wire/link-frame.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { deriveOuterNonce } from "./outer-nonce.ts"

const LABEL = new TextEncoder().encode("AVMESH-KEEPALIVE")
const EMPTY: Bytes = new Uint8Array(0)

function associatedData(streamId: Bytes): Bytes {
  const out = new Uint8Array(LABEL.length + streamId.length)
  out.set(LABEL)
  out.set(streamId, LABEL.length)
  return out
}

/** The 16-byte tag of a keep-alive. */
export function sealKeepAlive(key: CryptoKey, nonce: Bytes, streamId: Bytes): Promise<Bytes> {
  return aeadSeal(key, nonce, associatedData(streamId), EMPTY)
}

/** True when the tag is genuine. */
export async function opensKeepAlive(key: CryptoKey, nonce: Bytes, streamId: Bytes, tag: Bytes): Promise<boolean> {
  return (await aeadOpen(key, nonce, associatedData(streamId), tag)) !== null
}

/** A whole keep-alive frame of 57 bytes, with the key as bytes. */
export async function encodeKeepAlive(transitKey: Bytes, linkId: Bytes, linkSeq: U64, streamId: Bytes): Promise<Bytes> {
  const key = await importAeadKey(transitKey)
  return encodeKeepAliveFrame(linkSeq, streamId, await sealKeepAlive(key, deriveOuterNonce(linkId, linkSeq), streamId))
}
