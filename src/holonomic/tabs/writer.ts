/**
 * One writer among the tabs of an origin: whoever has the lock of a mesh opens its storage and runs its loops; the others hand their
 * orders to it. A tab that closes or crashes gives its lock up, and the next one takes over. A tab that has the person's stored
 * identity is preferred: what was published under it can be taken back by it alone.
 */
import { AvError, isAvError } from "../../wire/errors.ts"
import { isMeshId } from "../gossip/messages.ts"
import { readTabMessage, type TabFailure, type TabMessage } from "./messages.ts"

/** What of `navigator.locks` is used. */
export interface LocksPort {
  request(name: string, options: { signal?: AbortSignal }, held: () => Promise<void>): Promise<unknown>
}

/** What of a `BroadcastChannel` is used. */
export interface TabChannel {
  postMessage(message: unknown): void
  onmessage: ((event: MessageEvent<unknown>) => void) | null
  close(): void
}

interface TabWriterOptions {
  meshId: string
  locks: LocksPort
  channel: TabChannel
  /** Unlike that of every other tab. */
  tabId: string
  /** A writer that is not gives way to one that is. Default false. */
  preferred?: boolean
  /** This tab is the writer from now on: opens the node. What it gives is ended when the tab gives the lock up. */
  begin(): Promise<TabNode>
  /** What the writer tells all tabs, this one included. */
  told?(news: unknown): void
}

export interface OrderControl {
  signal: AbortSignal
  /** For whoever gave the order, as often as there is something to tell. */
  tell(progress: unknown): void
}

/** What the writer does for the others. */
export interface TabNode {
  /** An order of this tab or another one: plain data in, plain data out. A rejection reaches whoever gave it. */
  handle(order: unknown, control: OrderControl): Promise<unknown>
  close(): Promise<void>
}

interface OrderOptions {
  /** Ends it with `Aborted`. */
  signal?: AbortSignal
  tell?(progress: unknown): void
}

/** An order of which no writer has said anything for so long fails: between two writers there is a gap. */
const ANSWER_WITHIN_MS = 10_000
/** The same order is sent again as often as this, for a writer that has just begun, and to hear that it is under way. */
const AGAIN_AFTER_MS = 500
/** Orders under way in one tab, and those of others in the writer. */
const MAX_ORDERS = 1_000

interface Waiting {
  order: unknown
  options: OrderOptions
  resolve(value: unknown): void
  reject(error: unknown): void
  timer: ReturnType<typeof setTimeout> | undefined
  /** When a writer was last heard of it. */
  heardMs: number
  /** Ends it where it runs in this tab. */
  running: AbortController | undefined
}

/** The name of the lock. */
export function tabLock(meshId: string): string {
  return `holomesh memory ${meshId}`
}

export class TabWriter {
  readonly #options: TabWriterOptions
  readonly #stop = new AbortController()
  readonly #orders = new Map<number, Waiting>()
  /** Orders of others that are being carried out: sent again, they are not begun again. */
  readonly #running = new Map<string, AbortController>()
  #node: TabNode | undefined
  /** The lock is here, and the node is being opened: a large storage takes its time. */
  #beginning = false
  #release: (() => void) | undefined
  #id = 0
  #closed = false
  /** The storage could not be opened. */
  #failure: AvError | undefined
  readonly #turn: Promise<void>

  /** @throws AvError `UsageError` for a name that is no mesh's */
  constructor(options: TabWriterOptions) {
    if (!isMeshId(options.meshId)) throw new AvError("UsageError", { why: "mesh id", meshId: options.meshId })
    this.#options = options
    options.channel.onmessage = ({ data }) => this.#message(data)
    this.#turn = this.#await()
    if (options.preferred) this.#post({ kind: "yield" })
  }

  /** Whether this tab is the one that writes. */
  get isWriter(): boolean {
    return this.#node !== undefined
  }

  /**
   * Carries out an order, here or in the tab that writes. It may be carried out twice, when the writer goes in the middle.
   * @throws AvError `HandleClosedError`, `StorageUnavailable` (no tab answers), `Aborted`, `LimitExceeded`, and what the order throws
   */
  async order(order: unknown, options: OrderOptions = {}): Promise<unknown> {
    if (this.#closed) throw new AvError("HandleClosedError")
    if (this.#failure !== undefined) throw this.#failure
    if (options.signal?.aborted) throw new AvError("Aborted")
    if (this.#orders.size >= MAX_ORDERS) throw new AvError("LimitExceeded", { what: "orders" })
    const id = ++this.#id
    const done = new Promise((resolve, reject) => {
      const waiting = { order, options, resolve, reject, timer: undefined, heardMs: Date.now(), running: undefined }
      this.#orders.set(id, waiting)
    })
    const abort = () => this.#abort(id)
    options.signal?.addEventListener("abort", abort, { once: true })
    this.#attempt(id)
    return done.finally(() => options.signal?.removeEventListener("abort", abort))
  }

  /** Tells every tab, this one included. Nothing is told by a tab that is not the writer. */
  tellAll(news: unknown): void {
    if (this.#closed || this.#node === undefined) return
    this.#post({ kind: "news", news })
    this.#options.told?.(news)
  }

  /** Gives the lock up. Resolves when the node is closed. Orders of this tab that are under way fail. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      for (const id of [...this.#orders.keys()]) this.#settle(id)?.reject(new AvError("HandleClosedError"))
      this.#stop.abort()
      this.#release?.()
    }
    await this.#turn
    this.#options.channel.onmessage = null
    this.#options.channel.close()
  }

  /** Waits for the lock, again and again: a writer that gives way goes to the end of the queue. */
  async #await(): Promise<void> {
    const { locks, meshId } = this.#options
    while (!this.#closed) {
      try {
        await locks.request(tabLock(meshId), { signal: this.#stop.signal }, () => this.#write())
      } catch (error) {
        // Closed while it was waiting for its turn.
        if (this.#closed) return
        this.#fail(error)
        return
      }
    }
  }

  /** As long as this runs, the lock is held. */
  async #write(): Promise<void> {
    if (this.#closed) return
    const released = new Promise<void>((resolve) => {
      this.#release = resolve
    })
    this.#beginning = true
    const node = await this.#options.begin().finally(() => {
      this.#beginning = false
    })
    this.#node = node
    this.#post({ kind: "began", preferred: this.#options.preferred ?? false })
    for (const id of [...this.#orders.keys()]) this.#attempt(id)
    await released
    // What is under way is not answered any more: it is sent again, to the next one.
    this.#node = undefined
    for (const waiting of this.#orders.values()) waiting.running = undefined
    for (const control of this.#running.values()) control.abort()
    this.#running.clear()
    await node.close()
  }

  #fail(cause: unknown): void {
    this.#failure = isAvError(cause) ? cause : new AvError("StorageUnavailable", { why: "cannot be opened" }, { cause })
    for (const id of [...this.#orders.keys()]) this.#settle(id)?.reject(this.#failure)
  }

  /** Begins an order in this tab, or sends it to the one that writes, once more if need be. */
  #attempt(id: number): void {
    const waiting = this.#orders.get(id)
    if (waiting === undefined) return
    clearTimeout(waiting.timer)
    waiting.timer = undefined
    if (this.#node !== undefined || this.#beginning) waiting.heardMs = Date.now()
    if (this.#node !== undefined) {
      if (waiting.running === undefined) this.#runOwn(id, waiting, this.#node)
    } else if (Date.now() - waiting.heardMs >= ANSWER_WITHIN_MS) {
      this.#settle(id)?.reject(new AvError("StorageUnavailable", { why: "no tab answers" }))
      return
    } else this.#post({ kind: "order", from: this.#options.tabId, id, order: waiting.order })
    waiting.timer = setTimeout(() => this.#attempt(id), AGAIN_AFTER_MS)
  }

  #runOwn(id: number, waiting: Waiting, node: TabNode): void {
    const running = new AbortController()
    waiting.running = running
    const current = () => this.#orders.get(id) === waiting && waiting.running === running
    const tell = (progress: unknown) => {
      if (current()) waiting.options.tell?.(progress)
    }
    node.handle(waiting.order, { signal: running.signal, tell }).then(
      (value) => current() && this.#settle(id)?.resolve(value),
      (error: unknown) => current() && this.#settle(id)?.reject(error),
    )
  }

  #abort(id: number): void {
    const waiting = this.#settle(id)
    if (waiting === undefined) return
    waiting.running?.abort()
    if (this.#node === undefined) this.#post({ kind: "cancel", from: this.#options.tabId, id })
    waiting.reject(new AvError("Aborted"))
  }

  /** It is over: whoever gets it tells so. */
  #settle(id: number): Waiting | undefined {
    const waiting = this.#orders.get(id)
    if (waiting === undefined) return undefined
    clearTimeout(waiting.timer)
    this.#orders.delete(id)
    return waiting
  }

  #message(data: unknown): void {
    const message = readTabMessage(data)
    const own = this.#options.tabId
    switch (message?.kind) {
      case "order":
        void this.#carryOut(message)
        return
      case "cancel":
        this.#running.get(`${message.from} ${message.id}`)?.abort()
        return
      case "answer":
        if (message.to === own) this.#answered(message)
        return
      case "working":
        if (message.to === own) this.#heard(message.id)
        return
      case "told":
        if (message.to !== own) return
        this.#heard(message.id)
        this.#orders.get(message.id)?.options.tell?.(message.value)
        return
      case "news":
        this.#options.told?.(message.news)
        return
      case "began":
        if (this.#options.preferred && !message.preferred) this.#post({ kind: "yield" })
        for (const id of [...this.#orders.keys()]) this.#attempt(id)
        return
      case "yield":
        if (!this.#options.preferred && this.#node !== undefined) this.#release?.()
    }
  }

  /** Of another tab. */
  async #carryOut({ from, id, order }: Extract<TabMessage, { kind: "order" }>): Promise<void> {
    const key = `${from} ${id}`
    if (this.#beginning || this.#running.has(key)) {
      this.#post({ kind: "working", to: from, id })
      return
    }
    if (this.#node === undefined) return
    if (this.#running.size >= MAX_ORDERS) return
    const control = new AbortController()
    this.#running.set(key, control)
    const current = () => this.#running.get(key) === control
    const tell = (value: unknown) => {
      if (current()) this.#post({ kind: "told", to: from, id, value })
    }
    let answer: TabMessage
    try {
      answer = { kind: "answer", to: from, id, value: await this.#node.handle(order, { signal: control.signal, tell }) }
    } catch (error) {
      answer = { kind: "answer", to: from, id, failure: failureOf(error) }
    }
    // Not when this tab has stopped being the writer meanwhile.
    if (!current()) return
    this.#post(answer)
    // The other one may have sent it again meanwhile.
    setTimeout(() => current() && this.#running.delete(key), 2 * AGAIN_AFTER_MS)
  }

  #heard(id: number): void {
    const waiting = this.#orders.get(id)
    if (waiting !== undefined) waiting.heardMs = Date.now()
  }

  #answered({ id, value, failure }: Extract<TabMessage, { kind: "answer" }>): void {
    const waiting = this.#settle(id)
    if (failure === undefined) waiting?.resolve(value)
    else waiting?.reject(new AvError(failure.code, failure.details))
  }

  #post(message: TabMessage): void {
    if (!this.#closed || message.kind === "answer") this.#options.channel.postMessage(message)
  }
}

function failureOf(error: unknown): TabFailure {
  if (isAvError(error)) return { code: error.code, details: error.details }
  return {
    code: "StorageUnavailable",
    details: { why: "the writing tab refused", reason: error instanceof Error ? error.name : "" },
  }
}
