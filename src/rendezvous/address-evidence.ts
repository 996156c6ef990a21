/** What speaks for the addresses that a peer names, and which of them may be sent a packet (control-plane 6.4 to 6.6, D45, D46). */
import { verifyLabelled } from "../crypto/labelled.ts"
import { type AddressBlock, type CandidateEntry, encodeAddressBlock } from "../wire/address.ts"
import { ATTESTATION_LABEL, decodeAttestation } from "../wire/attestation.ts"
import { equalBytes, toHex } from "../wire/bytes.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import { type CandidateDrop, type CandidateEvidence, CandidateFilter } from "./candidate-filter.ts"
import type { Budget } from "./limits.ts"
import { FixedWindows } from "./windows.ts"

/** While the server is away an attestation is believed for so long after it was made (D46), ms. */
const AWAY_MS = 12 * 3_600_000
/** Attempts that such an old one is believed for: of each peer in each time, ms. */
const AWAY_BUDGET: Budget = [2, 60_000]
const AWAY_PUBLIC_HOSTS = 1
/** Servers that proved themselves at the address of this page: restarts and moves to another machine change the key. */
const MAX_OBSERVERS = 4
const MAX_RELAYS = 64

/** What came with a description whose signature is right. */
export interface AddressWord {
  /** Entity that signed the description. */
  subject: Bytes
  /** `MAA1` bytes that came beside it. */
  attestation?: Bytes
  /** A member of the room introduced the two; its word is no evidence, but with the server away old attestations count. */
  byMember?: boolean
}

/** Judges the candidates of one exchange of descriptions and of everything that follows it. */
interface AddressGate {
  /** The candidates in their places; `undefined` stands for those that must not be used. */
  admit(candidates: readonly CandidateEntry[]): readonly (CandidateEntry | undefined)[]
}

/** Feed it what the own server says; ask it for a gate for each exchange. Without evidence a gate lets nothing through. */
export class AddressEvidence {
  /** Whether the own server's socket is up. */
  serverUp = false
  /** The own server's address is a loopback one, so that loopback candidates are as good as private ones. */
  loopback = false
  /** Hears of every candidate that was refused. */
  onRefused: (reason: CandidateDrop) => void = () => {}
  #observers: Bytes[] = []
  #own: Bytes | undefined
  #relays: readonly AddressBlock[] = []
  /** Of relays that our own browser was given an address at: the application named them. */
  readonly #ownRelays = new Map<string, AddressBlock>()
  readonly #old = new FixedWindows(AWAY_BUDGET)

  /** A server has proven this entity: it may attest addresses from now on. */
  trust(observer: Bytes): void {
    const others = this.#observers.filter((known) => !equalBytes(known, observer))
    this.#observers = [...others, observer].slice(-MAX_OBSERVERS)
  }

  /** The newest attestation of this node; it came from the server itself. */
  attested(own: Bytes): void {
    this.#own = own
  }

  /** The operator's TURN servers. */
  relaysAre(addresses: readonly AddressBlock[]): void {
    this.#relays = addresses.slice(0, MAX_RELAYS)
  }

  /** For the candidates of a peer. `now` is Unix ms as the others count them. */
  async gateFor({ subject, attestation, byMember = false }: AddressWord, now: Milliseconds): Promise<AddressGate> {
    const peer = attestation === undefined ? undefined : await this.#read(attestation, subject)
    if (peer === undefined || now >= peer.expiresMs) {
      const believed = peer !== undefined && byMember && this.#isRecent(peer.issuedMs, now) && this.#take(subject, now)
      return this.#gate(
        believed ? { peerAttested: peer.addresses, maxPublicHosts: AWAY_PUBLIC_HOSTS } : { peerAttested: [] },
        now,
      )
    }
    return this.#gate({ peerAttested: peer.addresses }, now)
  }

  /**
   * Whether somebody trusted has seen this peer anywhere, so that its candidates may count (active mode). Nothing is taken from a budget.
   */
  async vouches({ subject, attestation, byMember = false }: AddressWord, now: Milliseconds): Promise<boolean> {
    const peer = attestation === undefined ? undefined : await this.#read(attestation, subject)
    return peer !== undefined && (now < peer.expiresMs || (byMember && this.#isRecent(peer.issuedMs, now)))
  }

  /** For our own candidates, before they are signed: what every peer would refuse is not shown to anybody. */
  ownGate(): AddressGate {
    const none = { peerAttested: [], ownAttested: [], relayAllow: [] }
    const filter = new CandidateFilter({ ...none, own: true, near: true, allowLoopback: this.loopback })
    return {
      admit: (candidates) => {
        for (const { type, address } of candidates) if (type === "relay") this.#rememberRelay(address)
        const judged = pick(candidates, filter)
        // A relay that gave us this address is one that we were told to use; whether the peer knows it too is for the peer to say.
        return candidates.map((candidate, index) => (candidate.type === "relay" ? candidate : judged[index]))
      },
    }
  }

  #gate(evidence: Pick<CandidateEvidence, "peerAttested" | "maxPublicHosts">, now: Milliseconds): AddressGate {
    const filter = new CandidateFilter({
      ...evidence,
      ownAttested: this.#ownAttested(now),
      relayAllow: this.#relayAllow(),
      allowLoopback: this.loopback,
    })
    return { admit: (candidates) => pick(candidates, filter, this.onRefused) }
  }

  async #read(bytes: Bytes, subject: Bytes): Promise<Facts | undefined> {
    const facts = decode(bytes)
    if (facts === undefined || !equalBytes(facts.subject, subject)) return undefined
    if (!this.#observers.some((known) => equalBytes(known, facts.observer))) return undefined
    const right = await verifyLabelled(ATTESTATION_LABEL, facts.signedBytes, facts.observer, facts.signature)
    return right ? facts : undefined
  }

  #ownAttested(now: Milliseconds): AddressBlock[] {
    const own = this.#own && decode(this.#own)
    if (own === undefined) return []
    return now < own.expiresMs || this.#isRecent(own.issuedMs, now) ? own.addresses : []
  }

  #isRecent(issuedMs: Milliseconds, now: Milliseconds): boolean {
    return !this.serverUp && now - issuedMs <= AWAY_MS
  }

  #take(subject: Bytes, now: Milliseconds): boolean {
    return this.#old.take(toHex(subject), now) === 0
  }

  #relayAllow(): AddressBlock[] {
    return [...this.#relays, ...this.#ownRelays.values()]
  }

  #rememberRelay(address: AddressBlock): void {
    const host = { ...address, port: 0 }
    if (this.#ownRelays.size < MAX_RELAYS) this.#ownRelays.set(toHex(encodeAddressBlock(host)), host)
  }
}

interface Facts {
  observer: Bytes
  subject: Bytes
  issuedMs: Milliseconds
  expiresMs: Milliseconds
  addresses: AddressBlock[]
  signedBytes: Bytes
  signature: Bytes
}

/** What does not parse says nothing. */
function decode(bytes: Bytes): Facts | undefined {
  try {
    const { attestation, signedBytes, signature } = decodeAttestation(bytes)
    const { issuedMs, expiresMs } = attestation
    return { ...attestation, issuedMs: Number(issuedMs), expiresMs: Number(expiresMs), signedBytes, signature }
  } catch {
    return undefined
  }
}

function pick(
  candidates: readonly CandidateEntry[],
  filter: CandidateFilter,
  onRefused: (reason: CandidateDrop) => void = () => {},
): (CandidateEntry | undefined)[] {
  const { reasons } = filter.filter(candidates)
  return candidates.map((candidate, index) => {
    const reason = reasons[index]
    if (reason === null) return candidate
    if (reason !== undefined) onRefused(reason)
    return undefined
  })
}
