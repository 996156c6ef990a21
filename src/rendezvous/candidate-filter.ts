/** Which addresses named by somebody else may be sent a packet (control-plane 6.5). */
import type { AddressBlock, CandidateEntry } from "../wire/address.ts"
import { toHex } from "../wire/bytes.ts"

export type CandidateDrop =
  | "tcp"
  | "port"
  | "relay-not-allowed"
  | "mdns-cross-site"
  | "unattested"
  | "private-cross-site"
  | "bad-range"
  | "too-many"

/** What the receiver holds against the word of the peer. Ports of these addresses do not matter. */
export interface CandidateEvidence {
  /** Addresses a trusted observer signed for this very peer. */
  peerAttested: readonly AddressBlock[]
  ownAttested: readonly AddressBlock[]
  /** The operator's TURN servers. */
  relayAllow: readonly AddressBlock[]
  /** Lets 127/8 and ::1 count as private: while the own server is on loopback, and in tests. */
  allowLoopback?: boolean
  /** Drops rule 5, which asks for attestation: for one's own candidates, before they are signed. */
  own?: boolean
  /** Both ends count as being in one network whatever was attested: for one's own candidates while nobody knows where the peer is. */
  near?: boolean
  /** Distinct public addresses of hosts that are kept. Default 2; less where the attestation is an old one (D46). */
  maxPublicHosts?: number
}

interface CandidateVerdict {
  kept: number[]
  /** Why each candidate was dropped; null for those kept. */
  reasons: (CandidateDrop | null)[]
}

/** Below are the ports of well-known services. */
const MIN_PORT = 1_024
const MAX_PUBLIC_HOSTS = 2
const MAX_BLOCKS = 8

type Range = "private" | "public" | "bad"

/** Judges the candidates of one attempt. Trickled candidates go through the same object, which counts on. */
export class CandidateFilter {
  readonly #evidence: CandidateEvidence
  readonly #sameSite: boolean
  readonly #publicHosts = new Set<string>()
  readonly #blocks = new Set<string>()

  constructor(evidence: CandidateEvidence) {
    this.#evidence = evidence
    this.#sameSite = evidence.near === true || sameSite(evidence)
  }

  /** Judges candidates in their order and remembers the kept ones for the limits on number. */
  filter(candidates: readonly CandidateEntry[]): CandidateVerdict {
    const reasons = candidates.map((candidate) => this.#take(candidate))
    return { reasons, kept: reasons.flatMap((reason, index) => (reason === null ? [index] : [])) }
  }

  #take(candidate: CandidateEntry): CandidateDrop | null {
    const { address, type } = candidate
    const direct = type !== "relay" && address.family !== 0
    const isPublic = direct && addressRange(address, this.#evidence.allowLoopback === true) === "public"
    const reason = this.#judge(candidate)
    if (reason !== null) return reason
    const host = hostKey(address)
    const block = `${host}:${address.port}`
    const maxHosts = this.#evidence.maxPublicHosts ?? MAX_PUBLIC_HOSTS
    if (isPublic && !this.#publicHosts.has(host) && this.#publicHosts.size >= maxHosts) return "too-many"
    if (!this.#blocks.has(block) && this.#blocks.size >= MAX_BLOCKS) return "too-many"
    if (isPublic) this.#publicHosts.add(host)
    this.#blocks.add(block)
    return null
  }

  /** Every rule but the last, in the order 1, 2, 3, 4, 7, 6, 5. */
  #judge({ address, type, protocol }: CandidateEntry): CandidateDrop | null {
    const { relayAllow, allowLoopback, peerAttested, own } = this.#evidence
    if (protocol !== "udp") return "tcp"
    if (type === "relay") {
      const allowed = address.port !== 0 && relayAllow.some((server) => hostKey(server) === hostKey(address))
      return allowed ? null : "relay-not-allowed"
    }
    if (address.port < MIN_PORT) return "port"
    if (address.family === 0) return type === "host" && this.#sameSite ? null : "mdns-cross-site"
    const range = addressRange(address, allowLoopback === true)
    if (range === "bad") return "bad-range"
    if (range === "private") return type === "host" && this.#sameSite ? null : "private-cross-site"
    const attested = own === true || peerAttested.some((known) => siteKey(known) === siteKey(address))
    return attested ? null : "unattested"
  }
}

/** True when both ends were seen at one address, or both at private ones: then they share a network. */
function sameSite({ peerAttested, ownAttested, allowLoopback }: CandidateEvidence): boolean {
  const own = new Set(ownAttested.map(siteKey))
  const isPrivate = (address: AddressBlock) => addressRange(address, allowLoopback === true) === "private"
  return (
    peerAttested.some((address) => own.has(siteKey(address))) || (peerAttested.some(isPrivate) && ownAttested.some(isPrivate))
  )
}

/** The exact address, without the port. */
function hostKey({ family, address }: AddressBlock): string {
  return `${family}:${toHex(address)}`
}

/** What counts as one place: an IPv4 address, the first 64 bits of an IPv6 one. */
function siteKey({ family, address }: AddressBlock): string {
  return `${family}:${toHex(family === 6 ? address.subarray(0, 8) : address)}`
}

/** Sorts an IP address. Family 0 has no range and is never asked for one. */
export function addressRange(block: AddressBlock, allowLoopback = false): Range {
  return block.family === 4 ? rangeOf4(block.address, allowLoopback) : rangeOf6(block.address, allowLoopback)
}

function rangeOf4(address: Uint8Array, allowLoopback: boolean): Range {
  const [a = 0, b = 0, c = 0] = address
  if (a === 127) return allowLoopback ? "private" : "bad"
  const isPrivate = a === 10 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168) || (a === 100 && b >= 64 && b < 128)
  if (isPrivate) return "private"
  const special =
    a === 0 ||
    a >= 224 ||
    (a === 169 && b === 254) ||
    (a === 192 && b === 0 && (c === 0 || c === 2)) ||
    (a === 198 && (b === 18 || b === 19)) ||
    (a === 198 && b === 51 && c === 100) ||
    (a === 203 && b === 0 && c === 113)
  return special ? "bad" : "public"
}

function rangeOf6(address: Uint8Array, allowLoopback: boolean): Range {
  const first = address[0] ?? 0
  if ((first & 0xfe) === 0xfc) return "private"
  if (allowLoopback && toHex(address) === "00000000000000000000000000000001") return "private"
  if ((first & 0xe0) !== 0x20) return "bad"
  return toHex(address.subarray(0, 4)) === "20010db8" ? "bad" : "public"
}
