/** The quality of a participant as bars, and in words where there is something to say. */
import type { Quality, QualityLevel, QualityReason } from "holomesh"
import { h, svg } from "../dom.ts"

const BARS: Readonly<Record<QualityLevel, number>> = { good: 3, fair: 2, poor: 1, lost: 0 }
const NAMES: Readonly<Record<QualityLevel, string>> = { good: "good", fair: "fair", poor: "poor", lost: "nothing arrives" }

const REMOTE: Readonly<Record<QualityReason, string>> = {
  network: "Weak connection",
  cpu: "This computer cannot keep up with the picture",
  source: "The camera there gives few pictures",
  none: "",
}
const OWN: Readonly<Record<QualityReason, string>> = {
  network: "Your connection is weak",
  cpu: "This computer cannot keep up with your picture",
  source: "Your camera gives few pictures",
  none: "",
}

/** A sentence for the tile; empty while all is well. */
export function qualityInWords(quality: Quality | undefined, own: boolean): string {
  if (quality === undefined || quality.level === "good") return ""
  if (quality.level === "lost" && quality.reason === "network" && !own) return "Nothing arrives at the moment"
  return (own ? OWN : REMOTE)[quality.reason]
}

export interface QualityMark {
  element: HTMLElement
  update(quality: Quality | undefined): void
}

/** Three bars like those of a telephone: how many are full says it, not their colour. */
export function createQualityMark(): QualityMark {
  const bars = [0, 1, 2].map((n) => svg("rect", { x: 2 + n * 7.5, y: 15 - n * 6, width: 5, height: 6 + n * 6, rx: 1.5 }))
  const cross = svg("path", { d: "M3 3l7 7M10 3l-7 7", class: "quality-cross" })
  const words = h("span", { class: "sr-only" })
  const picture = svg("svg", { viewBox: "0 0 24 24", class: "quality-bars", "aria-hidden": "true" }, ...bars, cross)
  const element = h("span", { class: "tile-quality", hidden: true }, picture, words)
  return {
    element,
    update(quality) {
      element.hidden = quality === undefined
      if (quality === undefined || element.dataset.level === quality.level) return
      element.dataset.level = quality.level
      for (const [n, bar] of bars.entries()) bar.classList.toggle("full", n < BARS[quality.level])
      cross.classList.toggle("shown", quality.level === "lost")
      words.textContent = `Connection: ${NAMES[quality.level]}`
      element.title = words.textContent
    },
  }
}
