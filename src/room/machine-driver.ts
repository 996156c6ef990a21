/** Drives the room machine: feeds it events, performs what it answers, and wakes it when it asked for that. */
import type { RoomAction, RoomEvent, RoomMachineFace, RoomOpContext } from "../membership/index.ts"
import { runRoomOp } from "../membership/index.ts"
import { monotonicNow } from "./clock.ts"

/** Longest pause between two ticks, so that a clock that jumped (sleep) is noticed. */
const MAX_SLEEP_MS = 10_000

/** An action with the operations taken out: those are run here. */
export type DriverAction = Exclude<RoomAction, { type: "op" }>

export class MachineDriver {
  readonly machine: RoomMachineFace
  readonly #context: RoomOpContext
  readonly #perform: (action: DriverAction) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #stopped = false
  #queue: RoomEvent[] = []
  #busy = false

  constructor(machine: RoomMachineFace, context: RoomOpContext, perform: (action: DriverAction) => void) {
    this.machine = machine
    this.#context = context
    this.#perform = perform
  }

  /** Feeds one event. Events that come up while actions are performed wait for their turn. */
  feed(event: RoomEvent): void {
    if (this.#stopped) return
    this.#queue.push(event)
    if (this.#busy) return
    this.#busy = true
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        for (const action of this.machine.handle(next, monotonicNow())) this.#do(action)
      }
    } finally {
      this.#busy = false
    }
    this.#schedule()
  }

  /** No more events, no more wake-ups. Idempotent. */
  stop(): void {
    this.#stopped = true
    this.#queue = []
    clearTimeout(this.#timer)
  }

  #do(action: RoomAction): void {
    if (action.type !== "op") {
      this.#perform(action)
      return
    }
    runRoomOp(this.#context, action.id, action.op).then((result) => this.feed(result))
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    const wake = this.machine.nextWake()
    if (this.#stopped || wake === undefined) return
    const delay = Math.min(MAX_SLEEP_MS, Math.max(0, wake - monotonicNow()))
    this.#timer = setTimeout(() => this.feed({ type: "tick" }), delay)
  }
}
