/** Keeps a room's memory on this device: a node over its storage, the items in it, and their clock. One tab of an origin runs it. */
import { secureRandom } from "../../crypto/index.ts"
import type { HoloEvent, HoloOutgoing } from "../../holonomic/gossip/events.ts"
import { HoloNode } from "../../holonomic/gossip/node.ts"
import { DEFAULT_TARGET_HOLDERS } from "../../holonomic/retention/policy.ts"
import type { OrderControl, TabNode } from "../../holonomic/tabs/index.ts"
import type { PeerKeys } from "../../holonomic/trust/verified.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import { AvError, type ErrorCode, isAvError } from "../../wire/errors.ts"
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { Items } from "./items.ts"
import type { OpenedStorage } from "./open-storage.ts"
import type { MemoryNews, MemoryOrder, OrderProgress, OrderResult } from "./orders.ts"
import type { MemoryEstimate } from "./types.ts"

/** In a room of so few people, twice the copies: anybody may leave then, and not only who has the most. */
const FEW_PEERS = 8
/** Longest time between two looks at the clock, ms. */
const MAX_REST_MS = 30_000
/** After a look that failed: the storage is full or gone, and would be asked again and again; ms. */
const AFTER_FAILURE_MS = 10_000
/** Changes are told together, ms. */
const CHANGED_MS = 250

interface KeeperHost {
  meshId: string
  signer: IdentitySigner
  /** Unix ms as the others count them. */
  now(): Milliseconds
  /** May wait: no more symbols are read than go out. */
  send(peer: PeerKeyId, out: HoloOutgoing): void | Promise<void>
  news(news: MemoryNews): void
  /** Something of a peer was not taken. */
  dropped(what: string, code: string): void
  failed(code: ErrorCode): void
}

export class MemoryKeeper implements TabNode {
  readonly #host: KeeperHost
  readonly #opened: OpenedStorage
  readonly #node: HoloNode
  readonly #items: Items
  readonly #running = new Set<AbortController>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #changed: ReturnType<typeof setTimeout> | undefined
  #ticking = false
  #failedAtMs = Number.NEGATIVE_INFINITY
  #closed = false

  private constructor(host: KeeperHost, opened: OpenedStorage, node: HoloNode) {
    this.#host = host
    this.#opened = opened
    this.#node = node
    this.#items = new Items({ node, signer: host.signer, now: () => host.now() })
    this.#arm()
  }

  /** @throws AvError `StorageUnavailable`, `StorageCorrupt` */
  static async open(host: KeeperHost, opened: OpenedStorage): Promise<MemoryKeeper> {
    let told: (event: HoloEvent) => void = () => {}
    const { signer, meshId } = host
    const node = await HoloNode.open({
      storage: opened.storage,
      signer,
      meshId,
      random: secureRandom,
      // A fold takes its items away from everybody: nobody may do that to what others have put here.
      folding: { corpora: () => false },
      targetHolders: (peers) => (peers <= FEW_PEERS ? 2 : 1) * DEFAULT_TARGET_HOLDERS,
      send: (peer, out) => host.send(peer, out),
      emit: (event) => told(event),
    })
    const keeper = new MemoryKeeper(host, opened, node)
    told = (event) => keeper.#emit(event)
    return keeper
  }

  async connected(peer: PeerKeyId, keys: PeerKeys): Promise<void> {
    await this.#live().connected(peer, this.#host.now(), { keys, admit: true })
    this.#arm()
  }

  disconnected(peer: PeerKeyId): void {
    this.#node.disconnected(peer, this.#host.now())
    this.#tellChanged()
    this.#arm()
  }

  async receive(peer: PeerKeyId, incoming: HoloOutgoing): Promise<void> {
    await this.#live().receive(peer, incoming, this.#host.now())
    this.#arm()
  }

  async handle(order: unknown, { signal, tell }: OrderControl): Promise<unknown> {
    this.#live()
    // Tabs of another version of this page may know other orders.
    const known = order as MemoryOrder
    if (signal.aborted) throw new AvError("Aborted")
    const control = new AbortController()
    const abort = () => control.abort()
    signal.addEventListener("abort", abort, { once: true })
    this.#running.add(control)
    try {
      return await this.#carryOut(known, control.signal, (done, total) => tell({ done, total } satisfies OrderProgress))
    } finally {
      signal.removeEventListener("abort", abort)
      this.#running.delete(control)
      if (known.do !== "list" && known.do !== "estimate") this.#arm()
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    clearTimeout(this.#changed)
    for (const control of this.#running) control.abort()
    await this.#node.close()
    await this.#opened.storage.close()
  }

  async #carryOut(
    order: MemoryOrder,
    signal: AbortSignal,
    progress: (done: number, total: number) => void,
  ): Promise<OrderResult[MemoryOrder["do"]]> {
    switch (order.do) {
      case "put":
        return this.#items.put(order.blob, order.item, this.#opened.storage, { signal, progress })
      case "get":
        return this.#items.get(order.id, { signal, progress, wake: () => this.#arm() })
      case "list":
        return this.#items.list()
      case "revoke":
        await this.#items.revoke(order.id)
        return undefined
      case "extend":
        await this.#items.extend(order.id, order.expiresAtMs)
        this.#tellChanged()
        return undefined
      case "estimate":
        return this.#estimate()
      default:
        throw new AvError("UsageError", { why: "order" })
    }
  }

  async #estimate(): Promise<MemoryEstimate> {
    const { storage, persistent } = this.#opened
    const level = await this.#node.shelf.store.headroom()
    return { ...(await storage.estimate()), level, persistent }
  }

  #emit(event: HoloEvent): void {
    switch (event.type) {
      case "manifest":
      case "holders":
      case "hard-deleted":
      case "ejected":
      case "tier-changed":
      case "published":
        this.#tellChanged()
        return
      case "revoked":
        this.#host.news({ news: "revoked", id: event.ref.contentId.split(".")[0] ?? "" })
        return
      case "rejected":
        this.#host.dropped(event.what, event.code)
    }
  }

  #tellChanged(): void {
    if (this.#closed) return
    this.#changed ??= setTimeout(() => {
      this.#changed = undefined
      this.#host.news({ news: "changed" })
    }, CHANGED_MS)
  }

  #arm(): void {
    if (this.#closed) return
    clearTimeout(this.#timer)
    const now = this.#host.now()
    const due = Math.min(this.#node.nextTickMs(now), this.#items.nextTickMs())
    const rest = Math.max(0, due - now, this.#failedAtMs + AFTER_FAILURE_MS - now)
    this.#timer = setTimeout(() => void this.#tick(), Math.min(MAX_REST_MS, rest))
  }

  async #tick(): Promise<void> {
    if (this.#closed || this.#ticking) return
    this.#ticking = true
    try {
      await this.#node.tick(this.#host.now())
      await this.#items.tick()
    } catch (error) {
      this.#failedAtMs = this.#host.now()
      this.#host.failed(isAvError(error) ? error.code : "StorageUnavailable")
    } finally {
      this.#ticking = false
      this.#arm()
    }
  }

  #live(): HoloNode {
    if (this.#closed) throw new AvError("HandleClosedError")
    return this.#node
  }
}
