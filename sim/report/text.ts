/** The report as a few lines for people. */
import type { SimReport } from "./report.ts"
import type { Summary } from "./samples.ts"

const percentiles = ({ count, p50, p95, p99, max }: Summary) => `p50 ${p50}, p95 ${p95}, p99 ${p99}, max ${max} (${count})`
const counts = (record: Record<string, number>) =>
  Object.entries(record)
    .map(([name, value]) => `${name} ${value}`)
    .join(", ") || "none"
const percent = (share: number) => `${(share * 100).toFixed(3)} %`

/** Name and value of each line. */
export function rowsOf(report: SimReport): [string, string][] {
  const { scenario, delivery, structure, heal, stability, control } = report
  const total = Object.values(report.overheadKbps).reduce((sum, value) => sum + value, 0)
  return [
    [
      "room",
      `${scenario.peers} receivers, ${report.joined} joined and ${report.left} left in all, ${scenario.seconds} s measured`,
    ],
    ["delivery", `${percent(delivery.ratio)} of groups, ${percent(delivery.within1s)} within 1 s`],
    ["with two live parents", `${percent(delivery.fullSet)} (so for ${percent(delivery.fullSetShare)} of groups)`],
    ["latency, ms", percentiles(report.latencyMs)],
    ["stretch", percentiles(report.stretch)],
    [
      "depth",
      `${structure.depth} at the end (planned ${structure.plannedDepth}, along primaries ${structure.primaryDepth}); cut off ${structure.cutOff}, never played ${structure.neverPlayed}`,
    ],
    [
      "parents at the end",
      `two ${structure.parents[2]}, one ${structure.parents[1]}, none ${structure.parents[0]}; as planned ${structure.asPlanned}`,
    ],
    ["re-parent after death, ms", `${percentiles(heal.reparentMs)}; open ${heal.unhealed}`],
    ["fed again after the last parent's death, ms", percentiles(heal.refedMs)],
    ["moved after goodbye, ms", percentiles(heal.movedMs)],
    ["gaps over 250 ms", percentiles(report.gapsMs)],
    ["longest gap per receiver", percentiles(report.longestGapMs)],
    ["first picture, ms", percentiles(report.firstPictureMs)],
    [
      "improvements",
      `${stability.improvements}, undamped ${stability.undamped}, flaps ${stability.flaps}, returns in need ${stability.returnsInNeed}, evictions ${stability.evictions}`,
    ],
    ["parents left", counts(stability.leftBecause)],
    ["refusals", counts(stability.refusedBecause)],
    ["control per peer, kbit/s", `${total.toFixed(1)}: ${counts(report.overheadKbps)}`],
    ["control while joining", counts(report.rushOverheadKbps)],
    [
      "a flood takes",
      `${control.floodMs} ms over ${control.floodHops} links; advertisements per s ${percentiles(control.advertisementsPerSecond)}`,
    ],
  ]
}

export function textOf(report: SimReport): string {
  const rows = rowsOf(report)
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value}`).join("\n")
}
