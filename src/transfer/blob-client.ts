/** Asks peers for chunks (control-plane 7.6). Nothing is given out that does not hash to what was asked for; who lies is asked no more. */
import { sha256 } from "../crypto/index.ts"
import { type BlobFrame, encodeBlobFrame, MAX_BLOB_CHUNK } from "../wire/blob-frame.ts"
import { equalBytes } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"

/**
 * Requests to one peer at once. Sixteen are allowed; but nothing takes a request back, so what is asked for is sent even when nobody wants
 * it any more, and eight chunks fill any path.
 */
const WINDOW = 8
/** Without a byte for so long, a request has failed. */
const SILENCE_MS = 30_000
/** A busy source is asked again after this time, doubled up to eight times. */
const BUSY_MS = 200
const BUSY_TRIES = 8
/** Sources remembered as liars; the oldest is forgotten. */
const MAX_DROPPED = 1_024
const REQUEST_IDS = 0x10000

interface BlobClientHost {
  send(peer: NodeId, payload: Bytes): void
  /** Runs `action` once after `ms`; the result cancels it. */
  after(ms: Milliseconds, action: () => void): () => void
}

interface Asked {
  peer: NodeId
  requestId: number
  chunkId: Bytes
  /** What arrived so far; made when the first part came. */
  bytes: Bytes | undefined
  length: number
  have: number
  cancelTimer: () => void
  resolve: (bytes: Bytes) => void
  reject: (error: AvError) => void
  tries: number
}

export class BlobClient {
  readonly #host: BlobClientHost
  /** By peer: what is on its way, and what waits for a place. */
  readonly #asked = new Map<NodeId, Map<number, Asked>>()
  readonly #waiting = new Map<NodeId, Asked[]>()
  readonly #dropped = new Set<NodeId>()
  /** One listener for each signal, however many requests hang on it. */
  readonly #aborts = new Map<AbortSignal, { actions: Set<() => void>; off: () => void }>()
  #nextId = 0

  constructor(host: BlobClientHost) {
    this.#host = host
  }

  /**
   * One chunk of exactly `length` bytes, verified.
   * @throws AvError `BlobNotFound`, `BlobRefused`, `BlobTimeout`, `BlobInvalid` when the source sent something else, `SessionClosed`, `Aborted`
   */
  async fetch(peer: NodeId, chunkId: Bytes, length: number, signal?: AbortSignal): Promise<Bytes> {
    if (length < 1 || length > MAX_BLOB_CHUNK) throw new AvError("UsageError", { why: "length of a chunk" })
    if (this.#dropped.has(peer)) throw new AvError("BlobInvalid", { why: "the source sent wrong data before" })
    if (signal?.aborted === true) throw new AvError("Aborted")
    let off = () => {}
    const received = new Promise<Bytes>((resolve, reject) => {
      const asked: Asked = {
        peer,
        requestId: 0,
        chunkId,
        bytes: undefined,
        length,
        have: 0,
        cancelTimer: () => {},
        resolve,
        reject,
        tries: 0,
      }
      off = this.#onAbort(signal, () => this.#fail(asked, new AvError("Aborted")))
      this.#begin(asked)
    })
    try {
      const bytes = await received
      if (equalBytes(await sha256(bytes), chunkId)) return bytes
    } finally {
      off()
    }
    throw this.#drop(peer, "hash")
  }

  /** DATA or ERROR of a peer. What nobody asked for is ignored: it may be the rest of something given up. */
  receive(peer: NodeId, frame: Exclude<BlobFrame, { kind: "get" }>): void {
    const asked = this.#asked.get(peer)?.get(frame.requestId)
    if (asked === undefined) return
    if (frame.kind === "error") {
      if (frame.error === "busy" && asked.tries < BUSY_TRIES) {
        this.#later(asked)
        return
      }
      const code = frame.error === "not-found" ? "BlobNotFound" : "BlobRefused"
      this.#fail(asked, new AvError(code, { why: frame.error }))
      return
    }
    if (frame.total !== asked.length || frame.offset !== asked.have) {
      this.#drop(peer, frame.total === asked.length ? "order" : "length")
      return
    }
    asked.bytes ??= new Uint8Array(asked.length)
    asked.bytes.set(frame.bytes, frame.offset)
    asked.have += frame.bytes.length
    if (asked.have < asked.length) {
      this.#watch(asked)
      return
    }
    this.#forget(asked)
    asked.resolve(asked.bytes)
  }

  /** Whether a peer sent wrong data: it is not asked again. */
  isDropped(peer: NodeId): boolean {
    return this.#dropped.has(peer)
  }

  peerGone(peer: NodeId): void {
    this.#failAll(peer, () => new AvError("SessionClosed"))
  }

  #begin(asked: Asked): void {
    const { peer } = asked
    const running = this.#asked.get(peer) ?? new Map<number, Asked>()
    if (running.size >= WINDOW) {
      this.#waiting.set(peer, [...(this.#waiting.get(peer) ?? []), asked])
      return
    }
    asked.requestId = this.#freeId(running)
    running.set(asked.requestId, asked)
    this.#asked.set(peer, running)
    asked.have = 0
    this.#watch(asked)
    this.#host.send(peer, encodeBlobFrame({ kind: "get", requestId: asked.requestId, chunkId: asked.chunkId }))
  }

  #onAbort(signal: AbortSignal | undefined, action: () => void): () => void {
    if (signal === undefined) return () => {}
    let held = this.#aborts.get(signal)
    if (held === undefined) {
      const actions = new Set<() => void>()
      const fire = () => {
        // The latest first: those that wait must not be asked for when one before them ends.
        for (const each of [...actions].reverse()) each()
      }
      signal.addEventListener("abort", fire)
      held = { actions, off: () => signal.removeEventListener("abort", fire) }
      this.#aborts.set(signal, held)
    }
    const { actions, off } = held
    actions.add(action)
    return () => {
      actions.delete(action)
      if (actions.size > 0) return
      off()
      this.#aborts.delete(signal)
    }
  }

  /** Ids go round, so that the late rest of an old request meets no new one soon. */
  #freeId(running: ReadonlyMap<number, Asked>): number {
    do this.#nextId = (this.#nextId + 1) % REQUEST_IDS
    while (running.has(this.#nextId))
    return this.#nextId
  }

  #watch(asked: Asked): void {
    asked.cancelTimer()
    asked.cancelTimer = this.#host.after(SILENCE_MS, () => this.#fail(asked, new AvError("BlobTimeout")))
  }

  #later(asked: Asked): void {
    this.#forget(asked)
    const wait = BUSY_MS * 2 ** asked.tries++
    asked.cancelTimer = this.#host.after(wait, () => this.#begin(asked))
  }

  /** Ends one request, wherever it stands; a second end does nothing. */
  #fail(asked: Asked, error: AvError): void {
    const { peer } = asked
    const waiting = this.#waiting.get(peer)
    if (waiting?.includes(asked) === true) {
      this.#waiting.set(
        peer,
        waiting.filter((other) => other !== asked),
      )
    }
    this.#forget(asked)
    asked.reject(error)
  }

  #drop(peer: NodeId, why: string): AvError {
    const error = () => new AvError("BlobInvalid", { why })
    this.#dropped.add(peer)
    const [oldest] = this.#dropped
    if (this.#dropped.size > MAX_DROPPED && oldest !== undefined) this.#dropped.delete(oldest)
    this.#failAll(peer, error)
    return error()
  }

  #failAll(peer: NodeId, error: () => AvError): void {
    const all = [...(this.#asked.get(peer)?.values() ?? []), ...(this.#waiting.get(peer) ?? [])]
    this.#waiting.delete(peer)
    for (const asked of all) this.#fail(asked, error())
  }

  #forget(asked: Asked): void {
    asked.cancelTimer()
    const running = this.#asked.get(asked.peer)
    // Whoever still waited leaves no place to anybody.
    if (running?.get(asked.requestId) !== asked) return
    running.delete(asked.requestId)
    if (running.size === 0) this.#asked.delete(asked.peer)
    const waiting = this.#waiting.get(asked.peer)
    const next = waiting?.shift()
    if (waiting?.length === 0) this.#waiting.delete(asked.peer)
    if (next !== undefined) this.#begin(next)
  }
}
