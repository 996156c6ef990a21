/** The report as one HTML page with plots; uPlot travels inside, so the file can be mailed. */
import { readFileSync } from "node:fs"
import type { SimReport } from "./report.ts"
import { rowsOf } from "./text.ts"

const UPLOT = new URL("../../node_modules/uplot/dist/", import.meta.url)

interface Plot {
  title: string
  xLabel: string
  yLabel: string
  x: number[]
  /** Colours are custom properties of the page: they follow its light or dark scheme. */
  lines: { label: string; colour: "--good" | "--calm" | "--bad"; values: (number | null)[] }[]
  /** A range that is always shown, [least, most]; undefined: what the values need. */
  y?: [number, number]
}

export function htmlOf(report: SimReport): string {
  const { scenario } = report
  const heading = `${scenario.peers} receivers, ${percent(scenario.churnPerMinute)} churn per minute, ${percent(scenario.loss)} loss, seed ${scenario.seed}`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>holomesh simulation: ${heading}</title>
<style>${asset("uPlot.min.css")}${STYLE}</style>
<main>
<h1>Simulation of a room</h1>
<p>${heading}. All times are virtual; the same scenario gives the same figures.</p>
<dl class="figures">${figures(report)
    .map(
      ([name, value, unit]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)} <small>${escaped(unit)}</small></dd></div>`,
    )
    .join("")}</dl>
<div id="plots"></div>
<h2>In detail</h2>
<div class="wide"><table>${rowsOf(report)
    .map(([name, value]) => `<tr><th scope="row">${escaped(name)}</th><td>${escaped(value)}</td></tr>`)
    .join("")}</table></div>
<details><summary>Everything, with the scenario to repeat it</summary>
<pre>${escaped(JSON.stringify({ ...report, curve: undefined }, null, 2))}</pre></details>
</main>
<script>${asset("uPlot.iife.min.js")}</script>
<script>
const plots = ${inScript(plotsOf(report))}
const place = document.querySelector("#plots")
function draw() {
  const style = getComputedStyle(document.documentElement)
  const [ink, rule] = [style.getPropertyValue("--ink"), style.getPropertyValue("--rule")]
  place.replaceChildren()
  for (const { title, xLabel, yLabel, x, lines, y } of plots) {
    const axis = { stroke: ink, grid: { stroke: rule, width: 1 }, ticks: { stroke: rule, width: 1 } }
    const range = y === undefined ? undefined : (_, least, most) => [Math.min(y[0], least), Math.max(y[1], most)]
    new uPlot({
      title, width: place.clientWidth, height: 240,
      scales: { x: { time: false }, y: { range } },
      axes: [{ ...axis, label: xLabel }, { ...axis, label: yLabel, size: 64 }],
      series: [{ label: xLabel }, ...lines.map(({ label, colour }) => ({ label, stroke: style.getPropertyValue(colour), width: 2 }))],
    }, [x, ...lines.map(({ values }) => values)], place)
  }
}
draw()
addEventListener("resize", draw)
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw)
</script>
</html>
`
}

const STYLE = `
:root { --paper: #ffffff; --card: #f4f5f7; --ink: #22262d; --quiet: #5c6470; --rule: #dfe2e7; --good: #1a7f5a; --calm: #2563eb; --bad: #c2410c }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181d; --card: #20242b; --ink: #e3e6eb; --quiet: #9aa3b0; --rule: #343a45; --good: #4cc38a; --calm: #7aa2ff; --bad: #ff8b5c }
}
body { font: 15px/1.5 system-ui, sans-serif; margin: 0; color: var(--ink); background: var(--paper) }
main { max-width: 900px; margin: 0 auto; padding: 1.5rem }
h1 { font-size: 1.5rem; margin: 0 }
h2 { font-size: 1.1rem; margin-top: 2rem }
p { margin: .25rem 0 1.5rem; color: var(--quiet) }
.figures { display: grid; grid-template-columns: repeat(3, 1fr); gap: .75rem; margin: 0 0 1.5rem }
.figures div { background: var(--card); border-radius: 8px; padding: .75rem 1rem }
dt { font-size: .8rem; color: var(--quiet) }
dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums }
dd small { font-size: .8rem; color: var(--quiet) }
.uplot { margin-bottom: 1.25rem; font: inherit }
.u-title { font-size: .95rem; font-weight: 600 }
.u-legend { font-size: .8rem; color: var(--quiet) }
.wide { overflow-x: auto }
.wide table { border-collapse: collapse; font-size: .85rem; width: 100% }
.wide th, .wide td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--rule) }
.wide th { font-weight: 500; color: var(--quiet); min-width: 7rem }
@media (max-width: 600px) { .figures { grid-template-columns: 1fr 1fr } }
details { margin-top: 1.5rem }
summary { cursor: pointer }
pre { overflow-x: auto; background: var(--card); border-radius: 8px; padding: 1rem; font-size: .8rem }
`

function figures({ delivery, heal, structure, stability, latencyMs }: SimReport): [string, string, string][] {
  return [
    ["Delivered with two live parents", (delivery.fullSet * 100).toFixed(3), "%"],
    ["Delivered, all", (delivery.ratio * 100).toFixed(3), "%"],
    ["Re-parent, 99th percentile", heal.reparentMs.count === 0 ? "–" : (heal.reparentMs.p99 / 1_000).toFixed(2), "s"],
    ["Depth at the end", `${structure.depth}`, `planned ${structure.plannedDepth}`],
    ["Latency, median", latencyMs.p50.toFixed(0), "ms"],
    ["Moves without damping", `${stability.undamped}`, `of ${stability.improvements}`],
  ]
}

function plotsOf({ curve, heal }: SimReport): Plot[] {
  const seconds = curve.map((_, second) => second)
  const delivered = curve.map((at) => share(at.delivered, at.expected))
  const plots: Plot[] = [
    {
      title: "Groups delivered",
      xLabel: "s",
      yLabel: "%",
      x: seconds,
      lines: [{ label: "of all expected, %", colour: "--good", values: delivered }],
      y: [99, 100],
    },
    {
      title: "Receivers without a live parent",
      xLabel: "s",
      yLabel: "",
      x: seconds,
      lines: [{ label: "receivers", colour: "--bad", values: curve.map(({ starved }) => starved) }],
      y: [0, 3],
    },
    {
      title: "Lost parents made good",
      xLabel: "s",
      yLabel: "per second",
      x: seconds,
      lines: [{ label: "replaced", colour: "--calm", values: curve.map(({ reparents }) => reparents) }],
      y: [0, 3],
    },
  ]
  if (heal.reparentMs.count > 0) {
    plots.splice(1, 0, {
      title: "From the death of a parent to as many live parents as before",
      xLabel: "percentile of the losses",
      yLabel: "s",
      x: heal.reparentPercentiles.map((_, percentile) => percentile),
      lines: [{ label: "s", colour: "--calm", values: heal.reparentPercentiles.map((ms) => ms / 1_000) }],
      y: [0, 2.5],
    })
  }
  return plots
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
