/** What kind of NAT this node sits behind, and whether a direct attempt is worth making (control-plane 6.8, 6.9). */
import type { AddressBlock } from "../../wire/address.ts"
import { toHex } from "../../wire/bytes.ts"
import type { U64 } from "../../wire/types.ts"

/** `unknown` exists only before the first successful sweep and after a change of network. */
export type NatClass = "open" | "cone" | "symmetric" | "unknown"

/** One observer's report: which address it saw our packets come from. */
export interface NatObservation {
  /** Which observer; its latest report counts. */
  observer: string | number
  /** The observer's own address; two observers on one address are one witness. */
  observerIp: string
  mapped: AddressBlock
}

export interface NatEvidence {
  observations: readonly NatObservation[]
  /** The node's own addresses as the system tells them; empty in browsers, which hide them. */
  hostAddresses: readonly AddressBlock[]
  /** An operator's word, or a port mapping that a dial-back confirmed. */
  override: boolean
  /** An observer that this node never contacted got a packet through to the mapped address. */
  dialBack: boolean
}

/** The class and the address it was found with; null when the observations do not suffice for a class. */
type NatVerdict = { class: Exclude<NatClass, "unknown">; reflex: AddressBlock | undefined } | null

/**
 * Classifies by what observers saw. Never gives `unknown`: too little evidence is null, and the caller keeps what it knew.
 * IPv6 counts only where nobody saw an IPv4 address.
 */
export function classifyNat({ observations, hostAddresses, override, dialBack }: NatEvidence): NatVerdict {
  if (override) return { class: "open", reflex: undefined }
  const four = observations.filter(({ mapped }) => mapped.family === 4)
  const latest = new Map<string | number, NatObservation>()
  for (const observation of four.length > 0 ? four : observations.filter(({ mapped }) => mapped.family === 6)) {
    latest.set(observation.observer, observation)
  }
  const seen = [...latest.values()]
  const first = seen[0]
  if (first === undefined) return null
  const mapped = endpointKey(first.mapped)
  if (seen.some((other) => endpointKey(other.mapped) !== mapped)) return { class: "symmetric", reflex: first.mapped }
  if (new Set(seen.map(({ observerIp }) => observerIp)).size < 2) return null
  const unmapped = dialBack && hostAddresses.some((host) => endpointKey(host) === mapped)
  return { class: unmapped ? "open" : "cone", reflex: first.mapped }
}

function endpointKey({ family, address, port }: AddressBlock): string {
  return `${family}:${toHex(address)}:${port}`
}

/** `single` is one attempt without an automatic second; `skip` stays on the routed path. */
type PairAction = "direct" | "single" | "skip"

const ACTIONS: Record<NatClass, Record<NatClass, PairAction>> = {
  open: { open: "direct", cone: "direct", symmetric: "single", unknown: "direct" },
  cone: { open: "direct", cone: "single", symmetric: "single", unknown: "single" },
  symmetric: { open: "single", cone: "single", symmetric: "skip", unknown: "skip" },
  unknown: { open: "direct", cone: "single", symmetric: "skip", unknown: "direct" },
}

/** What to do about a direct connection between two classes. */
export function pairAction(local: NatClass, remote: NatClass): PairAction {
  return ACTIONS[local][remote]
}

const U64_MAX = 0xffffffffffffffffn

/**
 * When the three nudges of a synchronised start go out, milliseconds from now. The start comes from the wire: whatever it is,
 * the first nudge is due between now and `deadline`.
 */
export function clampedOffsets(fireAt: U64, now: U64, deadline: U64): [U64, U64, U64] {
  const wanted = fireAt > now ? fireAt - now : 0n
  const delay = wanted < deadline ? wanted : deadline
  const plus = (more: bigint) => (delay > U64_MAX - more ? U64_MAX : delay + more)
  return [delay, plus(100n), plus(250n)]
}

/** The life of an introduction as a coordinator names it, held within 1..10 s. Undefined when it is no integer below 2^53. */
export function clampTtlMs(value: number | bigint): number | undefined {
  return clampWire(value, 1_000, 10_000)
}

/** The pause a REJECT asks for, held within 0..60 s. Undefined when it is no integer below 2^53. */
export function clampRetryAfterMs(value: number | bigint): number | undefined {
  return clampWire(value, 0, 60_000)
}

function clampWire(value: number | bigint, least: number, most: number): number | undefined {
  const number = Number(value)
  if (!Number.isSafeInteger(number) || number < 0) return undefined
  return Math.min(most, Math.max(least, number))
}
