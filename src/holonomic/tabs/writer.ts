/**
 * One writer among the tabs of an origin: whoever has the lock of a mesh opens its storage and runs its loops; the others read, and hand
 * their orders to it. A tab that closes or crashes gives its lock up, and the next one takes over.
 */
import { AvError } from "../../wire/errors.ts"
import { isMeshId } from "../gossip/messages.ts"

/** What of `navigator.locks` is used. */
export interface LocksPort {
  request(name: string, options: { signal?: AbortSignal }, held: () => Promise<void>): Promise<unknown>
}

/** What of a `BroadcastChannel` is used. */
export interface TabChannel {
  postMessage(message: unknown): void
  onmessage: ((event: { data: unknown }) => void) | null
  close(): void
}

export interface TabWriterOptions {
  meshId: string
  locks: LocksPort
  channel: TabChannel
  /** Unlike that of every other tab. */
  tabId: string
  /** This tab is the writer from now on: opens the node. What it gives is ended when the tab gives the lock up. */
  begin(): Promise<TabNode>
  /** Something has changed that readers show; told to every tab. */
  changed?(): void
}

/** What the writer does for the others. */
export interface TabNode {
  /** An order of this tab or another one: plain data in, plain data out. A rejection reaches whoever gave it. */
  handle(order: unknown): Promise<unknown>
  close(): Promise<void>
}

/** An order that no writer takes for so long fails: between two writers there is a gap. */
const ANSWER_WITHIN_MS = 10_000
/** The same order is sent again as often as this, for a writer that has just begun. */
const AGAIN_AFTER_MS = 500
/** Orders under way in one tab. */
const MAX_ORDERS = 1_000

type TabMessage =
  | { kind: "order"; from: string; id: number; order: unknown }
  | { kind: "answer"; to: string; id: number; value?: unknown; failure?: string }
  | { kind: "changed" }
  | { kind: "began" }

interface Waiting {
  order: unknown
  resolve(value: unknown): void
  reject(error: unknown): void
  timer: ReturnType<typeof setTimeout>
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
  readonly #running = new Set<string>()
  #node: TabNode | undefined
  #release: (() => void) | undefined
  #id = 0
  #closed = false
  readonly #turn: Promise<void>

  /** @throws AvError `UsageError` for a name that is no mesh's */
  constructor(options: TabWriterOptions) {
    if (!isMeshId(options.meshId)) throw new AvError("UsageError", { why: "mesh id", meshId: options.meshId })
    this.#options = options
    options.channel.onmessage = ({ data }) => this.#message(data)
    this.#turn = this.#await()
  }

  /** Whether this tab is the one that writes. */
  get isWriter(): boolean {
    return this.#node !== undefined
  }

  /** Carries out an order, here or in the tab that writes. @throws AvError `HandleClosedError`, `StorageUnavailable` (no tab answers), `LimitExceeded` */
  async order(order: unknown): Promise<unknown> {
    if (this.#closed) throw new AvError("HandleClosedError")
    if (this.#node !== undefined) return this.#node.handle(order)
    if (this.#orders.size >= MAX_ORDERS) throw new AvError("LimitExceeded", { what: "orders" })
    const id = ++this.#id
    return new Promise((resolve, reject) => {
      const started = Date.now()
      const send = () => {
        const waiting = this.#orders.get(id)
        if (waiting === undefined) return
        if (Date.now() - started >= ANSWER_WITHIN_MS) {
          this.#orders.delete(id)
          reject(new AvError("StorageUnavailable", { why: "no tab answers" }))
          return
        }
        this.#post({ kind: "order", from: this.#options.tabId, id, order })
        waiting.timer = setTimeout(send, AGAIN_AFTER_MS)
      }
      this.#orders.set(id, { order, resolve, reject, timer: setTimeout(send, 0) })
    })
  }

  /** Tells every tab, this one included, that there is something new to read. */
  tellChanged(): void {
    if (this.#closed) return
    this.#post({ kind: "changed" })
    this.#options.changed?.()
  }

  /** Gives the lock up. Resolves when the node is closed. Orders of this tab that are under way fail. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      for (const [id, { reject, timer }] of this.#orders) {
        clearTimeout(timer)
        this.#orders.delete(id)
        reject(new AvError("HandleClosedError"))
      }
      this.#stop.abort()
      this.#release?.()
    }
    await this.#turn
    this.#options.channel.onmessage = null
    this.#options.channel.close()
  }

  async #await(): Promise<void> {
    const { locks, meshId } = this.#options
    try {
      await locks.request(tabLock(meshId), { signal: this.#stop.signal }, () => this.#write())
    } catch (error) {
      // Closed while it was waiting for its turn.
      if (!this.#closed) throw error
    }
  }

  /** As long as this runs, the lock is held. */
  async #write(): Promise<void> {
    if (this.#closed) return
    const released = new Promise<void>((resolve) => {
      this.#release = resolve
    })
    const node = await this.#options.begin()
    this.#node = node
    this.#post({ kind: "began" })
    for (const [id, { order, resolve, reject, timer }] of this.#orders) {
      clearTimeout(timer)
      this.#orders.delete(id)
      node.handle(order).then(resolve, reject)
    }
    await released
    this.#node = undefined
    await node.close()
  }

  #message(data: unknown): void {
    const message = data as TabMessage
    switch (message?.kind) {
      case "order":
        void this.#carryOut(message)
        return
      case "answer":
        if (message.to === this.#options.tabId) this.#answered(message)
        return
      case "changed":
      case "began":
        this.#options.changed?.()
    }
  }

  async #carryOut({ from, id, order }: Extract<TabMessage, { kind: "order" }>): Promise<void> {
    const key = `${from} ${id}`
    if (this.#node === undefined || this.#running.has(key) || this.#running.size >= MAX_ORDERS) return
    this.#running.add(key)
    try {
      const value = await this.#node.handle(order)
      this.#post({ kind: "answer", to: from, id, value })
    } catch (error) {
      this.#post({ kind: "answer", to: from, id, failure: error instanceof Error ? error.name : "Error" })
    }
    // The other one may have sent it again meanwhile.
    setTimeout(() => this.#running.delete(key), 2 * AGAIN_AFTER_MS)
  }

  #answered({ id, value, failure }: Extract<TabMessage, { kind: "answer" }>): void {
    const waiting = this.#orders.get(id)
    if (waiting === undefined) return
    clearTimeout(waiting.timer)
    this.#orders.delete(id)
    if (failure === undefined) waiting.resolve(value)
    else waiting.reject(new AvError("StorageUnavailable", { why: "the writing tab refused", reason: failure }))
  }

  #post(message: TabMessage): void {
    if (!this.#closed || message.kind === "answer") this.#options.channel.postMessage(message)
  }
}
