/** Typed events whose listeners cannot break the sender. */
import mitt, { type EventType } from "mitt"
import type { Listen } from "./types.ts"

/** The sending half stays private to its owner; {@link Emitter.on} is what others get. */
export class Emitter<Events extends Record<EventType, unknown>> {
  readonly #events = mitt<Events>()

  readonly on: Listen<Events> = (event, listener) => {
    this.#events.on(event, listener)
    return () => this.#events.off(event, listener)
  }

  /** Calls every listener. One that throws is reported as an uncaught error of the page; the others still run. */
  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    for (const listener of [...(this.#events.all.get(event) ?? [])]) {
      try {
        const call = listener as (value: Events[K]) => void
        call(value)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  clear(): void {
    this.#events.all.clear()
  }
}
