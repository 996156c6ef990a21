/** A port of this machine that the gateway lets others reach: when to ask for it, when to renew, when to give up (6.11). Sans-I/O. */
import { type AddressBlock, addressFromText } from "../../wire/address.ts"
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds } from "../../wire/types.ts"
import { addressRange } from "../candidate-filter.ts"

/** Ways to ask a gateway, in the order in which they are tried. */
const PORT_MAP_METHODS = ["nat-pmp", "upnp"] as const
export type PortMapMethod = (typeof PORT_MAP_METHODS)[number]

/** How long one attempt may take, ms. */
const PORT_MAP_TIMEOUT_MS: Record<PortMapMethod, Milliseconds> = { "nat-pmp": 1_000, upnp: 2_000 }
/** Of the two seconds that UPnP has, the search for a gateway may take this much, ms. */
export const UPNP_SEARCH_MS = 1_500
export const LEASE_SECONDS = 3_600
/** Taking the mapping away at the end must not hold up a program that stops, ms. */
const UNMAP_MS = 200
const RENEW_MS = 1_800_000
const STRIKES = 3
/** A renewal that failed is tried again after this part of the lease: three strikes fall before its end. */
const RETRY_PART = 8

/** What a gateway answered. */
export interface GrantedPort {
  externalHost: string
  /** The port that was mapped, which need not be the one that was asked for. */
  externalPort: number
  leaseSeconds: number
}

/** Where others reach the port. */
export interface ExternalPort {
  host: string
  port: number
  block: AddressBlock
}

export type PortLeaseAction =
  /** Ask the gateway. The answer comes back by `granted` or `refused`, with this attempt's number. */
  | { type: "ask"; attempt: number; method: PortMapMethod; leaseSeconds: number; timeoutMs: Milliseconds }
  /** The port can be reached there now, as far as the gateway knows. Until a dial-back came through, that is all one knows. */
  | { type: "published"; external: ExternalPort; method: PortMapMethod }
  | { type: "withdrawn"; error: AvError }
  /** There is no mapping; the node works on without one. */
  | { type: "unavailable"; error: AvError }
  | { type: "unmap"; method: PortMapMethod; timeoutMs: Milliseconds }

/** Counts for `stats()`. */
export interface PortLeaseStats {
  active: boolean
  external: string | undefined
  renewals: number
}

/**
 * One mapping. It names neither gateway nor external address: both are what the driver's gateway says, never what a peer says. Call
 * {@link tick} at {@link dueAt}.
 */
export class PortLease {
  #method: PortMapMethod | undefined
  #attempt = 0
  /** The attempt that has no answer yet. */
  #asking: PortMapMethod | undefined
  #leaseMs = LEASE_SECONDS * 1_000
  #strikes = 0
  #renewals = 0
  #published: ExternalPort | undefined
  #dueAt = Number.POSITIVE_INFINITY
  #closed = false

  /** @throws TypeError unless `internalHost` is an IPv4 address of this machine that a gateway can send to */
  constructor(internalHost: string) {
    requireInternal(internalHost)
  }

  get dueAt(): Milliseconds {
    return this.#dueAt
  }

  /** Where the port is published now. */
  get external(): ExternalPort | undefined {
    return this.#published
  }

  get stats(): PortLeaseStats {
    const { host, port } = this.#published ?? {}
    const external = host === undefined ? undefined : `${host}:${port}`
    return { active: this.#published !== undefined, external, renewals: this.#renewals }
  }

  start(): PortLeaseAction[] {
    return this.#closed || this.#asking !== undefined ? [] : [this.#ask(PORT_MAP_METHODS[0])]
  }

  tick(now: Milliseconds): PortLeaseAction[] {
    if (this.#closed || now < this.#dueAt) return []
    this.#dueAt = Number.POSITIVE_INFINITY
    // The way that worked is the way of the renewal: another one would leave a second mapping behind.
    return [this.#ask(this.#method ?? PORT_MAP_METHODS[0])]
  }

  /** The gateway has mapped the port. An answer to an older attempt changes nothing. */
  granted(attempt: number, { externalHost, externalPort, leaseSeconds }: GrantedPort, now: Milliseconds): PortLeaseAction[] {
    const method = this.#asking
    if (method === undefined || attempt !== this.#attempt) return []
    // A lease of no time is none; NaN and the like are not more.
    if (!(leaseSeconds > 0)) return this.refused(attempt, unavailable("no lease"), now)
    const block = addressFromText(externalHost, externalPort)
    if (block?.family !== 4 || !(externalPort >= 1 && externalPort <= 65_535)) {
      return this.refused(attempt, unavailable("bad answer"), now)
    }
    this.#asking = undefined
    if (this.#method !== undefined) this.#renewals++
    this.#method = method
    this.#strikes = 0
    this.#leaseMs = Math.min(leaseSeconds, LEASE_SECONDS) * 1_000
    this.#dueAt = now + Math.min(RENEW_MS, this.#leaseMs / 2)
    if (addressRange(block) !== "public") return this.#withdraw(unavailable("the gateway is itself behind a NAT"))
    const before = this.#published
    if (before?.host === externalHost && before.port === externalPort) return []
    this.#published = { host: externalHost, port: externalPort, block }
    return [{ type: "published", external: this.#published, method }]
  }

  /** An attempt came to nothing, or took too long. */
  refused(attempt: number, error: AvError, now: Milliseconds): PortLeaseAction[] {
    const tried = this.#asking
    if (tried === undefined || attempt !== this.#attempt) return []
    this.#asking = undefined
    if (this.#method === undefined) {
      const next = PORT_MAP_METHODS[PORT_MAP_METHODS.indexOf(tried) + 1]
      if (next !== undefined) return [this.#ask(next)]
      this.#dueAt = now + RENEW_MS
      return [{ type: "unavailable", error }]
    }
    this.#strikes++
    if (this.#strikes < STRIKES) {
      this.#dueAt = now + this.#leaseMs / RETRY_PART
      return []
    }
    // From here it is as if there had never been one: both ways are tried again, at the slow pace.
    this.#method = undefined
    this.#strikes = 0
    this.#dueAt = now + RENEW_MS
    return this.#withdraw(error)
  }

  /** The node stops. Idempotent. */
  close(): PortLeaseAction[] {
    if (this.#closed) return []
    this.#closed = true
    this.#asking = undefined
    this.#dueAt = Number.POSITIVE_INFINITY
    this.#published = undefined
    return this.#method === undefined ? [] : [{ type: "unmap", method: this.#method, timeoutMs: UNMAP_MS }]
  }

  #ask(method: PortMapMethod): PortLeaseAction {
    this.#asking = method
    const attempt = ++this.#attempt
    return { type: "ask", attempt, method, leaseSeconds: LEASE_SECONDS, timeoutMs: PORT_MAP_TIMEOUT_MS[method] }
  }

  #withdraw(error: AvError): PortLeaseAction[] {
    if (this.#published === undefined) return [{ type: "unavailable", error }]
    this.#published = undefined
    return [{ type: "withdrawn", error }]
  }
}

/** `TraversalError` of kind `port-map-unavailable`. */
export function unavailable(why: string, cause?: unknown): AvError {
  return new AvError("TraversalError", { kind: "port-map-unavailable", why }, cause === undefined ? {} : { cause })
}

/** An address that a gateway can be told to send to: this very machine, and nobody else by accident. */
function requireInternal(host: string): void {
  const block = addressFromText(host, 0)
  const [first] = block?.address ?? []
  const concrete = block?.family === 4 && first !== 0 && first !== 127 && (first as number) < 224
  if (!concrete) throw new TypeError(`a port can be mapped to an IPv4 address of a network interface, not to ${host}`)
}
