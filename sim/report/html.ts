/** The report as one HTML page with plots; uPlot travels inside, so the file can be mailed. */
import { readFileSync } from "node:fs"
import type { SimReport } from "./report.ts"
import { textOf } from "./text.ts"

const UPLOT = new URL("../../node_modules/uplot/dist/", import.meta.url)

interface Plot {
  title: string
  yLabel: string
  lines: { label: string; colour: string; values: (number | null)[] }[]
}

export function htmlOf(report: SimReport): string {
  const { scenario, curve } = report
  const plots: Plot[] = [
    {
      title: "Groups delivered",
      yLabel: "%",
      lines: [{ label: "of all expected", colour: "#1a7f5a", values: curve.map((at) => share(at.delivered, at.expected)) }],
    },
    {
      title: "Receivers",
      yLabel: "",
      lines: [
        { label: "in the room", colour: "#2563eb", values: curve.map(({ peers }) => peers) },
        { label: "without a live parent", colour: "#c2410c", values: curve.map(({ starved }) => starved) },
      ],
    },
    {
      title: "Lost parents made good",
      yLabel: "per second",
      lines: [{ label: "replaced", colour: "#9333ea", values: curve.map(({ reparents }) => reparents) }],
    },
  ]
  const heading = `${scenario.peers} peers, ${percent(scenario.churnPerMinute)} churn per minute, ${percent(scenario.loss)} loss, seed ${scenario.seed}`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>holomesh simulation: ${heading}</title>
<style>${asset("uPlot.min.css")}
body { font: 14px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 900px; color: #222; background: #fff }
pre { overflow-x: auto; background: #f5f5f5; padding: 1rem }
</style>
<h1>Simulation</h1>
<p>${heading}. Times are virtual. Repeat it with the scenario at the end of this page.</p>
<pre>${escaped(textOf(report))}</pre>
<div id="plots"></div>
<h2>Everything</h2>
<pre>${escaped(JSON.stringify({ ...report, curve: undefined }, null, 2))}</pre>
<script>${asset("uPlot.iife.min.js")}</script>
<script>
for (const { title, yLabel, lines } of ${inScript(plots)}) {
  const x = lines[0].values.map((_, second) => second)
  new uPlot({
    title, width: 860, height: 260,
    scales: { x: { time: false } },
    axes: [{ label: "s" }, { label: yLabel, size: 70 }],
    series: [{ label: "s" }, ...lines.map(({ label, colour }) => ({ label, stroke: colour, width: 2 }))],
  }, [x, ...lines.map(({ values }) => values)], document.querySelector("#plots"))
}
</script>
</html>
`
}

function share(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 1e5) / 1e3
}

function percent(part: number): string {
  return `${Math.round(part * 1_000) / 10} %`
}

function asset(name: string): string {
  return readFileSync(new URL(name, UPLOT), "utf8")
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
}

/** JSON that cannot end the script it stands in. */
function inScript(value: unknown): string {
  return JSON.stringify(value).replaceAll("<", "\\u003c")
}
