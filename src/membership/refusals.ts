/** What a refusal of the room means to the developer (room.md 9). The sentences for people live with the SDK. */
import { AvError, type ErrorCode } from "../wire/errors.ts"
import type { RefuseReason } from "./admission.ts"

const CODES: Record<Exclude<RefuseReason, "too-old">, ErrorCode> = {
  "wrong-invitation": "InvitationRefused",
  "room-full": "RoomFull",
  locked: "RoomLocked",
  declined: "AdmissionDeclined",
  barred: "Barred",
  busy: "JoinTimeout",
  version: "ProtocolVersion",
}

/** The error for a `room.refuse`; a reason of a later version reads as `JoinTimeout`. */
export function refusalError(reason: string, details: { max?: number | undefined } = {}): AvError {
  const code = Object.hasOwn(CODES, reason) ? CODES[reason as keyof typeof CODES] : "JoinTimeout"
  return new AvError(code, code === "RoomFull" ? { max: details.max } : { reason })
}
