/** Asks for the picture in the size it is shown at, and for none while it is not on the screen. */
import type { Subscription } from "./types.ts"

/** A tile that moves out of sight and back, as in scrolling, must not start and stop encoders at other people's machines; ms. */
const HIDDEN_AFTER_MS = 1_000

/**
 * Follows the size and visibility of the element that shows `subscription` and tells the publisher through
 * {@link Subscription.setDisplaySize}. Returns what ends it; the picture stays as it was asked for last.
 */
export function fitToElement(subscription: Subscription, element: HTMLElement): () => void {
  let seen = true
  let timer: ReturnType<typeof setTimeout> | undefined
  const tell = () => {
    clearTimeout(timer)
    const { clientWidth, clientHeight } = element
    const scale = globalThis.devicePixelRatio || 1
    if (seen && clientWidth > 0 && clientHeight > 0 && document.visibilityState === "visible") {
      subscription.setDisplaySize({ width: clientWidth * scale, height: clientHeight * scale })
    } else timer = setTimeout(() => subscription.setDisplaySize("hidden"), HIDDEN_AFTER_MS)
  }
  const sizes = new ResizeObserver(tell)
  const sights = new IntersectionObserver((entries) => {
    seen = entries.at(-1)?.isIntersecting ?? true
    tell()
  })
  sizes.observe(element)
  sights.observe(element)
  document.addEventListener("visibilitychange", tell)
  return () => {
    clearTimeout(timer)
    sizes.disconnect()
    sights.disconnect()
    document.removeEventListener("visibilitychange", tell)
  }
}
