/** Reading the numbered members of a RENDEZVOUS map, each exactly once and of the right type (control-plane 6.2, 6.7). */
import { type AddressBlock, decodeAddressBlock } from "./address.ts"
import { utf8Encode } from "./bytes.ts"
import { cborUint, type DcborValue } from "./dcbor.ts"
import { AvError } from "./errors.ts"
import { nodeIdFromU64 } from "./node-id.ts"
import type { Bytes, NodeId, U64 } from "./types.ts"

export type RendezvousKeys = Map<DcborValue, DcborValue>

/** Reasons of REJECT with their numbers; unknown numbers read as `unspecified`. */
export const REJECT_REASONS = /* @__PURE__ */ new Map([
  ["rate-limited", 0x01],
  ["unknown-target-reflex", 0x02],
  ["no-session-with-target", 0x03],
  ["reflex-mismatch", 0x04],
  ["target-busy", 0x05],
  ["policy", 0x06],
  ["stale", 0x07],
  ["malformed", 0x08],
  ["unattested", 0x09],
  ["room-full", 0x0a],
  ["bad-namespace", 0x0b],
  ["limit", 0x0c],
  ["unspecified", 0xff],
] as const)
export type RejectReason = typeof REJECT_REASONS extends Map<infer K, number> ? K : never

const MAX_NAMESPACE_BYTES = 64
const MAX_ICE_SERVERS = 8
/** Each of the eight addresses that a query may name can have been seen by several observers. */
export const MAX_REFLEX_ENTRIES = 64
/** One text of an ICE server. */
const MAX_ICE_TEXT = 512

/** One ICE server; user name and credential come together or not at all. */
export interface IceServer {
  url: string
  username?: string
  credential?: string
}

/**
 * Takes members out of a decoded map and remembers which, so that {@link KeyReader.end} can refuse unknown ones.
 * Every method raises `RendezvousMalformed` when the member is missing or of another type.
 */
export class KeyReader {
  readonly #map: RendezvousKeys
  readonly #taken = new Set<DcborValue>()

  constructor(value: DcborValue) {
    if (!(value instanceof Map)) throw fail("not a map")
    this.#map = value
  }

  has(key: number): boolean {
    return this.#map.has(key)
  }

  u64(key: number): U64 {
    return asUint(this.#take(key))
  }

  /** An integer of at most `max`. */
  int(key: number, max: number): number {
    return asInt(this.#take(key), max)
  }

  /** Milliseconds below 2^53, clamped into the range. */
  time(key: number, [min, max]: readonly [number, number]): number {
    return Math.min(Math.max(asInt(this.#take(key), Number.MAX_SAFE_INTEGER), min), max)
  }

  bytes(key: number): Bytes {
    return asBytes(this.#take(key))
  }

  /** 1..64 bytes of UTF-8. */
  namespace(key: number): string {
    const text = asText(this.#take(key))
    const length = utf8Encode(text).length
    if (length < 1 || length > MAX_NAMESPACE_BYTES) throw fail("namespace length")
    return text
  }

  node(key: number): NodeId {
    return asNode(this.#take(key))
  }

  /** Null for zero. */
  nodeOrNull(key: number): NodeId | null {
    const id = asUint(this.#take(key))
    return id === 0n ? null : nodeIdFromU64(id)
  }

  nodes(key: number, max: number): NodeId[] {
    return this.#list(key, max).map(asNode)
  }

  addresses(key: number, max: number): AddressBlock[] {
    return this.#list(key, max).map(asAddress)
  }

  reflexEntries(key: number): { address: AddressBlock; observerIndex: number }[] {
    return this.#list(key, MAX_REFLEX_ENTRIES).map((entry) => {
      if (!Array.isArray(entry) || entry.length !== 2) throw fail("reflex entry")
      return { address: asAddress(entry[0]), observerIndex: asInt(entry[1], 0xffff) }
    })
  }

  reason(key: number): RejectReason {
    const number = this.u64(key)
    for (const [reason, code] of REJECT_REASONS) if (BigInt(code) === number) return reason
    return "unspecified"
  }

  iceServers(key: number): IceServer[] {
    return this.#list(key, MAX_ICE_SERVERS).map(asIceServer)
  }

  /** Refuses members that no method asked for. */
  end(): void {
    if (this.#taken.size !== this.#map.size) throw fail("unknown member")
  }

  #take(key: number): DcborValue | undefined {
    this.#taken.add(key)
    return this.#map.get(key)
  }

  #list(key: number, max: number): DcborValue[] {
    const list = this.#take(key)
    if (!Array.isArray(list) || list.length > max) throw fail("list")
    return list
  }
}

function fail(why: string): AvError {
  return new AvError("RendezvousMalformed", { why })
}

function asUint(value: DcborValue | undefined): U64 {
  const number = cborUint(value)
  if (number === undefined) throw fail("integer expected")
  return number
}

function asInt(value: DcborValue | undefined, max: number): number {
  if (typeof value !== "number" || value > max) throw fail("integer range")
  return value
}

function asBytes(value: DcborValue | undefined): Bytes {
  if (!(value instanceof Uint8Array)) throw fail("bytes expected")
  return value
}

function asText(value: DcborValue | undefined): string {
  if (typeof value !== "string") throw fail("text expected")
  return value
}

function asNode(value: DcborValue | undefined): NodeId {
  const id = asUint(value)
  if (id === 0n) throw fail("zero node id")
  return nodeIdFromU64(id)
}

function asAddress(value: DcborValue | undefined): AddressBlock {
  try {
    return decodeAddressBlock(asBytes(value))
  } catch (cause) {
    throw new AvError("RendezvousMalformed", { why: "address block" }, { cause })
  }
}

function asIceServer(value: DcborValue): IceServer {
  if (!(value instanceof Map)) throw fail("ICE server")
  const url = iceText(value.get(1))
  if (value.size === 1) return { url }
  if (value.size !== 3) throw fail("ICE server members")
  return { url, username: iceText(value.get(2)), credential: iceText(value.get(3)) }
}

function iceText(value: DcborValue | undefined): string {
  const text = asText(value)
  if (text.length > MAX_ICE_TEXT) throw fail("ICE text too long")
  return text
}
