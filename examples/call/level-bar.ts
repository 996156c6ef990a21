/** A bar that moves with the microphone, so that people see they can be heard. */
import { levelMeter } from "holomesh"
import { h } from "./dom.ts"

/** Quietest level shown, dB below full scale. */
const FLOOR_DB = -54

export interface LevelBar {
  element: HTMLElement
  /** Shows another track, or none. */
  watch(track: MediaStreamTrack | undefined): void
  close(): void
}

export function createLevelBar(): LevelBar {
  const fill = h("i")
  const element = h("div", { class: "level-bar", "aria-hidden": "true" }, fill)
  let stop = () => {}
  let watched: MediaStreamTrack | undefined
  const close = () => {
    stop()
    stop = () => {}
    watched = undefined
    fill.style.scale = "0 1"
  }
  return {
    element,
    close,
    watch(track) {
      if (track === watched) return
      close()
      watched = track
      if (track === undefined) return
      const meter = levelMeter(track)
      let shown = 0
      const timer = setInterval(() => {
        const level = Math.max(0, 1 - (20 * Math.log10(Math.max(1e-6, meter.level()))) / FLOOR_DB)
        // Falls slower than it rises: a flickering bar is hard to read.
        shown = Math.max(Math.min(1, level), shown * 0.85)
        fill.style.scale = `${shown.toFixed(3)} 1`
      }, 60)
      stop = () => {
        clearInterval(timer)
        meter.close()
      }
    },
  }
}
