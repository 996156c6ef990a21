/** One sentence for a person for every error that can reach the application. */
import { type ErrorCode, type ErrorDetails, isAvError } from "../wire/errors.ts"

const SENTENCES: Partial<Record<ErrorCode, string>> = {
  InvitationRefused: "This link is not valid for this room. Ask for a new one.",
  InvitationInvalid: "This link is not complete. Copy the whole link, also what comes after the # sign.",
  PeerNotInvited: "The people who answered do not hold the invitation of this room.",
  RoomUrlInvalid: "This is not the address of a room.",
  RoomNameInvalid: "A room name has 1 to 64 letters, digits, dots, dashes or underscores, and starts with a letter or digit.",
  RoomFull: "The room is full.",
  RoomLocked: "The room is locked.",
  AdmissionDeclined: "The host did not let you in.",
  Barred: "You were removed from this room.",
  Removed: "You were removed from this room.",
  JoinTimeout: "Nobody in the room answered.",
  ProtocolVersion: "This page is out of date. Reload it.",
  ServerUnreachable: "The meeting server cannot be reached. Check your connection and try again.",
  ServerRefused: "The meeting server refused the connection. Try again in a moment.",
  ServerIdentityMismatch: "The meeting server is not the one this page expects, so it was not used.",
  RoomIdMismatch: "Somebody answered for another room. Try again.",
  LeafIdentityUnverified: "A member of the room could not prove who they are. Leave and join again.",
  NotAllowed: "Only the host may do that.",
  RoomClosed: "The call has ended.",
  ClockOff: "The clock of this device is wrong. Set it, or rights that others gave you may not work here.",
  IdentityConflict: "Another page uses the same identity. Close it, or reload this one.",
  Aborted: "Cancelled.",
  LinkFailed: "No direct connection to another participant could be made. A firewall may block it.",
  WebRtcMissing: "This program needs the package node-datachannel to reach others.",
  MediaUnsupported: "This browser cannot do that. A current Chrome, Edge or Chromium can.",
  MediaConstraints: "The device cannot deliver what was asked for. Choose another one.",
  MediaEncodeFailed: "The picture or sound could not be encoded. Another device or browser may help.",
  MediaDecodeFailed: "A picture or sound could not be decoded; a fresh one was asked for.",
  TrackEnded: "The device stopped. Choose another one.",
  MessageTooLarge: "This message is too long.",
  TooManyStreams: "Too many tracks are published at once.",
  WorkerFailed: "A part of the page could not be started. Reload it; a strict content policy may be in the way.",
  UnsafePath: "These files have names that could do harm, so none of them was taken.",
  TooLarge: "This is too large, or too many files at once.",
  BlobNotFound: "This is not shared any more.",
  BlobRefused: "The other side does not give this away now. Try again later.",
  BlobInvalid: "What came is not what was announced, so it was not kept.",
  BlobTimeout: "Nothing came for a while. Try again: what is here already is kept.",
  StoreError: "The browser could not keep the files. A private window may not allow it.",
  LimitExceeded: "Too much at once. Wait a moment and try again.",
  ItemNotFound: "This is not in the room's memory any more.",
  ContentRevoked: "This was taken back by whoever put it here.",
  InsufficientSymbols: "Too few of the people who keep parts of this are here now. Try again when more have come.",
  PayloadTooLarge: "This is too large.",
  QuotaExceeded: "This device has too little room left. Free some and try again.",
  StorageUnavailable: "This browser does not let the page keep anything. A private window may be the reason.",
  StorageCorrupt: "What this browser kept of the room is damaged.",
}

const DEVICES: Readonly<Record<string, string>> = { video: "camera", audio: "microphone", both: "camera or microphone" }

/** Cameras and microphones fail in ways that only the person can mend, each in another place. */
function deviceSentence(code: ErrorCode, { kind, by }: ErrorDetails): string | undefined {
  if (code === "MediaPermission" && kind === "screen")
    return "The screen is not shared: no window was chosen, or the browser forbids it."
  const device = (typeof kind === "string" ? DEVICES[kind] : undefined) ?? "camera or microphone"
  switch (code) {
    case "MediaPermission":
      if (by === "system")
        return `The settings of this computer do not let the browser use the ${device}. Allow it there and try again.`
      if (by === "dismissed") return `The question about the ${device} was closed without an answer. Try again and allow it.`
      if (by === "page") return `The page may not use the ${device}: the site that shows it forbids it.`
      return `The browser was not allowed to use the ${device}. Allow it beside the address bar and try again.`
    case "MediaDeviceMissing":
      return `No ${device} was found. Plug one in or choose another.`
    case "MediaDeviceBusy":
      return `The ${device} could not be started; another program may be using it. Close it there and try again.`
    default:
      return undefined
  }
}

/** A sentence a person understands for anything that was thrown. Never contains keys, addresses or message content. */
export function describeError(error: unknown): string {
  if (isAvError(error)) {
    const sentence = deviceSentence(error.code, error.details) ?? SENTENCES[error.code]
    if (error.code === "MediaUnsupported" && typeof error.details.missing === "string") {
      return `This browser lacks ${error.details.missing}. A current Chrome, Edge or Chromium has it.`
    }
    if (error.code === "NotAllowed" && error.details.owner === true) return "Only whoever put it there may do that."
    if (error.code === "NotAllowed" && error.details.right === "publish") {
      return "Only people whom the host chooses are seen and heard in this room."
    }
    if (sentence !== undefined) return sentence
  }
  return "Something went wrong. Reload the page and try again."
}
