/** Why a stay in a room ended, with a status that a supervisor or a script can act on (control-plane 9.2). */
import { describeError } from "../../src/node/index.ts"
import { type ErrorCode, isAvError } from "../../src/wire/errors.ts"
import { CliError, EXIT, failureOf } from "../cli/failure.ts"

const STATUS: Partial<Record<ErrorCode, number>> = {
  RoomUrlInvalid: EXIT.usage,
  RoomNameInvalid: EXIT.usage,
  InvitationInvalid: EXIT.usage,
  InvitationRefused: EXIT.refused,
  PeerNotInvited: EXIT.refused,
  RoomFull: EXIT.refused,
  RoomLocked: EXIT.refused,
  AdmissionDeclined: EXIT.refused,
  Barred: EXIT.refused,
  Removed: EXIT.refused,
  ServerRefused: EXIT.refused,
  ServerIdentityMismatch: EXIT.refused,
  BlobRefused: EXIT.refused,
  ServerUnreachable: EXIT.connection,
  LinkFailed: EXIT.connection,
  SessionClosed: EXIT.connection,
  MemberNotFound: EXIT.connection,
  BlobNotFound: EXIT.connection,
  JoinTimeout: EXIT.timeout,
  BlobTimeout: EXIT.timeout,
  StoreError: EXIT.generic,
  QuotaExceeded: EXIT.generic,
}

/** What it says of everything else: "reload the page" helps nobody here. */
const UNKNOWN = describeError(undefined)

export function roomFailure(error: unknown): CliError {
  const { kind, message, status } = failureOf(error)
  if (!isAvError(error)) return new CliError(kind, message, status)
  // A text of its own says more than the sentence for people in a call.
  const sentence = error.message.startsWith(error.code) ? describeError(error) : UNKNOWN
  return new CliError(kind, sentence === UNKNOWN ? message : sentence, STATUS[error.code] ?? status)
}
