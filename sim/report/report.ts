/** What a simulation found, as plain values: printed, written as JSON, drawn. Nothing in it depends on the machine or the day. */
import { type Scenario, wireKbps } from "../model/scenario.ts"
import type { World } from "../world/world.ts"
import { SLICE_MS, type Slice } from "./metrics.ts"
import { rounded, type Summary } from "./samples.ts"
import { type Structure, structureOf } from "./structure.ts"

export interface SimReport {
  format: "holomesh-sim-1"
  scenario: Scenario
  /** One copy of the stream on the wire, kbit/s. */
  streamKbps: number
  events: number
  joined: number
  left: number
  delivery: {
    /** Groups that could be decoded, of all that a receiver should have had. */
    ratio: number
    /** The same within a second of publishing. */
    within1s: number
    /** Ratio of those groups at whose time the receiver had two live parents. */
    fullSet: number
    /** Share of such groups. */
    fullSetShare: number
    groups: number
    fullSetGroups: number
  }
  /** Publishing to decodable, ms. */
  latencyMs: Summary
  /** That by the delay of a direct path. */
  stretch: Summary
  /** Steps from the source of the copy that completed a group. */
  steps: Summary
  structure: Structure
  /** Pauses of over 250 ms between decodable groups, ms. */
  gapsMs: Summary
  longestGapMs: Summary
  /** Joining to the first decodable group, ms; of those who joined while it was measured. */
  firstPictureMs: Summary
  heal: {
    /** Death of a parent to as many live parents as before, ms. */
    reparentMs: Summary
    /** The same at every percentile from 0 to 100; empty when nobody lost a parent. */
    reparentPercentiles: number[]
    /** Death of the only live parent until any delivers: nothing comes meanwhile, ms. */
    refedMs: Summary
    /** Goodbye of a parent to as many staying parents as before, ms. */
    movedMs: Summary
    /** Older than 5 s at the end and not made good. */
    unhealed: number
  }
  stability: {
    /** Healthy parents left for a clearly better one. */
    improvements: number
    /** Those that came sooner after the last one than D-26.6 allows. */
    undamped: number
    /** Asked again a parent that was left by choice less than a minute before, though none was lost or going meanwhile. */
    flaps: number
    /** The same because one was. */
    returnsInNeed: number
    evictions: number
    starved: number
    leftBecause: Record<string, number>
    refusedBecause: Record<string, number>
  }
  /** Per peer, kbit/s, sent. */
  overheadKbps: Record<string, number>
  /** The same while everybody joined. */
  rushOverheadKbps: Record<string, number>
  packets: { sent: number; shed: number; repeats: number; repeatsRefused: number }
  control: { floodMs: number; floodHops: number; advertisementsPerSecond: Summary }
  /** Per second of measured time. */
  curve: Slice[]
}

export function reportOf(world: World): SimReport {
  const { metrics, scenario } = world
  const structure = structureOf(world)
  const longest = metrics.longestGaps
  for (const peer of world.receivers) longest.add(peer.longestGapMs)
  for (const count of world.room.advertisements) metrics.advertisements.add(count ?? 0)
  const perPeer = (bytes: ReadonlyMap<string, number>, peerMs: number) =>
    Object.fromEntries(
      [...bytes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([kind, sum]) => [kind, rounded((sum * 8) / Math.max(1, peerMs))]),
    )
  const ratio = (part: number, whole: number) => (whole === 0 ? 0 : Math.round((part / whole) * 1e6) / 1e6)
  const seconds = Math.floor((metrics.end - metrics.begin) / SLICE_MS)
  return {
    format: "holomesh-sim-1",
    scenario,
    streamKbps: rounded(wireKbps(scenario)),
    events: world.events,
    joined: world.peers.length - 1,
    left: world.peers.length - 1 - world.receivers.length,
    delivery: {
      ratio: ratio(metrics.delivered, metrics.expected),
      within1s: ratio(metrics.onTime, metrics.expected),
      fullSet: ratio(metrics.deliveredFull, metrics.expectedFull),
      fullSetShare: ratio(metrics.expectedFull, metrics.expected),
      groups: metrics.expected,
      fullSetGroups: metrics.expectedFull,
    },
    latencyMs: metrics.latency.summary(),
    stretch: metrics.stretch.summary(),
    steps: metrics.steps.summary(),
    structure,
    gapsMs: metrics.gaps.summary(),
    longestGapMs: longest.summary(),
    firstPictureMs: metrics.firstPicture.summary(),
    heal: {
      reparentMs: metrics.reparent.summary(),
      reparentPercentiles: metrics.reparent.percentiles(),
      refedMs: metrics.refed.summary(),
      movedMs: metrics.moved.summary(),
      unhealed: metrics.unhealed,
    },
    stability: {
      improvements: metrics.improvements,
      undamped: metrics.undampedSwitches,
      flaps: metrics.flaps,
      returnsInNeed: metrics.returnsInNeed,
      evictions: metrics.evictions,
      starved: metrics.starvations,
      leftBecause: inOrder(metrics.leaveReasons),
      refusedBecause: inOrder(metrics.refusals),
    },
    overheadKbps: perPeer(metrics.controlBytes, metrics.peerMs),
    rushOverheadKbps: perPeer(metrics.rushBytes, metrics.begin * (scenario.peers + 1)),
    packets: { sent: metrics.sent, shed: metrics.shed, repeats: metrics.repeats, repeatsRefused: metrics.repeatsRefused },
    control: {
      floodMs: rounded(world.room.ring.floodMs),
      floodHops: world.room.ring.floodHops,
      advertisementsPerSecond: metrics.advertisements.summary(),
    },
    curve: metrics.slices.slice(0, seconds),
  }
}

function inOrder(counts: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)))
}
