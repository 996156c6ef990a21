/** Keeps the screen on during a call, where the browser can. */
import type { Scope } from "../scope.ts"

export function keepAwake(scope: Scope): void {
  if (!("wakeLock" in navigator)) return
  let lock: WakeLockSentinel | undefined
  const request = async () => {
    if (document.visibilityState !== "visible" || scope.closed) return
    lock = await navigator.wakeLock.request("screen").catch(() => undefined)
    if (scope.closed) void lock?.release()
  }
  // The browser drops the lock whenever the page is hidden.
  scope.listen(document, "visibilitychange", () => void request())
  scope.add(() => void lock?.release())
  void request()
}
