/** What the server makes of the addresses in a CONNECT: it saw the sender somewhere, and may see that it names only others (control-plane 6.4, 6.7). */
import type { AddressBlock, CandidateEntry } from "../wire/address.ts"
import { fromHex } from "../wire/bytes.ts"
import { decodeDescription } from "../wire/description.ts"
import { isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { addressRange, CandidateFilter } from "./candidate-filter.ts"
import { networkKey } from "./evidence.ts"

/** The address that a `visitorKey` stands for; of IPv6 its first half. Undefined for a socket without an IP address. */
export function addressOfVisitor(visitor: string): AddressBlock | undefined {
  const match = /^(?:4:([0-9a-f]{8})|6:([0-9a-f]{16}))$/.exec(visitor)
  if (match === null) return undefined
  const [family, hex] = match[1] === undefined ? [6 as const, match[2] as string] : [4 as const, match[1]]
  const address = new Uint8Array(16)
  address.set(fromHex(hex))
  // All that is seen from the first half of ::1.
  if (family === 6 && address.every((byte) => byte === 0)) address[15] = 1
  return { family, address, port: 0 }
}

/**
 * True when the description names a public address at which the server did not see its sender, and no candidate of it could be used. A
 * family in which a sender with a public address was never seen says nothing: somebody who comes by IPv6 has an IPv4 address as well.
 * Relays are the receiver's to judge, who may know TURN servers that this server does not.
 */
export function namesOnlyOthers(
  description: Bytes,
  requester: readonly AddressBlock[],
  target: readonly AddressBlock[],
): boolean {
  const candidates = candidatesOf(description)
  if (requester.length === 0 || candidates.some(({ type }) => type === "relay")) return false
  const seen = new Set(requester.map(networkKey))
  const families = new Set(requester.map(({ family }) => family))
  const isInside = requester.every((address) => addressRange(address, true) !== "public")
  const isOther = ({ address }: CandidateEntry) =>
    address.family !== 0 &&
    addressRange(address) === "public" &&
    !seen.has(networkKey(address)) &&
    (isInside || families.has(address.family))
  if (!candidates.some(isOther)) return false
  const evidence = { peerAttested: requester, ownAttested: target, relayAllow: [], allowLoopback: true }
  return new CandidateFilter(evidence).filter(candidates).kept.length === 0
}

function candidatesOf(description: Bytes): CandidateEntry[] {
  try {
    return decodeDescription(description).description.candidates
  } catch (error) {
    if (isAvError(error)) return []
    throw error
  }
}
