/** How the operator's commands fail: one line on stderr, and an exit status that scripts can tell apart (control-plane 9.2). */
import { isAvError } from "../../src/wire/errors.ts"

export const EXIT = { generic: 1, usage: 2, sdk: 3, refused: 5, connection: 6, timeout: 7, nothing: 10 } as const

/** An error that ends a command. The kind is stable, the text is for people. */
export class CliError extends Error {
  readonly kind: string
  readonly status: number

  constructor(kind: string, message: string, status: number = EXIT.usage) {
    super(message)
    this.kind = kind
    this.status = status
  }
}

/** Errors of the library that wrong arguments cause; all others of its errors are its own. */
const USAGE = ["AllowListTooLong", "ReservedPrefix", "BadField", "Malformed", "NonCanonical", "InvalidFormat", "UsageError"]
const KINDS_OF_FILES = ["permissive-mode", "not-an-identity"]
const NAME_ERRORS = ["Empty", "TooLong", "InvalidChar", "Reserved", "ZeroTtl", "TtlTooLong"]

export function failureOf(error: unknown): CliError {
  if (error instanceof CliError) return error
  if (isAvError(error)) {
    const kind = error.details.kind
    if (typeof kind === "string" && KINDS_OF_FILES.includes(kind)) return new CliError(kind, error.message)
    const isUsage = USAGE.includes(error.code) || NAME_ERRORS.includes(error.code)
    return new CliError(kebab(error.code), error.message, isUsage ? EXIT.usage : EXIT.sdk)
  }
  const code = error instanceof Error && "code" in error ? String(error.code) : "failed"
  return new CliError(kebab(code), error instanceof Error ? error.message : String(error), EXIT.generic)
}

/** `error: <text> (kind: <kind>)`, or the same as JSON. */
export function failureLine({ kind, message, status }: CliError, asJson: boolean): string {
  const text = message.replaceAll("\n", " ")
  return asJson ? JSON.stringify({ kind, message: text, code: status }) : `error: ${text} (kind: ${kind})`
}

function kebab(code: string): string {
  return code
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replaceAll(".", "-")
    .toLowerCase()
}
