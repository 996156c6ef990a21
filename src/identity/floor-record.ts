/** Signing and checking floor records (control-plane 1.8). */
import { signLabelled, verifyLabelled } from "../crypto/index.ts"
import { AvError } from "../wire/errors.ts"
import {
  decodeFloorRecord,
  encodeUnsignedFloorRecord,
  FLOOR_LABEL,
  type FloorRecord,
  joinFloorRecord,
} from "../wire/floor-record.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import type { EntitySigner } from "./public-only.ts"

/** The signer's statement that its tokens below `generation` are dead. `now`: Unix milliseconds. */
export async function signFloorRecord(signer: EntitySigner, generation: number, now: Milliseconds): Promise<Bytes> {
  const unsigned = encodeUnsignedFloorRecord({ entity: signer.entityId, generation, issuedMs: BigInt(Math.trunc(now)) })
  return joinFloorRecord(unsigned, await signLabelled(FLOOR_LABEL, unsigned, signer))
}

/** @throws AvError `Malformed`, or `BadSignature` when the entity did not sign it. */
export async function verifyFloorRecord(bytes: Bytes): Promise<FloorRecord> {
  const { floor, signedBytes, signature } = decodeFloorRecord(bytes)
  if (await verifyLabelled(FLOOR_LABEL, signedBytes, floor.entity, signature)) return floor
  throw new AvError("BadSignature", { what: "floor record" })
}
