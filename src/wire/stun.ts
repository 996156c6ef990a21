/**
 * STUN Binding messages (RFC 8489): who asks is told the address it was seen at. With CHANGE-REQUEST (RFC 5780) the answer is wanted
 * from another address of the server. Nothing else of STUN is spoken; what does not parse is nothing, because a port hears everything.
 */
import type { AddressBlock } from "./address.ts"
import { ByteWriter } from "./byte-writer.ts"
import { toHex } from "./bytes.ts"
import type { Bytes } from "./types.ts"

/** Largest message that is looked at, bytes: what fits into a datagram on any path. */
export const MAX_STUN_LENGTH = 548
/** Bytes of a transaction id; random, so that nobody can answer who did not see the question. */
export const TRANSACTION_LENGTH = 12

const HEADER_LENGTH = 20
const MAGIC = 0x2112a442
const REQUEST = 0x0001
const SUCCESS = 0x0101
const CHANGE_REQUEST = 0x0003
const XOR_MAPPED_ADDRESS = 0x0020
/** Flag of CHANGE-REQUEST: from another IP address. */
const CHANGE_IP = 0x04

interface BindingRequest {
  /** {@link TRANSACTION_LENGTH} bytes. */
  transaction: Bytes
  /** The answer is to come from another IP address of the server. */
  fromElsewhere: boolean
}

interface BindingResponse {
  transaction: Bytes
  /** Where the question came from, as the server saw it. */
  mapped: AddressBlock
}

/** 20 bytes, or 28 with CHANGE-REQUEST. */
export function encodeBindingRequest({ transaction, fromElsewhere }: BindingRequest): Bytes {
  const writer = header(REQUEST, fromElsewhere ? 8 : 0, transaction)
  if (fromElsewhere) writer.u16be(CHANGE_REQUEST).u16be(4).u32be(CHANGE_IP)
  return writer.finish()
}

export function decodeBindingRequest(bytes: Bytes): BindingRequest | undefined {
  const message = read(bytes)
  if (message?.type !== REQUEST) return undefined
  const change = message.attributes.get(CHANGE_REQUEST)
  return { transaction: message.transaction, fromElsewhere: change?.length === 4 && ((change[3] as number) & CHANGE_IP) !== 0 }
}

/** 32 bytes for IPv4, 44 for IPv6: the address and nothing else. */
export function encodeBindingResponse({ transaction, mapped }: BindingResponse): Bytes {
  const size = mapped.family === 4 ? 4 : 16
  const writer = header(SUCCESS, 8 + size, transaction)
  writer.u16be(XOR_MAPPED_ADDRESS).u16be(4 + size)
  writer
    .u8(0)
    .u8(mapped.family === 4 ? 1 : 2)
    .u16be(mapped.port ^ (MAGIC >>> 16))
  return writer.bytes(xored(mapped.address.subarray(0, size), transaction)).finish()
}

export function decodeBindingResponse(bytes: Bytes): BindingResponse | undefined {
  const message = read(bytes)
  if (message?.type !== SUCCESS) return undefined
  const mapped = mappedAddress(message.attributes.get(XOR_MAPPED_ADDRESS), message.transaction)
  return mapped && { transaction: message.transaction, mapped }
}

function mappedAddress(value: Bytes | undefined, transaction: Bytes): AddressBlock | undefined {
  const family = value?.[1] === 1 ? 4 : value?.[1] === 2 ? 6 : undefined
  if (value === undefined || family === undefined || value.length !== (family === 4 ? 8 : 20)) return undefined
  const port = (((value[2] as number) << 8) | (value[3] as number)) ^ (MAGIC >>> 16)
  const address = new Uint8Array(16)
  address.set(xored(value.subarray(4), transaction))
  // One address must have one form.
  if (family === 6 && toHex(address.subarray(0, 12)) === "00000000000000000000ffff") return undefined
  return { family, address, port }
}

interface Message {
  type: number
  transaction: Bytes
  attributes: Map<number, Bytes>
}

function read(bytes: Bytes): Message | undefined {
  const { length } = bytes
  if (length < HEADER_LENGTH || length > MAX_STUN_LENGTH) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, length)
  // The two highest bits of a type are zero, so that STUN can share a port with other protocols.
  const type = view.getUint16(0)
  if (type > 0x3fff || view.getUint16(2) !== length - HEADER_LENGTH || view.getUint32(4) !== MAGIC) return undefined
  const attributes = new Map<number, Bytes>()
  for (let at = HEADER_LENGTH; at < length; ) {
    if (length - at < 4) return undefined
    const size = view.getUint16(at + 2)
    const end = at + 4 + size
    if (end > length) return undefined
    const name = view.getUint16(at)
    if (!attributes.has(name)) attributes.set(name, bytes.subarray(at + 4, end))
    // Values are padded to whole words.
    at = end + ((4 - (size % 4)) % 4)
  }
  return { type, transaction: bytes.slice(8, HEADER_LENGTH), attributes }
}

function header(type: number, length: number, transaction: Bytes): ByteWriter {
  return new ByteWriter(64).u16be(type).u16be(length).u32be(MAGIC).fixed(transaction, TRANSACTION_LENGTH)
}

/** Hidden from routers that rewrite every address they find in a packet; its own inverse. */
function xored(address: Bytes, transaction: Bytes): Bytes {
  const mask = new ByteWriter(16).u32be(MAGIC).bytes(transaction).finish()
  return address.map((byte, i) => byte ^ (mask[i] as number))
}
