/** What happens to the page as a whole: hidden, shown again, frozen, resumed. Timers and events in between may have been lost. */

interface PageLifeHandlers {
  /** The page is seen again, or runs again after it was frozen or put aside: check everything at once. */
  onReturn?(about: { awayMs: number }): void
  /** Nobody sees the page now; it goes on running, with slow timers. */
  onHidden?(): void
  /** The browser stops the page: only a moment is left to say so. */
  onFreeze?(): void
}

/** A page that was away shorter than this needs no check: two events for one return. */
const SAME_RETURN_MS = 50

/** Returns how to stop watching. In a thread without a document nothing happens. */
export function watchPage({ onReturn, onHidden, onFreeze }: PageLifeHandlers): () => void {
  if (typeof document === "undefined") return () => undefined
  let awaySince: number | undefined = document.visibilityState === "hidden" ? performance.now() : undefined
  let returnedAt = Number.NEGATIVE_INFINITY
  const away = () => {
    awaySince ??= performance.now()
  }
  const returned = () => {
    const nowMs = performance.now()
    if (nowMs - returnedAt < SAME_RETURN_MS) return
    returnedAt = nowMs
    const awayMs = awaySince === undefined ? 0 : nowMs - awaySince
    awaySince = undefined
    onReturn?.({ awayMs })
  }
  const onVisibility = () => {
    if (document.visibilityState === "visible") returned()
    else {
      away()
      onHidden?.()
    }
  }
  const onFrozen = () => {
    away()
    onFreeze?.()
  }
  // A page that comes back out of the browser's cache gets neither `resume` nor, everywhere, `visibilitychange`.
  const onShow = (event: PageTransitionEvent) => {
    if (event.persisted) returned()
  }
  document.addEventListener("visibilitychange", onVisibility)
  document.addEventListener("freeze", onFrozen)
  document.addEventListener("resume", returned)
  window.addEventListener("pageshow", onShow)
  return () => {
    document.removeEventListener("visibilitychange", onVisibility)
    document.removeEventListener("freeze", onFrozen)
    document.removeEventListener("resume", returned)
    window.removeEventListener("pageshow", onShow)
  }
}
