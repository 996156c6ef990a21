/** Address blocks, candidate entries and their text forms (control-plane 6.3). */
import { ByteWriter } from "./byte-writer.ts"
import { ByteReader, toHex } from "./bytes.ts"
import type { Bytes } from "./types.ts"

export { addressFromText, addressToText } from "./address-text.ts"

export const ADDRESS_BLOCK_LENGTH = 19
/** A description lists at most this many candidates. */
export const MAX_CANDIDATES = 12

export interface AddressBlock {
  /** 4 and 6 are IP versions; 0 is mDNS, where the bytes are the UUID of `<uuid>.local`. */
  family: 0 | 4 | 6
  /** Always 16 bytes; IPv4 in the first four, the rest zero. */
  address: Bytes
  port: number
}

export const CANDIDATE_TYPES = ["host", "srflx", "relay"] as const
type CandidateType = (typeof CANDIDATE_TYPES)[number]
export const CANDIDATE_PROTOCOLS = ["udp", "tcp"] as const
type CandidateProtocol = (typeof CANDIDATE_PROTOCOLS)[number]

/** One ICE candidate as it travels in a description. */
export interface CandidateEntry {
  address: AddressBlock
  type: CandidateType
  protocol: CandidateProtocol
  /** ICE priority, u32. */
  priority: number
}

/** Appends the 19 bytes of an address block. */
function writeAddressBlock(writer: ByteWriter, block: AddressBlock): void {
  writer.u8(block.family).fixed(block.address, 16).u16le(block.port)
}

/** Reads 19 bytes; a fault raises the reader's own error, because these entries are embedded in several messages. */
export function readAddressBlock(reader: ByteReader): AddressBlock {
  const family = reader.u8()
  const address = reader.bytes(16).slice()
  const port = reader.u16le()
  if (family !== 0 && family !== 4 && family !== 6) reader.fail("address family", { family })
  if (family === 4 && address.subarray(4).some((byte) => byte !== 0)) reader.fail("bytes after an IPv4 address")
  // One address must have one form, or address lists could be dodged by writing it differently.
  if (family === 6 && toHex(address.subarray(0, 12)) === "00000000000000000000ffff") reader.fail("IPv4-mapped address")
  return { family: family as 0 | 4 | 6, address, port }
}

export function encodeAddressBlock(block: AddressBlock): Bytes {
  const writer = new ByteWriter(ADDRESS_BLOCK_LENGTH)
  writeAddressBlock(writer, block)
  return writer.finish()
}

/** @throws AvError `AddressInvalid` on another length, an unknown family, stray bytes or an IPv4-mapped IPv6 address. */
export function decodeAddressBlock(bytes: Bytes): AddressBlock {
  const reader = new ByteReader(bytes, "AddressInvalid")
  const block = readAddressBlock(reader)
  reader.end()
  return block
}

/** Appends the 25 bytes of a candidate. */
export function writeCandidate(writer: ByteWriter, candidate: CandidateEntry): void {
  writeAddressBlock(writer, candidate.address)
  writer.u8(CANDIDATE_TYPES.indexOf(candidate.type)).u8(CANDIDATE_PROTOCOLS.indexOf(candidate.protocol))
  writer.u32le(candidate.priority)
}

/** Reads 25 bytes; a fault raises the reader's own error. */
export function readCandidate(reader: ByteReader): CandidateEntry {
  const address = readAddressBlock(reader)
  const type = CANDIDATE_TYPES[reader.u8()]
  const protocol = CANDIDATE_PROTOCOLS[reader.u8()]
  const priority = reader.u32le()
  if (type === undefined) reader.fail("candidate type")
  if (protocol === undefined) reader.fail("candidate protocol")
  return { address, type, protocol, priority }
}
