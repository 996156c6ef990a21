/** Where peers stand in the network: latency between them, the kind of their NAT, what their uplink carries. */
import type { Random } from "../engine/random.ts"
import type { UplinkShare } from "./scenario.ts"

/** `open` takes links from anybody; two `symmetric` NATs cannot reach each other without a TURN server. */
type Nat = "open" | "cone" | "symmetric"

export interface Place {
  /** Position on a plane whose unit is a millisecond of one-way delay. */
  x: number
  y: number
  /** One-way delay of the access line, ms. */
  accessMs: number
  nat: Nat
  /** Bits per ms (that is kbit/s) that leave this peer. */
  uplink: number
}

/** Side of the plane, ms of one-way delay: corners of a continent with undersea neighbours. */
const PLANE_MS = 60
/** Switches and stacks on both ends, ms. */
const FLOOR_MS = 1

export function drawPlace(random: Random, uplinks: readonly UplinkShare[], rateKbps: number, nat: boolean): Place {
  return {
    x: random.between(0, PLANE_MS),
    y: random.between(0, PLANE_MS),
    accessMs: Math.min(40, 1 + random.exponential(5)),
    nat: nat ? drawNat(random.unit()) : "open",
    uplink: drawMultiple(random.unit(), uplinks) * rateKbps,
  }
}

/** Shares seen by measurements of consumer networks, rounded: one in six unfiltered, one in six symmetric. */
function drawNat(at: number): Nat {
  if (at < 0.16) return "open"
  return at < 0.84 ? "cone" : "symmetric"
}

function drawMultiple(at: number, uplinks: readonly UplinkShare[]): number {
  const all = uplinks.reduce((sum, { share }) => sum + share, 0)
  let left = at * all
  for (const { multiple, share } of uplinks) {
    left -= share
    if (left < 0) return multiple
  }
  return uplinks.at(-1)!.multiple
}

/** One-way delay without queues, ms. The same both ways. */
export function oneWayMs(a: Place, b: Place): number {
  return FLOOR_MS + (a.accessMs + b.accessMs) + Math.hypot(a.x - b.x, a.y - b.y)
}

/** Whether a direct link can come about. */
export function canLink(a: Place, b: Place): boolean {
  return a.nat !== "symmetric" || b.nat !== "symmetric"
}
