/** HELLO, HELLO_AUTH and the transcript both sides sign (control-plane 1.5). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader } from "./bytes.ts"
import type { Bytes, U64 } from "./types.ts"

const HELLO_LENGTH = 108
const HELLO_AUTH_LENGTH_WITH_MAC = 96
/** Label of the signature in HELLO_AUTH. */
export const HELLO_LABEL = "mesh/hello/v1"
/** Label in front of the transcript under the namespace key's MAC (D39). */
export const NAMESPACE_KEY_LABEL = "mesh/psk/v1"

const PROTOCOL = 1
const FLAG_NAMESPACE_KEY = 1

export interface Hello {
  /** The sender holds a namespace key and appends a MAC to HELLO_AUTH (D39). */
  namespaceKey: boolean
  entityId: Bytes
  nonce: Bytes
  /** SHA-256 of the ML-DSA-65 public key, or zeros without one. */
  pqHash: Bytes
  /** Sender's wall clock in milliseconds; a hint for gauges, never a reason to accept. */
  wallMs: U64
}

interface HelloAuth {
  signature: Bytes
  /** Present when both sides use a namespace key. */
  namespaceMac?: Bytes
}

/** What one side brings into the transcript. */
export interface TranscriptSide {
  entityId: Bytes
  nonce: Bytes
  /** SHA-256 DTLS fingerprint; zeros on a WebSocket; the ephemeral X25519 key on a routed session. */
  fingerprint: Bytes
  pqHash: Bytes
}

export function encodeHello(hello: Hello): Bytes {
  return new ByteWriter(HELLO_LENGTH)
    .u8(PROTOCOL)
    .u8(hello.namespaceKey ? FLAG_NAMESPACE_KEY : 0)
    .u16le(0)
    .fixed(hello.entityId, 32)
    .fixed(hello.nonce, 32)
    .fixed(hello.pqHash, 32)
    .u64le(hello.wallMs)
    .finish()
}

/** @throws AvError `HelloInvalid` on another length or protocol number, unknown flags or reserved bytes. */
export function decodeHello(payload: Bytes): Hello {
  const reader = new ByteReader(payload, "HelloInvalid")
  const protocol = reader.u8()
  if (protocol !== PROTOCOL) reader.fail("protocol", { protocol })
  const flags = reader.u8()
  if (flags > FLAG_NAMESPACE_KEY) reader.fail("flags", { flags })
  reader.zeros(2)
  const hello: Hello = {
    namespaceKey: flags === FLAG_NAMESPACE_KEY,
    entityId: reader.bytes(32).slice(),
    nonce: reader.bytes(32).slice(),
    pqHash: reader.bytes(32).slice(),
    wallMs: reader.u64le(),
  }
  reader.end()
  return hello
}

export function encodeHelloAuth(auth: HelloAuth): Bytes {
  const writer = new ByteWriter(HELLO_AUTH_LENGTH_WITH_MAC).fixed(auth.signature, 64)
  if (auth.namespaceMac !== undefined) writer.fixed(auth.namespaceMac, 32)
  return writer.finish()
}

/** @throws AvError `HelloInvalid` when it is neither 64 nor 96 bytes long. */
export function decodeHelloAuth(payload: Bytes): HelloAuth {
  const reader = new ByteReader(payload, "HelloInvalid")
  const signature = reader.bytes(64).slice()
  if (reader.remaining === 0) return { signature }
  const namespaceMac = reader.bytes(32).slice()
  reader.end()
  return { signature, namespaceMac }
}

/** The 256 bytes that `sender` signs for `receiver`. */
export function helloTranscript(sender: TranscriptSide, receiver: TranscriptSide): Bytes {
  const writer = new ByteWriter(256)
  writer.fixed(sender.entityId, 32).fixed(receiver.entityId, 32)
  writer.fixed(sender.nonce, 32).fixed(receiver.nonce, 32)
  writer.fixed(sender.fingerprint, 32).fixed(receiver.fingerprint, 32)
  writer.fixed(sender.pqHash, 32).fixed(receiver.pqHash, 32)
  return writer.finish()
}
