/** What the parts of the room machine share: time, actions, asynchronous operations, counters, and the group as it stands. */
import { readMessageHead } from "../group/message-head.ts"
import type { GroupMember, GroupView, MessageHead } from "../group/types.ts"
import { equalBytes } from "../wire/bytes.ts"
import { type AvError, isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import type { RoomOp, RoomOpName, RoomOpResult, RoomOps } from "./ops.ts"
import { SessionTable } from "./sessions.ts"
import type { RoomAction, RoomMachineOptions, RoomNotice, RoomPhase } from "./types.ts"

/** Kinds of counters are names from our own code; this only guards against a mistake there. */
const MAX_COUNTERS = 256
/** A replaced invitation is still good for this long. */
const FORMER_INVITE_MS = 60_000

interface PendingOp {
  run: number
  done: (value: RoomOps[RoomOpName]["output"]) => void
  failed: (error: AvError) => void
}

/** The founded or joined room. */
export interface RoomIdentity {
  roomId: Bytes
  instance: Bytes
  /** Root entity: the host (RM-4). */
  root: Bytes
}

export class RoomCore {
  readonly options: RoomMachineOptions
  readonly sessions = new SessionTable()
  readonly counters: Record<string, number> = {}
  now: Milliseconds = 0
  phase: RoomPhase = "joining"
  serverConnected = false
  /** Registered nodes besides this one; undefined until the first ROSTER. */
  roster: Set<NodeId> | undefined
  /** Counts the changes of {@link roster}. */
  rosterVersion = 0
  room: RoomIdentity | undefined
  view: GroupView | undefined
  /** What proofs are made with now; a host may replace it (RM-18). */
  inviteKey: Bytes
  #formerKey: { key: Bytes; until: Milliseconds } | undefined
  readonly #members = new Map<PeerKeyId, GroupMember>()
  #actions: RoomAction[] = []
  readonly #pending = new Map<number, PendingOp>()
  #nextOp = 1
  #run = 0

  constructor(options: RoomMachineOptions) {
    this.options = options
    this.inviteKey = options.inviteKey
  }

  get me(): PeerKeyId {
    return this.options.self.keyId
  }

  /** Members of the present epoch by key id, this peer included. */
  get members(): ReadonlyMap<PeerKeyId, GroupMember> {
    return this.#members
  }

  setView(view: GroupView | undefined): void {
    this.view = view
    this.#members.clear()
    for (const member of view?.members ?? []) this.#members.set(member.keyId, member)
  }

  /** A new invitation holds from now on; the old one stays good for a minute. */
  replaceInvite(key: Bytes): void {
    if (equalBytes(key, this.inviteKey)) return
    this.#formerKey = { key: this.inviteKey, until: this.now + FORMER_INVITE_MS }
    this.inviteKey = key
  }

  /** The key that a proof was made with: the present one, or the former one while it is good. */
  keyOfProof(right: (key: Bytes) => boolean): Bytes | undefined {
    if (right(this.inviteKey)) return this.inviteKey
    const former = this.#formerKey
    return former !== undefined && this.now < former.until && right(former.key) ? former.key : undefined
  }

  act(action: RoomAction): void {
    this.#actions.push(action)
  }

  emit(event: RoomNotice): void {
    this.act({ type: "emit", event })
  }

  takeActions(): RoomAction[] {
    const actions = this.#actions
    this.#actions = []
    return actions
  }

  count(name: string): void {
    if (name in this.counters || Object.keys(this.counters).length < MAX_COUNTERS) {
      this.counters[name] = (this.counters[name] ?? 0) + 1
    }
  }

  /** The open part of an MLS message; what can not be read is counted. */
  headOf(bytes: Bytes): MessageHead | undefined {
    try {
      return readMessageHead(bytes)
    } catch (error) {
      if (!isAvError(error)) throw error
      this.count(error.code)
      return undefined
    }
  }

  setPhase(phase: RoomPhase, detail = ""): void {
    if (this.phase === phase) return
    this.phase = phase
    this.emit({ type: "phase", phase, detail })
  }

  /** Asks for an operation; the callbacks run when its result comes back, unless {@link RoomCore.abandonOps} came between. */
  run<K extends RoomOpName>(
    op: K,
    input: RoomOps[K]["input"],
    done: (value: RoomOps[K]["output"]) => void,
    failed: (error: AvError) => void = (error) => this.count(error.code),
  ): void {
    const id = this.#nextOp++
    // The driver answers each operation with its own output type; the map cannot express that pairing.
    this.#pending.set(id, { run: this.#run, done: done as PendingOp["done"], failed })
    this.act({ type: "op", id, op: { op, now: this.now, ...input } as RoomOp })
  }

  finishOp(result: RoomOpResult): void {
    const pending = this.#pending.get(result.id)
    this.#pending.delete(result.id)
    if (pending === undefined || pending.run !== this.#run) return
    if (result.ok) pending.done(result.value)
    else pending.failed(result.error)
  }

  /** Results of everything asked for so far are not wanted any more: the group they belong to is given up. */
  abandonOps(): void {
    this.#run++
  }

  /** Random integer in [0, below). */
  randomBelow(below: number): number {
    const bytes = this.options.random(4)
    const value = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0)
    return Math.floor((value / 0x1_0000_0000) * below)
  }
}

/** The earliest of several wake-up times. */
export function earliest(...times: (Milliseconds | undefined)[]): Milliseconds | undefined {
  let first: Milliseconds | undefined
  for (const time of times) if (time !== undefined && (first === undefined || time < first)) first = time
  return first
}
