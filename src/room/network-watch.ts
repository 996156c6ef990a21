/** What the browser tells about the network and about being away: hints to look, never proof. */

interface NetworkHints {
  /** Another network, or a network again. */
  changed(): void
  /** Something may have happened: the page came to the front, or was frozen. */
  look(): void
  /** The machine has no network. */
  offline(): void
}

/** The part of the Network Information API that tells one network from another. */
interface NetworkInformation extends EventTarget {
  type?: string
}

/** Listens until the returned function is called. Outside a page there is nothing to listen to. */
export function watchNetwork({ changed, look, offline }: NetworkHints): () => void {
  const stop = new AbortController()
  const listen = (target: EventTarget | undefined, event: string, handler: () => void) =>
    target?.addEventListener?.(event, handler, { signal: stop.signal })
  const { navigator, document } = globalThis as Partial<typeof globalThis>
  const connection = (navigator as (Navigator & { connection?: NetworkInformation }) | undefined)?.connection
  let type = connection?.type
  listen(globalThis, "online", changed)
  listen(globalThis, "offline", offline)
  listen(connection, "change", () => {
    // Most changes are new estimates of the same network.
    const same = connection?.type === type
    type = connection?.type
    if (same) look()
    else changed()
  })
  listen(document, "visibilitychange", () => document?.visibilityState === "visible" && look())
  listen(document, "resume", look)
  listen(globalThis, "pageshow", look)
  return () => stop.abort()
}
