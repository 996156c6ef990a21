/** Rates between two samples of the room's counters. Pure, so that the drawer only shows. */
import type { LinkStats, RoomStats } from "holomesh"

export interface LinkRates {
  /** Bits per second. */
  sent: number
  received: number
}

export interface Sample {
  stats: RoomStats
  /** There was no sample before: the rates say nothing yet. */
  isFirst: boolean
  /** By peer; empty in the first sample. */
  links: Map<string, LinkRates>
  sent: number
  received: number
  /** Largest jitter of a received stream, ms. */
  jitter: number
}

export function takeSample(stats: RoomStats, before: RoomStats | undefined): Sample {
  const links = new Map<string, LinkRates>()
  const seconds = before === undefined ? 0 : (stats.at - before.at) / 1_000
  for (const link of stats.links) {
    const old = before?.links.find((other) => other.peer === link.peer && other.kind === link.kind)
    if (old === undefined || seconds <= 0) continue
    const rate = (of: (link: LinkStats) => number) => Math.max(0, ((of(link) - of(old)) * 8) / seconds)
    const known = links.get(link.peer) ?? { sent: 0, received: 0 }
    links.set(link.peer, { sent: known.sent + rate(sentBytes), received: known.received + rate(receivedBytes) })
  }
  const all = [...links.values()]
  return {
    stats,
    isFirst: before === undefined,
    links,
    sent: all.reduce((sum, { sent }) => sum + sent, 0),
    received: all.reduce((sum, { received }) => sum + received, 0),
    jitter: Math.max(0, ...stats.receive.map(({ jitterMs }) => jitterMs)),
  }
}

function sentBytes(link: LinkStats): number {
  return link.lanes.reduce((sum, lane) => sum + lane.sentBytes, 0)
}

function receivedBytes(link: LinkStats): number {
  return link.lanes.reduce((sum, lane) => sum + lane.receivedBytes, 0)
}
