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
  const listeners = new Map<EventListenerOrEventListenerObject, string>()
  worker.addEventListener("error", onError)
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
      running?.removeEventListener("error", onError)
      running?.terminate()
      running = undefined
    },
  }
}
