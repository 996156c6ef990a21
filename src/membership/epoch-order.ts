/** What to do with a group message by the epoch it was made in (RM-17, RM-33), and the messages that wait for their epoch. */
import { EPOCH_KEEP_COUNT, EPOCH_KEEP_MS } from "../group/types.ts"
import type { Bytes, Milliseconds, U64 } from "../wire/types.ts"

const COMMITS_AHEAD = 16n
const WAITING_COMMITS = 16
const WAITING_COMMIT_BYTES = 8 * 1024 * 1024
const WAITING_MESSAGES = 256
const WAITING_MESSAGE_BYTES = 1024 * 1024
const WAIT_MS = 10_000
const KEPT = BigInt(EPOCH_KEEP_COUNT)

interface EpochFacts {
  kind: "commit" | "app"
  /** The epoch the message was made in. */
  theirs: U64
  mine: U64
  /** How long ago the epoch `theirs` was left here; only read when it was. */
  leftAgoMs: Milliseconds
  /** Messages of that kind waiting already, and their bytes. */
  waiting: number
  waitingBytes: number
  bytes: number
}

/**
 * `process`: a commit for the present state. `choose`: a commit for a state that is still kept (RM-13). `open`: an application message
 * that can be opened. `hold`: it waits for its epoch.
 */
type EpochVerdict = "process" | "choose" | "open" | "hold" | "drop"

export function epochVerdict(facts: EpochFacts): EpochVerdict {
  const { theirs, mine } = facts
  const kept = theirs < mine && theirs + KEPT >= mine && facts.leftAgoMs < EPOCH_KEEP_MS
  if (facts.kind === "app") {
    if (theirs > mine) return facts.bytes <= WAITING_MESSAGE_BYTES ? "hold" : "drop"
    return theirs === mine || kept ? "open" : "drop"
  }
  if (theirs === mine) return "process"
  if (theirs < mine) return kept ? "choose" : "drop"
  const room = facts.waiting < WAITING_COMMITS && facts.waitingBytes + facts.bytes <= WAITING_COMMIT_BYTES
  return theirs <= mine + COMMITS_AHEAD && room ? "hold" : "drop"
}

/** One message that waits for its epoch. */
interface Waiting<T> {
  epoch: U64
  bytes: Bytes
  at: Milliseconds
  extra: T
}

/** Commits and application messages of later epochs, bounded in number, bytes and time. */
export class EpochQueue<T> {
  #commits: Waiting<T>[] = []
  #messages: Waiting<T>[] = []

  /** What {@link epochVerdict} needs to know about the queue. */
  load(kind: "commit" | "app"): { waiting: number; waitingBytes: number } {
    const queue = kind === "commit" ? this.#commits : this.#messages
    return { waiting: queue.length, waitingBytes: sizeOf(queue) }
  }

  /** Keeps a message that was judged `hold`; among application messages the oldest make room. */
  hold(kind: "commit" | "app", item: Waiting<T>): void {
    if (kind === "commit") {
      this.#commits.push(item)
      return
    }
    this.#messages.push(item)
    let bytes = sizeOf(this.#messages)
    while (this.#messages.length > WAITING_MESSAGES || bytes > WAITING_MESSAGE_BYTES) {
      bytes -= this.#messages.shift()!.bytes.length
    }
  }

  /** Takes out what can be handled in epoch `mine`: commits of exactly that epoch, messages of it or earlier. */
  release(mine: U64): { commits: Waiting<T>[]; messages: Waiting<T>[] } {
    const commits = this.#commits.filter(({ epoch }) => epoch === mine)
    const messages = this.#messages.filter(({ epoch }) => epoch <= mine)
    this.#commits = this.#commits.filter(({ epoch }) => epoch > mine)
    this.#messages = this.#messages.filter(({ epoch }) => epoch > mine)
    return { commits, messages }
  }

  /** Drops what waited longer than 10 s; returns how many. */
  expire(now: Milliseconds): number {
    const before = this.#commits.length + this.#messages.length
    this.#commits = this.#commits.filter(({ at }) => now - at < WAIT_MS)
    this.#messages = this.#messages.filter(({ at }) => now - at < WAIT_MS)
    return before - this.#commits.length - this.#messages.length
  }

  /** When {@link EpochQueue.expire} has something to do. */
  expiresAt(): Milliseconds | undefined {
    const first = Math.min(this.#commits[0]?.at ?? Number.POSITIVE_INFINITY, this.#messages[0]?.at ?? Number.POSITIVE_INFINITY)
    return first === Number.POSITIVE_INFINITY ? undefined : first + WAIT_MS
  }

  clear(): void {
    this.#commits = []
    this.#messages = []
  }
}

function sizeOf(queue: readonly { bytes: Bytes }[]): number {
  let bytes = 0
  for (const item of queue) bytes += item.bytes.length
  return bytes
}
