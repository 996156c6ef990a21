/** A worker as Comlink wants it, with an end: afterwards nothing can be reached through it. */
import type { Endpoint } from "comlink"

/** {@link Endpoint} of one worker. */
export interface WorkerEndpoint extends Endpoint {
  /** Ends the worker. Calls that have no answer yet get none. Idempotent. */
  end(): void
}

/**
 * Comlink registers every proxy for finalisation with its endpoint as the held value. The endpoint leads to whoever waits for an answer
 * or for an error of the worker, and from there to the proxies: they would keep each other, and the whole room, in memory for ever.
 */
export function workerEndpoint(worker: Worker, onError: (event: ErrorEvent) => void): WorkerEndpoint {
  let running: Worker | undefined = worker
  // The parameter itself would be kept by the functions below, and lead to the room.
  let failed: typeof onError | undefined = onError
  const listeners = new Map<EventListenerOrEventListenerObject, string>()
  worker.addEventListener("error", failed)
  return {
    postMessage: (message, transfer = []) => running?.postMessage(message, transfer),
    addEventListener(type, listener) {
      listeners.set(listener, type)
      running?.addEventListener(type, listener)
    },
    removeEventListener(type, listener) {
      listeners.delete(listener)
      running?.removeEventListener(type, listener)
    },
    end() {
      for (const [listener, type] of listeners) running?.removeEventListener(type, listener)
      listeners.clear()
      if (failed !== undefined) running?.removeEventListener("error", failed)
      failed = undefined
      running?.terminate()
      running = undefined
    },
  }
}
