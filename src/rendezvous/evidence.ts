/** Address attestations and what a coordinator reads of descriptions (control-plane 6.3, 6.4). */
import { nodeIdOf } from "../crypto/ids.ts"
import { type Ed25519Signer, signLabelled } from "../crypto/labelled.ts"
import { type AddressBlock, addressFromText } from "../wire/address.ts"
import { ATTESTATION_LABEL, decodeAttestation, encodeUnsignedAttestation, joinAttestation } from "../wire/attestation.ts"
import { toHex } from "../wire/bytes.ts"
import { decodeDescription } from "../wire/description.ts"
import { isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import type { DescriptionFacts } from "./coordinator.ts"

/** Who signs an attestation: the server's entity. */
export interface Observer extends Ed25519Signer {
  readonly entityId: Bytes
}

/**
 * Attests the address a socket was seen at, valid for any port. `host` is the text of the socket's peer address. Loopback and
 * private addresses are attested too: the receiver's filter decides what they are worth (D45). `extra`: what STUN saw it at, port 0.
 * Undefined when the host is no IP address, such as a pipe.
 */
export async function attestAddress(
  observer: Observer,
  subject: Bytes,
  host: string,
  now: Milliseconds,
  lifeMs: Milliseconds,
  extra: readonly AddressBlock[] = [],
): Promise<Bytes | undefined> {
  const address = addressFromText(host.split("%", 1)[0] ?? "", 0)
  if (address === undefined || address.family === 0) return undefined
  const issuedMs = BigInt(Math.floor(now))
  const expiresMs = issuedMs + BigInt(Math.min(300_000, lifeMs))
  const addresses = [address, ...extra]
  const unsigned = encodeUnsignedAttestation({ observer: observer.entityId, subject, issuedMs, expiresMs, addresses })
  return joinAttestation(unsigned, await signLabelled(ATTESTATION_LABEL, unsigned, observer))
}

/** The facts of an attestation that parses; no signature is checked. */
export function readAttestation(bytes: Bytes): { observer: Bytes; subject: Bytes; lifeMs: Milliseconds } | undefined {
  return orUndefined(() => {
    const { observer, subject, issuedMs, expiresMs } = decodeAttestation(bytes).attestation
    return { observer, subject, lifeMs: Number(expiresMs - issuedMs) }
  })
}

/** The facts of a description that parses and names a possible sender. The signature is the receiver's to check. */
export function readDescription(bytes: Bytes): DescriptionFacts | undefined {
  return orUndefined(() => {
    const { fromEntity, toNode, attemptId, issuedMs, answer, trickle } = decodeDescription(bytes).description
    return { from: nodeIdOf(fromEntity), to: toNode, attemptId, issuedMs, answer, trickle }
  })
}

/** An attestation is passed on only beside its own subject. */
export function attestationFits(attestation: Bytes, subject: NodeId): boolean {
  const facts = readAttestation(attestation)
  return facts !== undefined && orUndefined(() => nodeIdOf(facts.subject)) === subject
}

/** Who counts as one visitor: an IPv4 address, or the /64 of an IPv6 one (control-plane 6.4). */
export function visitorKey(host: string): string {
  const block = addressFromText(host.split("%", 1)[0] ?? "", 0)
  return block === undefined ? host : networkKey(block)
}

/** What counts as one network of a visitor: one IPv4 address, or the /64 of an IPv6 one. */
export function networkKey({ family, address }: AddressBlock): string {
  return `${family}:${toHex(address.subarray(0, family === 4 ? 4 : 8))}`
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}
