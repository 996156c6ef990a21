/** Drives the room machine: feeds it events, performs what it answers, and wakes it when it asked for that. */
import type { RoomAction, RoomEvent, RoomMachineFace, RoomOpContext } from "../membership/index.ts"
import { runRoomOp } from "../membership/index.ts"
import { monotonicNow } from "./clock.ts"

/** What these operations sign or check is compared with other people's clocks; all others only measure time. */
const ON_WALL_CLOCK: readonly string[] = ["learnLeaves", "learnRecords", "prepareJoin", "found", "join", "commit", "stageUpdate"]

/** Longest pause between two ticks, so that a clock that jumped (sleep) is noticed. */
const MAX_SLEEP_MS = 10_000

/** A tick that comes later than this says that the page or the machine stood still, ms. */
const STOOD_STILL_MS = 2_000

interface DriverHost {
  /** Unix milliseconds as the others count them. */
  wallClock(): number
  /** Ids of the open sessions. */
  sessions(): readonly string[]
}

/** An action with the operations taken out: those are run here. */
export type DriverAction = Exclude<RoomAction, { type: "op" }>

export class MachineDriver {
  readonly machine: RoomMachineFace
  readonly #context: RoomOpContext
  readonly #perform: (action: DriverAction) => void
  readonly #host: DriverHost
  /** When the next tick is due. */
  #dueAt: number | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #stopped = false
  #queue: RoomEvent[] = []
  #busy = false

  constructor(machine: RoomMachineFace, context: RoomOpContext, host: DriverHost, perform: (action: DriverAction) => void) {
    this.#host = host
    this.machine = machine
    this.#context = context
    this.#perform = perform
  }

  /** Feeds one event. Events that come up while actions are performed wait for their turn. */
  feed(event: RoomEvent): void {
    if (this.#stopped) return
    this.#queue.push(event)
    if (this.#busy) return
    if (this.#dueAt !== undefined && monotonicNow() - this.#dueAt > STOOD_STILL_MS) this.#forgive()
    this.#busy = true
    let news = false
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        const actions = this.machine.handle(next, monotonicNow())
        news ||= next.type !== "heard" || actions.length > 0
        for (const action of actions) this.#do(action)
      }
    } finally {
      this.#busy = false
    }
    // A sign of life comes many times a second, and makes nothing due earlier.
    if (news || this.#dueAt === undefined) this.#schedule()
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
    const op = ON_WALL_CLOCK.includes(action.op.op) ? { ...action.op, now: this.#host.wallClock() } : action.op
    runRoomOp(this.#context, action.id, op).then((result) => this.feed(result))
  }

  /** This page stood still: that nothing was heard meanwhile is nobody else's fault. */
  #forgive(): void {
    this.#dueAt = undefined
    this.#queue.unshift(...this.#host.sessions().map((session): RoomEvent => ({ type: "heard", session })))
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    this.#dueAt = undefined
    const wake = this.machine.nextWake()
    if (this.#stopped || wake === undefined) return
    const delay = Math.min(MAX_SLEEP_MS, Math.max(0, wake - monotonicNow()))
    this.#dueAt = monotonicNow() + delay
    this.#timer = setTimeout(() => this.feed({ type: "tick" }), delay)
  }
}
