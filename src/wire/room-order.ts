/** Orders of a host: remove, admit, decline, mute (room RM-18). */
import { ByteWriter } from "./byte-writer.ts"
import { utf8Encode } from "./bytes.ts"
import { bytesField, keyIdField, oneOf, u64Field } from "./json-field.ts"
import { type Decoded, optional, required } from "./json-shape.ts"
import type { Bytes } from "./types.ts"

/** Label of the signature. */
export const ORDER_LABEL = "mesh/order/v1"
export const ORDER_REMOVE = 1
export const ORDER_ADMIT = 2
export const ORDER_DECLINE = 3
export const ORDER_MUTE = 4
/** Longest time an order may be valid, milliseconds. */
export const ORDER_MAX_LIFE_MS = 300_000n
/** Largest token chain carried beside a signature, bytes (8 tokens). */
export const MAX_CHAIN_LENGTH = 4_096

/** Members of `room.order`; also of the `order` entry in a commit's reasons. */
export const orderShape = {
  kind: required("kind", oneOf(ORDER_REMOVE, ORDER_ADMIT, ORDER_DECLINE, ORDER_MUTE)),
  target: required("target", keyIdField),
  issuedMs: required("issued_ms", u64Field),
  expiresMs: required("expires_ms", u64Field),
  entityId: required("entity_id", bytesField(32)),
  chain: optional("chain", bytesField(1, MAX_CHAIN_LENGTH)),
  sig: required("sig", bytesField(64)),
}
export type RoomOrder = Decoded<typeof orderShape>

/** What an order's signature covers, the label aside. */
interface OrderSubject {
  kind: RoomOrder["kind"]
  roomId: Bytes
  target: string
  /** The target's leaf signature key for a removal, 32 zero bytes otherwise. */
  leaf: Bytes
  issuedMs: bigint
  expiresMs: bigint
}

/** The bytes signed with {@link ORDER_LABEL}. */
export function orderSigningBytes(order: OrderSubject): Bytes {
  return new ByteWriter(256)
    .u8(order.kind)
    .fixed(order.roomId, 32)
    .lp16(utf8Encode(order.target))
    .fixed(order.leaf, 32)
    .u64be(order.issuedMs)
    .u64be(order.expiresMs)
    .finish()
}
