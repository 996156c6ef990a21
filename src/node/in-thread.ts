/** A part that a page keeps in a worker, run in this thread: the same calls, answered later. */
import type { Remote } from "comlink"

/** A part and how it ends. */
interface InThread<Api> {
  remote: Remote<Api>
  /** Calls after this, and those without an answer yet, get none: as with a worker that was ended. */
  end(): void
}

/** Each call is carried out at once, as a message to an idle worker would be, and its result comes in a later turn. */
export function inThread<Api extends object>(part: Api): InThread<Api> {
  let ended = false
  const never = new Promise<never>(() => {})
  const remote = new Proxy(part, {
    get(target, name) {
      // Or a remote would be taken for a promise where one is awaited.
      if (name === "then") return undefined
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== "function") return method
      return async (...parameters: unknown[]) => {
        if (ended) return never
        const result: unknown = await method.apply(target, parameters)
        return ended ? never : result
      }
    },
  })
  return {
    remote: remote as unknown as Remote<Api>,
    end() {
      ended = true
    },
  }
}
