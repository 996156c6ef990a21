/** Bars and words for the quality of a participant in `<holo-call>`. */
import type { Quality, QualityLevel, QualityReason } from "../room/types.ts"

/** Full and empty bars: their number says it, not a colour. */
const BARS: Readonly<Record<QualityLevel, string>> = { good: "▮▮▮", fair: "▮▮▯", poor: "▮▯▯", lost: "▯▯▯" }
const LEVELS: Readonly<Record<QualityLevel, string>> = { good: "good", fair: "fair", poor: "poor", lost: "nothing arrives" }
const REASONS: Readonly<Record<QualityReason, string>> = {
  network: "weak connection",
  cpu: "this computer cannot keep up",
  source: "few pictures from the camera",
  none: "",
}

export class QualityMark {
  readonly element = document.createElement("span")
  readonly #bars = document.createElement("span")
  readonly #words = document.createElement("span")

  constructor() {
    this.element.className = "quality"
    this.element.hidden = true
    this.#bars.setAttribute("aria-hidden", "true")
    this.element.append(this.#bars, this.#words)
  }

  update(quality: Quality | undefined): void {
    this.element.hidden = quality === undefined
    if (quality === undefined) return
    const { level, reason } = quality
    const shown = level === "good" ? "" : REASONS[reason]
    this.element.dataset.level = level
    this.#bars.textContent = BARS[level]
    // What is good is only said to those who cannot see the bars.
    this.#words.className = shown === "" ? "unseen" : ""
    this.#words.textContent = shown || `connection ${LEVELS[level]}`
  }
}
