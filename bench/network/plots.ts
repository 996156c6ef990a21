/** Draws results of the network benchmark with uPlot in Chromium, as pictures for docs/performance.md. */
import { existsSync, mkdirSync } from "node:fs"
import { chromium, type Page } from "@playwright/test"
import type { RunRecord } from "./results.ts"

const FIGURES = new URL("../../docs/figures/", import.meta.url)
const UPLOT = new URL("../../node_modules/uplot/dist/", import.meta.url)
const DEBIAN_CHROMIUM = "/usr/bin/chromium"

interface Plot {
  file: string
  title: string
  xLabel: string
  yLabel: string
  x: number[]
  lines: { label: string; values: (number | null)[]; colour: string; dashed?: boolean }[]
}

const COLOURS = { holomesh: "#1a7f5a", rtp: "#c2410c" } as const

/** The plots that the records at hand allow. */
export function plotsOf(records: readonly RunRecord[]): Plot[] {
  return [...lossPlots(records), ...["halve", "bulk"].flatMap((event) => eventPlot(records, event))]
}

function lossPlots(records: readonly RunRecord[]): Plot[] {
  return [1, 4].flatMap((burst) => {
    const chosen = records.filter(
      ({ scenario }) =>
        scenario.rttMs === 50 &&
        scenario.event === "none" &&
        scenario.capacity === null &&
        (scenario.burst === burst || scenario.loss === 0),
    )
    const losses = [...new Set(chosen.map(({ scenario }) => scenario.loss))].sort((a, b) => a - b)
    if (losses.length < 3) return []
    const line = (call: "holomesh" | "rtp", figure: string, label: string, dashed = false) => ({
      label: `${call === "rtp" ? "RTP" : call}, ${label}`,
      colour: COLOURS[call],
      dashed,
      values: losses.map((loss) =>
        medianOf(
          chosen.filter((run) => run.call === call && run.scenario.loss === loss),
          figure,
        ),
      ),
    })
    return [
      {
        file: `delay-by-loss${burst > 1 ? "-bursts" : ""}.png`,
        title: `From drawing to the decoded picture, round trip 50 ms, ${burst > 1 ? "losses in runs of 4" : "independent losses"}`,
        xLabel: "packets lost, %",
        yLabel: "ms",
        x: losses.map((loss) => loss * 100),
        lines: (["holomesh", "rtp"] as const).flatMap((call) => [
          line(call, "delay_p50_ms", "median"),
          line(call, "delay_p99_ms", "99th percentile", true),
        ]),
      },
    ]
  })
}

/** Rate and queue over time of the first run with an event, one picture per call. */
function eventPlot(records: readonly RunRecord[], event: string): Plot[] {
  return (["holomesh", "rtp"] as const).flatMap((call) => {
    const run = records.find((each) => each.call === call && each.scenario.event === event && each.rates.length > 0)
    if (run === undefined) return []
    const smooth = (values: number[]) => values.map((_, at) => Math.round(mean(values.slice(Math.max(0, at - 4), at + 1))))
    return [
      {
        file: `${event}-${call}.png`,
        title: `${call === "rtp" ? "RTP" : call}: ${run.name}`,
        xLabel: "s",
        yLabel: "kbit/s (mean of 0.5 s), ms × 10",
        x: run.rates.map(([ms]) => ms / 1_000),
        lines: [
          {
            label: "sent by the call and its competitor, kbit/s",
            colour: "#2563eb",
            values: smooth(run.rates.map(([, rate]) => rate)),
          },
          {
            label: "queue at the bottleneck, ms × 10",
            colour: "#9333ea",
            values: run.rates.map(([, , queue]) => queue * 10),
            dashed: true,
          },
        ],
      },
    ]
  })
}

/** Writes docs/figures/*.png and returns the markdown that shows them. */
export async function drawPlots(plots: readonly Plot[]): Promise<string> {
  if (plots.length === 0) return ""
  mkdirSync(FIGURES, { recursive: true })
  const browser = await chromium.launch({
    ...(existsSync(DEBIAN_CHROMIUM) ? { executablePath: DEBIAN_CHROMIUM } : {}),
    args: ["--no-sandbox"],
  })
  try {
    const page = await browser.newPage({ viewport: { width: 800, height: 460 } })
    // tsx names functions with a helper that does not travel with the text of a function.
    await page.addInitScript("globalThis.__name ??= (value) => value")
    await page.goto("about:blank")
    await page.setContent('<body style="margin:0;background:#fff;font:14px sans-serif"><div id="plot"></div></body>')
    await page.addStyleTag({ path: new URL("uPlot.min.css", UPLOT).pathname })
    await page.addScriptTag({ path: new URL("uPlot.iife.min.js", UPLOT).pathname })
    for (const plot of plots) await draw(page, plot)
  } finally {
    await browser.close()
  }
  return plots.map(({ file, title }) => `![${title}](figures/${file})`).join("\n\n")
}

async function draw(page: Page, plot: Plot): Promise<void> {
  await page.evaluate(({ title, xLabel, yLabel, x, lines }) => {
    const place = document.querySelector("#plot") as HTMLElement
    place.replaceChildren()
    const { uPlot } = globalThis as unknown as { uPlot: new (options: object, data: object, place: HTMLElement) => unknown }
    new uPlot(
      {
        title,
        width: 780,
        height: 380,
        legend: { live: false },
        scales: { x: { time: false }, y: { range: (_: unknown, __: number, most: number) => [0, most * 1.05] } },
        axes: [{ label: xLabel }, { label: yLabel, size: 70 }],
        series: [
          { label: xLabel },
          ...lines.map(({ label, colour, dashed }) => ({
            label,
            stroke: colour,
            width: 2,
            ...(dashed === true ? { dash: [6, 4] } : {}),
            points: { show: x.length < 20 },
          })),
        ],
      },
      [x, ...lines.map(({ values }) => values)],
      place,
    )
  }, plot)
  await page.locator("#plot").screenshot({ path: new URL(plot.file, FIGURES).pathname })
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
}

function medianOf(runs: readonly RunRecord[], figure: string): number | null {
  const values = runs.flatMap(({ figures }) => figures[figure] ?? []).sort((a, b) => a - b)
  return values[Math.floor((values.length - 1) / 2)] ?? null
}
