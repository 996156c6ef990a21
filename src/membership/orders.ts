/** Whether an order of a host is to be obeyed (RM-18, RM-35). */
import { verifyLabelled } from "../crypto/labelled.ts"
import { equalBytes } from "../wire/bytes.ts"
import { ORDER_LABEL, ORDER_MAX_LIFE_MS, ORDER_REMOVE, orderSigningBytes, type RoomOrder } from "../wire/room-order.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import type { RightClaim, RoomRights } from "./rights.ts"

/** An order may come this long before its time: clocks differ. */
const EARLY_MS = 60_000n
const NO_LEAF: Bytes = new Uint8Array(32)

interface OrderContext {
  roomId: Bytes
  root: Bytes
  /** The target's leaf key now; only looked at for a removal, so an old order is worth nothing against a new leaf. */
  leaf: Bytes
  /** The committer's clock. Undefined for the receiver of a commit, whose verdict must not depend on a clock. */
  at: Milliseconds | undefined
}

/** The bytes an order's signature covers, the label aside. */
export function orderBytes(order: Omit<RoomOrder, "sig" | "entityId">, roomId: Bytes, leaf: Bytes): Bytes {
  return orderSigningBytes({ ...order, roomId, leaf: order.kind === ORDER_REMOVE ? leaf : NO_LEAF })
}

/** Never throws; a wrong order of any kind is `false`. Without `rights` nobody but the root is a host. */
export async function verifyOrder(order: RoomOrder, context: OrderContext, rights?: RoomRights): Promise<boolean> {
  const { issuedMs, expiresMs } = order
  if (expiresMs < issuedMs || expiresMs - issuedMs > ORDER_MAX_LIFE_MS) return false
  if (context.at !== undefined) {
    const now = BigInt(Math.floor(context.at))
    if (issuedMs - EARLY_MS > now || now >= expiresMs) return false
  }
  if (!equalBytes(order.entityId, context.root) && !(await holdsChain(order, context, rights))) return false
  return verifyLabelled(ORDER_LABEL, orderBytes(order, context.roomId, context.leaf), order.entityId, order.sig)
}

/** Receivers judge the chain as of the order; who acts on it now wants it to hold now as well. */
async function holdsChain(order: RoomOrder, { root, at }: OrderContext, rights: RoomRights | undefined): Promise<boolean> {
  const { entityId, chain } = order
  if (rights === undefined || chain === undefined) return false
  const claim: RightClaim = { right: "host", entityId, chain, root }
  if (!(await rights.heldThen(claim, Number(order.issuedMs)))) return false
  return at === undefined || (await rights.prove(claim, at)) !== undefined
}
