/** What this page does for others, in a few figures. */
import type { RoomStats } from "holomesh"
import { bitrate, counts, number } from "../statistics/format.ts"
import type { Report } from "./report.ts"

/** @param own what this page reports of itself: it knows the rates of what it hands over */
export function relayCounts(stats: RoomStats, own: Report): [title: string, value: string][] {
  const { relay } = stats
  const children = new Set(own.relayed.flatMap(({ to }) => to.map(({ peer }) => peer)))
  const out = own.relayed.flatMap(({ to }) => to.flatMap(({ bitrate }) => bitrate ?? []))
  const chunks = relay.streams.reduce((sum, { children }) => sum + children.reduce((all, child) => all + child.chunks, 0), 0)
  return [
    ["Handed on", `${number(own.relayed.length)} ${own.relayed.length === 1 ? "stream" : "streams"}`],
    ["To", `${number(children.size)} ${children.size === 1 ? "member" : "members"}, ${number(relay.subscribers)} copies`],
    ["Comes in", bitrate(own.relayed.reduce((sum, { bitrate }) => sum + bitrate, 0))],
    ["Goes out", bitrate(out.reduce((sum, bits) => sum + bits, 0))],
    ["Chunks handed over", number(chunks)],
    ["Refused", counts(relay.refused) || "nothing"],
    ["Reached from outside", NAT_WORDS[stats.nat.class]],
  ]
}

const NAT_WORDS: Record<RoomStats["nat"]["class"], string> = {
  open: "by everybody",
  cone: "after an introduction (cone NAT)",
  symmetric: "with difficulty (symmetric NAT)",
  unknown: "not known",
}
