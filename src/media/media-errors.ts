/** Turns what the browser throws about cameras and microphones into typed errors with a sentence for a person. */
import { AvError, type ErrorCode, isAvError } from "../wire/errors.ts"
import type { MediaKind } from "./types.ts"

/** What was asked for when the browser refused. */
export type MediaRequest = MediaKind | "both" | "screen"

type MediaErrorCode = Extract<
  ErrorCode,
  "MediaPermission" | "MediaDeviceMissing" | "MediaDeviceBusy" | "MediaConstraints" | "MediaUnsupported" | "Aborted"
>

const CODES: Readonly<Record<string, MediaErrorCode>> = {
  NotAllowedError: "MediaPermission",
  PermissionDeniedError: "MediaPermission",
  SecurityError: "MediaPermission",
  NotFoundError: "MediaDeviceMissing",
  DevicesNotFoundError: "MediaDeviceMissing",
  NotReadableError: "MediaDeviceBusy",
  TrackStartError: "MediaDeviceBusy",
  OverconstrainedError: "MediaConstraints",
  ConstraintNotSatisfiedError: "MediaConstraints",
  TypeError: "MediaConstraints",
  NotSupportedError: "MediaUnsupported",
  InvalidStateError: "MediaDeviceBusy",
  AbortError: "Aborted",
}

const NAMES: Readonly<Record<MediaRequest, string>> = {
  video: "camera",
  audio: "microphone",
  both: "camera or microphone",
  screen: "screen",
}

/** An {@link AvError} for whatever `getUserMedia` and its relatives threw; `details.kind` says what was asked for. */
export function mediaError(cause: unknown, kind: MediaRequest): AvError {
  if (isAvError(cause)) return cause
  const name = cause instanceof Error || cause instanceof DOMException ? cause.name : ""
  const code = CODES[name] ?? "MediaDeviceBusy"
  const constraint =
    typeof cause === "object" && cause !== null && "constraint" in cause && typeof cause.constraint === "string"
      ? cause.constraint
      : undefined
  const by = code === "MediaPermission" ? refusedBy(cause) : undefined
  return new AvError(code, { kind, reason: name, constraint, by }, { message: sentence(code, kind), cause })
}

/** Who said no: the person, the person by closing the question, the operating system, or a rule of the page. */
type RefusedBy = "person" | "dismissed" | "system" | "page"

/** Browsers tell it in the text only, and not all do; without a sign the person is meant. */
function refusedBy(cause: unknown): RefusedBy {
  const { name = "", message = "" } = cause instanceof Error || cause instanceof DOMException ? cause : {}
  if (name === "SecurityError" || /permissions policy|feature policy/i.test(message)) return "page"
  if (/\bsystem\b/i.test(message)) return "system"
  return /dismissed/i.test(message) ? "dismissed" : "person"
}

/** One or two sentences that a person who only wants to talk can act on. */
function sentence(code: MediaErrorCode, kind: MediaRequest): string {
  const name = NAMES[kind]
  switch (code) {
    case "MediaPermission":
      return `The ${name} may not be used. Please allow it in the browser's address bar or settings, then try again.`
    case "MediaDeviceMissing":
      return `No ${name} was found. Please plug one in, then try again.`
    case "MediaDeviceBusy":
      return `The ${name} could not be started. Another program may be using it.`
    case "MediaConstraints":
      return `The ${name} cannot deliver what was asked for. Please choose another one.`
    case "MediaUnsupported":
      return `This browser cannot use a ${name} on this page.`
    case "Aborted":
      return `Starting the ${name} was interrupted.`
  }
}
