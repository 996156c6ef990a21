/** What is simulated: one stream from one source to everybody, and what happens to the room meanwhile. */

/** So large a share of the peers has an uplink of so many times the stream's rate. */
export interface UplinkShare {
  multiple: number
  share: number
}

export interface Scenario {
  /** Receivers at the beginning; the source comes on top. */
  peers: number
  /** Measured virtual time after everybody has come, s. */
  seconds: number
  /** The first receivers come evenly over this time, s. */
  rampSeconds: number
  /** Share of the receivers that leaves per minute, and is replaced by newcomers. */
  churnPerMinute: number
  /** Share of the leavers that says goodbye to its children first. */
  graceful: number
  /** Share of packets lost on every hop, each way. */
  loss: number
  /** Mean run of losses in packets; 1: independent. */
  burst: number
  uplinks: UplinkShare[]
  /** Uplink of the source as a multiple of the rate. */
  sourceUplink: number
  /** What a bottleneck's queue holds, ms. */
  queueMs: number
  /** Rate of source symbols, kbit/s. */
  kbps: number
  /** Symbol groups (frames) per second. */
  groups: number
  /** Repair symbols per group. */
  repair: number
  /** Whether hops ask again for lost packets. */
  nack: boolean
  /** Whether a part of the peers sits behind NATs that cannot reach each other. */
  nat: boolean
  /** `known`: relays promise what their uplink carries. `measured`: what the estimator of the product finds. */
  capacity: "known" | "measured"
  /** Parents each receiver wants. */
  parents: 1 | 2
  /** The plan counts each child as so many copies, on top of what it does by itself to leave places for second parents. */
  planFactor: number
  /** Candidates a peer looks at, of all that advertise. */
  candidates: number
  /** Extra one-way delay per packet, exponential with this mean, ms. */
  jitterMs: number
  seed: number
}

export const DEFAULTS: Scenario = {
  peers: 100,
  seconds: 60,
  rampSeconds: 10,
  churnPerMinute: 0,
  graceful: 0.5,
  loss: 0,
  burst: 1,
  uplinks: [{ multiple: 6, share: 1 }],
  sourceUplink: 6,
  queueMs: 200,
  kbps: 600,
  groups: 10,
  repair: 1,
  nack: true,
  nat: false,
  capacity: "known",
  parents: 2,
  planFactor: 1,
  candidates: 48,
  jitterMs: 2,
  seed: 1,
}

/** What an uplink carries beyond its copies: repeats, keep-alives, control. */
export const HEADROOM = 1.1

/** Body of a symbol, bytes. */
export const SYMBOL_BYTES = 1_000
/** Around each symbol: fountain and media heads, chunk header, both tags, link frame, lane message, SCTP, DTLS, UDP, IP. */
export const PACKET_OVERHEAD = 12 + 52 + 32 + 9 + 8 + 28 + 29 + 28

/** Source symbols per group. */
export function sourceSymbols({ kbps, groups }: Pick<Scenario, "kbps" | "groups">): number {
  return Math.max(1, Math.ceil((kbps * 1_000) / 8 / groups / SYMBOL_BYTES))
}

/** What one copy of the stream takes on the wire, kbit/s: uplink multiples count in this. */
export function wireKbps(scenario: Scenario): number {
  return ((sourceSymbols(scenario) + scenario.repair) * (SYMBOL_BYTES + PACKET_OVERHEAD) * 8 * scenario.groups) / 1_000
}
