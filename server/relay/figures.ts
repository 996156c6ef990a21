/** What a relay shows of itself. */
import type { RoomStats } from "../../src/node/index.ts"

export interface Figures {
  members: number
  /** Members that it is linked to directly. */
  links: number
  /** Streams handed on, and copies of them. */
  streams: number
  copies: number
  /** What came in and what went out in copies, Mbit/s. */
  inMbps: number
  outMbps: number
  /** Requests refused so far, for want of room. */
  refused: number
  server: boolean
  /** Class of its NAT. */
  nat: RoomStats["nat"]["class"]
}

const BITS_PER_MEGABIT = 1_000_000

/** Turns bytes counted so far into a rate. A count that fell began anew. */
export class Meter {
  #bytes: number | undefined
  #at = 0

  /** @returns Mbit/s since the last call; 0 at the first */
  rate(bytes: number, now: number): number {
    const grown = this.#bytes === undefined ? 0 : Math.max(0, bytes - this.#bytes)
    const seconds = (now - this.#at) / 1_000
    this.#bytes = bytes
    this.#at = now
    return grown === 0 || seconds <= 0 ? 0 : (grown * 8) / seconds / BITS_PER_MEGABIT
  }
}

export function figuresOf(stats: RoomStats, out: Meter, now: number): Figures {
  const { streams, refused } = stats.relay
  const children = streams.flatMap((stream) => stream.children)
  const sent = children.reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    members: stats.room.members,
    links: stats.links.filter(({ kind }) => kind === "direct").length,
    streams: streams.length,
    copies: children.length,
    inMbps: tenths(streams.reduce((sum, { bitrate }) => sum + bitrate, 0) / BITS_PER_MEGABIT),
    outMbps: tenths(out.rate(sent, now)),
    refused: Object.values(refused).reduce((sum, count) => sum + count, 0),
    server: stats.room.serverConnected,
    nat: stats.nat.class,
  }
}

export function sentence(room: string, figures: Figures): string {
  const { members, links, streams, copies, inMbps, outMbps, refused, server } = figures
  const parts = [
    `${room}: ${members} ${members === 1 ? "member" : "members"}, ${links} linked`,
    streams === 0
      ? "nothing to hand on"
      : `${streams} ${streams === 1 ? "stream" : "streams"} to ${copies}, ${inMbps} Mbit/s in, ${outMbps} out`,
    ...(refused === 0 ? [] : [`${refused} refused`]),
    ...(server ? [] : ["server away"]),
  ]
  return parts.join(" · ")
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10
}
