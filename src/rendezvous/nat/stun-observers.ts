/**
 * The server's STUN observers without their sockets: they answer Binding requests, remember for a while who was seen where, and send
 * an answer from an address that was never asked, but only to whoever is known to be there (control-plane 6.4, 6.7, 6.9). Sans-I/O.
 */
import { type AddressBlock, encodeAddressBlock } from "../../wire/address.ts"
import { toHex } from "../../wire/bytes.ts"
import { MAX_REFLEX_ENTRIES } from "../../wire/rendezvous-keys.ts"
import type { ReflexReplyEntry } from "../../wire/rendezvous-message.ts"
import { decodeBindingRequest, encodeBindingResponse } from "../../wire/stun.ts"
import type { Bytes, Milliseconds } from "../../wire/types.ts"
import { networkKey } from "../evidence.ts"
import type { Budget } from "../limits.ts"
import type { RendezvousDrops } from "../types.ts"
import { FixedWindows } from "../windows.ts"

/** Binding requests of one address (IPv6: of one /64); more are dropped without a word. */
const BINDINGS: Budget = [20, 10_000]
/** Answers from elsewhere: one look at a NAT needs one or two. */
const DIAL_BACKS: Budget = [4, 10_000]
/** A source is remembered this long, for REFLEX_QUERY. */
const SEEN_MS = 30_000
/** For an attestation the request must be this recent. */
const FRESH_MS = 10_000
/** A source belongs to whoever named it first until this long after its last request (D34). */
const CLAIM_MS = 120_000
/** Sources remembered; a flood of forged ones must not fill the memory. The one that was silent longest goes. */
const MAX_SOURCES = 16_384

interface StunObserversOptions {
  /** Where the observers are reached, in the order of their indexes. */
  places: readonly AddressBlock[]
  /** Somebody who was attested at this address is connected: only there an answer from elsewhere is sent. */
  isAttested(source: AddressBlock, now: Milliseconds): boolean
}

/** What to send, and from which observer's socket. */
interface StunReply {
  bytes: Bytes
  from: number
}

/** What is known of the addresses that a client named. */
interface ReflexFindings {
  entries: ReflexReplyEntry[]
  /** Of the named addresses those whose requests are recent enough for an attestation. */
  fresh: AddressBlock[]
  /** How many of them somebody else has named before. */
  conflicts: number
}

interface Source {
  lastAt: Milliseconds
  /** When each observer heard it last. */
  seen: Map<number, Milliseconds>
  /** Who named it first. */
  owner?: string
}

/** `now` is milliseconds of the clock that the rest of the server goes by. It never throws on what the network says. */
export class StunObservers {
  readonly drops: RendezvousDrops = {}
  readonly #options: StunObserversOptions
  readonly #bindings = new FixedWindows(BINDINGS)
  readonly #dialBacks = new FixedWindows(DIAL_BACKS)
  /** By address and port; the one that was heard last is at the end. */
  readonly #sources = new Map<string, Source>()
  #answered = 0
  #calledBack = 0

  constructor(options: StunObserversOptions) {
    this.#options = options
  }

  /** Binding requests answered, and those of them from elsewhere. */
  get counts(): { answered: number; dialBacks: number } {
    return { answered: this.#answered, dialBacks: this.#calledBack }
  }

  /** A datagram came to the observer `index`. Undefined: nothing is to be sent. */
  received(bytes: Bytes, source: AddressBlock, index: number, now: Milliseconds): StunReply | undefined {
    const request = decodeBindingRequest(bytes)
    if (request === undefined || source.family === 0 || source.port === 0) return this.#drop("stun-malformed")
    if (this.#bindings.take(networkKey(source), now) > 0) return this.#drop("stun-budget")
    const { seen } = this.#touch(source, now)
    const from = request.fromElsewhere ? this.#elsewhere(source, seen, index, now) : index
    seen.set(index, now)
    if (from === undefined) return undefined
    this.#answered++
    return { bytes: encodeBindingResponse({ transaction: request.transaction, mapped: source }), from }
  }

  /** A client, here called `owner`, names addresses as its own. Those that another one named before are kept from it. */
  query(addresses: readonly AddressBlock[], owner: string, now: Milliseconds): ReflexFindings {
    const findings: ReflexFindings = { entries: [], fresh: [], conflicts: 0 }
    for (const address of addresses) {
      const source = this.#known(sourceKey(address), now)
      if (source === undefined) continue
      source.owner ??= owner
      if (source.owner !== owner) {
        findings.conflicts++
        continue
      }
      for (const [observerIndex, at] of source.seen) {
        if (now - at <= SEEN_MS && findings.entries.length < MAX_REFLEX_ENTRIES) findings.entries.push({ address, observerIndex })
      }
      if (now - source.lastAt <= FRESH_MS) findings.fresh.push(address)
    }
    return findings
  }

  /** An observer on another address that this source has not contacted lately: only its answer says anything. */
  #elsewhere(
    source: AddressBlock,
    seen: ReadonlyMap<number, Milliseconds>,
    index: number,
    now: Milliseconds,
  ): number | undefined {
    if (!this.#options.isAttested(source, now)) return this.#drop("dial-back-unattested")
    const { places } = this.#options
    const asked = [index, ...[...seen].flatMap(([at, when]) => (now - when <= SEEN_MS ? [at] : []))]
    const contacted = new Set(asked.map((at) => hostKey(places[at] as AddressBlock)))
    const from = places.findIndex((place) => place.family === source.family && !contacted.has(hostKey(place)))
    if (from < 0) return this.#drop("dial-back-nobody")
    if (this.#dialBacks.take(networkKey(source), now) > 0) return this.#drop("dial-back-budget")
    this.#calledBack++
    return from
  }

  #touch(address: AddressBlock, now: Milliseconds): Source {
    const key = sourceKey(address)
    const source = this.#known(key, now) ?? { lastAt: now, seen: new Map<number, Milliseconds>() }
    this.#sources.delete(key)
    if (this.#sources.size >= MAX_SOURCES) this.#makeRoom(now)
    source.lastAt = now
    this.#sources.set(key, source)
    return source
  }

  #known(key: string, now: Milliseconds): Source | undefined {
    const source = this.#sources.get(key)
    if (source === undefined || !isOver(source, now)) return source
    this.#sources.delete(key)
    return undefined
  }

  #makeRoom(now: Milliseconds): void {
    for (const [key, source] of this.#sources) {
      if (!isOver(source, now) && this.#sources.size < MAX_SOURCES) return
      this.#sources.delete(key)
    }
  }

  #drop(why: string): undefined {
    this.drops[why] = (this.drops[why] ?? 0) + 1
    return undefined
  }
}

function isOver({ lastAt, owner }: Source, now: Milliseconds): boolean {
  return now - lastAt > (owner === undefined ? SEEN_MS : CLAIM_MS)
}

function sourceKey(address: AddressBlock): string {
  return toHex(encodeAddressBlock(address))
}

function hostKey({ family, address }: AddressBlock): string {
  return `${family}:${toHex(address)}`
}
