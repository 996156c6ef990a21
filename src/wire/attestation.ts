/** The statement of a trusted observer about the addresses a client was seen at (control-plane 6.4). */
import { ADDRESS_BLOCK_LENGTH, type AddressBlock, encodeAddressBlock, readAddressBlock } from "./address.ts"
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, compareBytes, concatBytes, utf8Encode } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes, U64 } from "./types.ts"

/** Label of the signature. */
export const ATTESTATION_LABEL = "mesh/addr/v1"
/** Longest life of an attestation, milliseconds. */
const ATTESTATION_MAX_LIFE_MS = 300_000n
const MAX_ADDRESSES = 4
const MAGIC = /* @__PURE__ */ utf8Encode("MAA1")
const SIGNATURE_LENGTH = 64

export interface AddressAttestation {
  /** Entity id of the server (or relay) that saw the client. */
  observer: Bytes
  /** Entity id of the client. */
  subject: Bytes
  /** Unix milliseconds of the observer's clock. */
  issuedMs: U64
  expiresMs: U64
  /** 1..4 addresses of family 4 or 6 with port 0, ascending by their bytes. */
  addresses: AddressBlock[]
}

interface SignedAttestation {
  attestation: AddressAttestation
  /** Everything before the signature, as it was signed. */
  signedBytes: Bytes
  signature: Bytes
}

/** The bytes to sign; sorts the addresses. @throws AvError `UsageError` when a field is out of its range. */
export function encodeUnsignedAttestation(a: AddressAttestation): Bytes {
  const blocks = a.addresses.map(encodeAddressBlock).sort(compareBytes)
  if (blocks.length < 1 || blocks.length > MAX_ADDRESSES)
    throw new AvError("UsageError", { why: "addresses", got: blocks.length })
  const writer = new ByteWriter(256).bytes(MAGIC).fixed(a.observer, 32).fixed(a.subject, 32)
  writer.u64le(a.issuedMs).u64le(a.expiresMs).u8(blocks.length)
  for (const block of blocks) writer.bytes(block)
  return writer.finish()
}

/** The attestation as it travels. */
export function joinAttestation(signedBytes: Bytes, signature: Bytes): Bytes {
  if (signature.length !== SIGNATURE_LENGTH) throw new AvError("UsageError", { why: "signature length", got: signature.length })
  return concatBytes(signedBytes, signature)
}

/**
 * Reads an attestation without verifying its signature (label {@link ATTESTATION_LABEL}, key `observer`) and without a
 * clock.
 * @throws AvError `Malformed` on another length or life, addresses out of order, with a port or of another family.
 */
export function decodeAttestation(bytes: Bytes): SignedAttestation {
  const reader = new ByteReader(bytes, "Malformed")
  reader.expect(MAGIC, "magic")
  const observer = reader.bytes(32).slice()
  const subject = reader.bytes(32).slice()
  const issuedMs = reader.u64le()
  const expiresMs = reader.u64le()
  if (expiresMs > issuedMs + ATTESTATION_MAX_LIFE_MS) reader.fail("life too long")
  const count = reader.u8()
  if (count < 1 || count > MAX_ADDRESSES) reader.fail("addresses", { got: count, max: MAX_ADDRESSES })
  const addresses: AddressBlock[] = []
  for (let i = 0; i < count; i++) {
    const start = reader.offset
    const block = readAddressBlock(reader)
    if (block.family === 0 || block.port !== 0) reader.fail("not an observed address")
    const previous = bytes.subarray(start - ADDRESS_BLOCK_LENGTH, start)
    if (i > 0 && compareBytes(previous, bytes.subarray(start, reader.offset)) >= 0) reader.fail("addresses not ascending")
    addresses.push(block)
  }
  const signedBytes = reader.consumed
  const signature = reader.bytes(SIGNATURE_LENGTH)
  reader.end()
  return { attestation: { observer, subject, issuedMs, expiresMs, addresses }, signedBytes, signature }
}
