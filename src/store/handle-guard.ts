/** Guards something that lives on another thread, or in the memory of a WASM module, from being used while it is released (12). */
import { AvError } from "../wire/errors.ts"
import type { Milliseconds } from "../wire/types.ts"

/** How long a release waits for operations that run. */
export const FREE_DEADLINE_MS = 5_000

/** A running operation. Ends once, however often it is told to. */
interface Operation {
  exit(): void
  [Symbol.dispose](): void
}

/** `drained`: the caller alone may release what is inside, once. `timed-out`: it is left alone for ever, on purpose. */
type FreeOutcome = "drained" | "already-freeing" | "timed-out"

let lastId = 0
let leaked = 0

/** Ids are never used twice: an answer that comes late finds nobody. */
export function nextHandleId(): number {
  return ++lastId
}

/** `handles_leaked_total`: handles that nobody released before they were forgotten. */
export function handlesLeaked(): number {
  return leaked
}

/** Releases what the application forgot: the held value must not lead back to the handle. */
export const forgotten = /* @__PURE__ */ new FinalizationRegistry<() => void>((release) => {
  leaked++
  release()
})

export class HandleGuard {
  #active = 0
  #freeing = false
  #drained: (() => void) | undefined
  readonly #warn: ((error: AvError) => void) | undefined

  /** @param warn told once, and only when something is left behind because an operation did not end in time */
  constructor(warn?: (error: AvError) => void) {
    this.#warn = warn
  }

  get freeing(): boolean {
    return this.#freeing
  }

  /** Null once releasing has begun. */
  tryEnter(): Operation | null {
    if (this.#freeing) return null
    this.#active++
    let over = false
    const exit = () => {
      if (over) return
      over = true
      this.#active--
      if (this.#active === 0) this.#drained?.()
    }
    return { exit, [Symbol.dispose]: exit }
  }

  /** Runs an operation. @throws AvError `HandleClosed` after {@link beginFree} */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    const op = this.tryEnter()
    if (op === null) throw new AvError("HandleClosed")
    try {
      return await operation()
    } finally {
      op.exit()
    }
  }

  /** Lets nobody in any more and waits for those who are. */
  async beginFree(deadlineMs: Milliseconds = FREE_DEADLINE_MS): Promise<FreeOutcome> {
    if (this.#freeing) return "already-freeing"
    this.#freeing = true
    if (this.#active === 0) return "drained"
    let timer: ReturnType<typeof setTimeout> | undefined
    const outcome = await new Promise<FreeOutcome>((resolve) => {
      this.#drained = () => resolve("drained")
      timer = setTimeout(() => resolve("timed-out"), deadlineMs)
    })
    clearTimeout(timer)
    if (outcome === "timed-out")
      this.#warn?.(new AvError("HandleClosed", { why: "an operation did not end", active: this.#active }))
    return outcome
  }
}
