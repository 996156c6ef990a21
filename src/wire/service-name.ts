/** Names of services: canonical channel names of at most 128 bytes (control-plane 4.1, 5.1). */
import { canonicalChannelName, isCanonicalChannelName } from "./channel-name.ts"
import { AvError } from "./errors.ts"

/** Longest service name, bytes; the characters are ASCII, so also UTF-16 units. */
export const MAX_SERVICE_NAME = 128

/** True for a name in the only form that travels. */
export function isServiceName(name: string): boolean {
  return name.length <= MAX_SERVICE_NAME && isCanonicalChannelName(name)
}

/**
 * The canonical form of a name given by an application: upper-case ASCII letters become lower case.
 * @throws AvError `TooLong`, or what the name of a channel meets.
 */
export function canonicalServiceName(input: string): string {
  const name = canonicalChannelName(input)
  if (name.length > MAX_SERVICE_NAME) throw new AvError("TooLong", { what: "service name" })
  return name
}
