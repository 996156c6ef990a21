/** Why a relay ended, with a status that a supervisor can act on (control-plane 9.2). */
import { describeError } from "../../src/node/index.ts"
import { type ErrorCode, isAvError } from "../../src/wire/errors.ts"
import { CliError, EXIT, failureOf } from "../cli/failure.ts"

const REFUSED = 5
const CONNECTION = 6
const TIMEOUT = 7

const STATUS: Partial<Record<ErrorCode, number>> = {
  RoomUrlInvalid: EXIT.usage,
  RoomNameInvalid: EXIT.usage,
  InvitationInvalid: EXIT.usage,
  InvitationRefused: REFUSED,
  PeerNotInvited: REFUSED,
  RoomFull: REFUSED,
  RoomLocked: REFUSED,
  AdmissionDeclined: REFUSED,
  Barred: REFUSED,
  Removed: REFUSED,
  ServerRefused: REFUSED,
  ServerIdentityMismatch: REFUSED,
  ServerUnreachable: CONNECTION,
  LinkFailed: CONNECTION,
  JoinTimeout: TIMEOUT,
}

export function relayFailure(error: unknown): CliError {
  const { kind, message, status } = failureOf(error)
  if (!isAvError(error)) return new CliError(kind, message, status)
  // A text of its own says more than the sentence for people in a call.
  const hasText = !error.message.startsWith(error.code)
  return new CliError(kind, hasText ? message : describeError(error), STATUS[error.code] ?? status)
}
