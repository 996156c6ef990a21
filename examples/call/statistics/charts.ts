/** Two small charts of the last minutes: bitrate out and in, and jitter. */
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import { h } from "../dom.ts"
import { number } from "./format.ts"
import type { Sample } from "./rates.ts"

/** Samples kept, one each second. */
const LENGTH = 120
const HEIGHT = 110

interface Line {
  label: string
  /** Custom property with the colour. */
  color: string
}

type Values = (number | null)[]

export interface Charts {
  element: HTMLElement
  add(sample: Sample): void
  close(): void
}

export function createCharts(): Charts {
  const times: number[] = []
  const [sent, received, jitter]: [Values, Values, Values] = [[], [], []]
  const rates = createChart("Bitrate, kbit/s", [
    { label: "Out", color: "--chart-1" },
    { label: "In", color: "--chart-2" },
  ])
  const delays = createChart("Jitter, ms", [{ label: "Worst stream", color: "--chart-3" }])
  return {
    element: h("div", { class: "charts" }, rates.element, delays.element),
    add(sample) {
      times.push(sample.stats.at / 1_000)
      // The first sample has nothing to compare with: a hole, not a zero.
      sent.push(sample.isFirst ? null : sample.sent / 1_000)
      received.push(sample.isFirst ? null : sample.received / 1_000)
      jitter.push(sample.jitter)
      if (times.length > LENGTH) for (const series of [times, sent, received, jitter]) series.shift()
      rates.show([times, sent, received])
      delays.show([times, jitter])
    },
    close() {
      rates.close()
      delays.close()
    },
  }
}

function createChart(title: string, lines: Line[]) {
  const place = h("div", { class: "chart-place" })
  const legend = h("p", { class: "chart-legend" }, h("b", {}, title))
  const values = lines.map(({ label, color }) => {
    const value = h("span")
    const entry = h("span", { class: "legend-entry" }, `${label} `, value)
    entry.style.setProperty("--color", `var(${color})`)
    legend.append(entry)
    return value
  })
  let chart: uPlot | undefined
  let data: uPlot.AlignedData = [[]]
  const scheme = matchMedia("(prefers-color-scheme: dark)")
  const draw = () => {
    chart?.destroy()
    if (place.clientWidth > 0) chart = new uPlot(optionsFor(place, lines), data, place)
  }
  const resizes = new ResizeObserver(() => {
    if (chart === undefined) draw()
    else if (place.clientWidth > 0) chart.setSize({ width: place.clientWidth, height: HEIGHT })
  })
  resizes.observe(place)
  scheme.addEventListener("change", draw)
  return {
    element: h("figure", { class: "chart", "aria-label": title }, legend, place),
    show(next: uPlot.AlignedData) {
      data = next
      chart?.setData(data)
      values.forEach((value, index) => {
        value.textContent = number(data[index + 1]?.at(-1) ?? undefined)
      })
    },
    close() {
      resizes.disconnect()
      scheme.removeEventListener("change", draw)
      chart?.destroy()
    },
  }
}

function optionsFor(place: HTMLElement, lines: Line[]): uPlot.Options {
  const style = getComputedStyle(place)
  const color = (name: string) => style.getPropertyValue(name).trim()
  const axis: uPlot.Axis = {
    stroke: color("--muted"),
    font: "11px system-ui, sans-serif",
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  }
  return {
    width: place.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_plot, _low, high) => [0, Math.max(10, (high ?? 0) * 1.15)] } },
    axes: [
      { ...axis, show: false },
      { ...axis, size: 44, space: 32 },
    ],
    series: [{}, ...lines.map((line) => ({ stroke: color(line.color), width: 1.75, points: { show: false } }))],
  }
}
