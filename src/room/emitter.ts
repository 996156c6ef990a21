/** Typed events on top of mitt: `on` returns the function that unsubscribes, and a broken handler harms nobody else. */
import mitt from "mitt"

type EventMap = Record<string, unknown>

interface Listenable<Events extends EventMap> {
  on<K extends keyof Events>(event: K, handler: (value: Events[K]) => void): () => void
}

/** The writing half; hand out only its {@link Listenable} face. */
export class Emitter<Events extends EventMap> implements Listenable<Events> {
  readonly #bus = mitt<Events>()

  on<K extends keyof Events>(event: K, handler: (value: Events[K]) => void): () => void {
    const guarded = (value: Events[K]) => {
      try {
        handler(value)
      } catch (error) {
        // The application's mistake belongs to the application, not to whoever emits.
        queueMicrotask(() => {
          throw error
        })
      }
    }
    this.#bus.on(event, guarded)
    return () => this.#bus.off(event, guarded)
  }

  emit<K extends keyof Events>(event: K, value: Events[K]): void {
    this.#bus.emit(event, value)
  }

  /** Forgets every handler. */
  clear(): void {
    this.#bus.all.clear()
  }
}
