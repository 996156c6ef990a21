/** What the memory worker runs: a node over this device's storage, with files and recordings cut into contents and put together again. */

import type { HybridSignature } from "../../crypto/hybrid.ts"
import { secureRandom } from "../../crypto/index.ts"
import { initFountain } from "../../fountain/index.ts"
import type { HoloEvent, HoloOutgoing } from "../../holonomic/gossip/events.ts"
import { decodeHoloMessage, decodeSymbolFrame, encodeHoloMessage, encodeSymbolFrame } from "../../holonomic/gossip/messages.ts"
import { HoloNode } from "../../holonomic/gossip/node.ts"
import { DEFAULT_TARGET_HOLDERS } from "../../holonomic/retention/policy.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { Items } from "./items.ts"
import { type OpenedStorage, openMemoryStorage } from "./open-storage.ts"
import type {
  ItemInfo,
  MemoryAnswer,
  MemoryApi,
  MemoryEstimate,
  MemoryEvent,
  MemoryIdentity,
  MemoryOpenOptions,
  PutItem,
} from "./types.ts"

/** Challenges count from 1, fetches from here: what proves possession is due within two seconds and goes first. */
const FIRST_FETCH = 0x8000_0000
/** In a room of so few people, twice the copies: anybody may leave then, and not only who has the most. */
const FEW_PEERS = 8
/** Longest time between two looks at the clock, ms. */
const MAX_REST_MS = 30_000
/** After a look that failed: the storage is full or gone, and would be asked again and again; ms. */
const AFTER_FAILURE_MS = 10_000
/** Changes are told together, ms. */
const CHANGED_MS = 250

/** The port as far as it is used here, so that tests need no worker. */
export type MemoryPort = Pick<MessagePort, "postMessage" | "close"> & { onmessage: MessagePort["onmessage"] }

export class MemoryService implements MemoryApi {
  readonly #openStorage: typeof openMemoryStorage
  readonly #operations = new Map<number, AbortController>()
  readonly #sending = new Map<number, () => void>()
  #opened: OpenedStorage | undefined
  #node: HoloNode | undefined
  #items: Items | undefined
  #events: MemoryPort | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  #changed: ReturnType<typeof setTimeout> | undefined
  #offsetMs: Milliseconds = 0
  #nextSend = 1
  #ticking = false
  #failedAtMs = Number.NEGATIVE_INFINITY
  #state: "new" | "open" | "closed" = "new"

  /** @param openStorage where things are kept; tests pass their own */
  constructor(openStorage: typeof openMemoryStorage = openMemoryStorage) {
    this.#openStorage = openStorage
  }

  async open(
    { meshId, identity, persistent }: MemoryOpenOptions,
    sign: (message: Bytes) => Promise<HybridSignature>,
    fountain: BufferSource | WebAssembly.Module,
  ): Promise<{ persistent: boolean }> {
    if (this.#state !== "new") throw new AvError("AlreadyInitialized")
    this.#state = "open"
    await initFountain(fountain)
    const signer = signerOf(identity, sign)
    this.#opened = await this.#openStorage(meshId, persistent)
    const node = await HoloNode.open({
      storage: this.#opened.storage,
      signer,
      meshId,
      random: secureRandom,
      targetHolders: (peers) => (peers <= FEW_PEERS ? 2 : 1) * DEFAULT_TARGET_HOLDERS,
      send: (peer, out) => this.#send(peer, out),
      emit: (event) => this.#emit(event),
    })
    this.#node = node
    this.#items = new Items({ node, signer, now: () => this.#now() })
    this.#arm()
    return { persistent: this.#opened.persistent }
  }

  setEventPort(port: MemoryPort): void {
    this.#events?.close()
    this.#events = port
    port.onmessage = (event: MessageEvent<MemoryAnswer>) => {
      const { sent } = event.data
      this.#sending.get(sent)?.()
      this.#sending.delete(sent)
    }
  }

  async connected(peer: PeerKeyId, keys: { ed25519: Bytes; mlDsa65: Bytes }, offsetMs: Milliseconds): Promise<void> {
    this.#offsetMs = offsetMs
    await this.#live().connected(peer, this.#now(), { keys, admit: true })
    this.#arm()
  }

  disconnected(peer: PeerKeyId): void {
    this.#node?.disconnected(peer, this.#now())
    this.#tellChanged()
    this.#arm()
  }

  async message(peer: PeerKeyId, payload: Bytes): Promise<void> {
    await this.#receive(peer, () => {
      const message = decodeHoloMessage(payload)
      return message.t === "unknown" ? undefined : { kind: "message", message }
    })
  }

  async symbol(peer: PeerKeyId, payload: Bytes): Promise<void> {
    await this.#receive(peer, () => ({ kind: "symbol", frame: decodeSymbolFrame(payload) }))
  }

  async put(blob: Blob, item: PutItem, operation: number): Promise<ItemInfo> {
    const items = this.#liveItems()
    const storage = this.#opened!.storage
    const made = await this.#run(operation, (options) => items.put(blob, item, storage, options))
    this.#arm()
    return made
  }

  async get(id: string, operation: number): Promise<Blob> {
    const items = this.#liveItems()
    return this.#run(operation, (options) => items.get(id, { ...options, wake: () => this.#arm() }))
  }

  cancel(operation: number): void {
    this.#operations.get(operation)?.abort()
  }

  list(): Promise<ItemInfo[]> {
    return this.#liveItems().list()
  }

  async revoke(id: string): Promise<void> {
    await this.#liveItems().revoke(id)
    this.#arm()
  }

  async extend(id: string, expiresAtMs: number | undefined): Promise<void> {
    await this.#liveItems().extend(id, expiresAtMs)
    this.#tellChanged()
    this.#arm()
  }

  async estimate(): Promise<MemoryEstimate> {
    const node = this.#live()
    const { storage, persistent } = this.#opened!
    const level = await node.shelf.store.headroom()
    return { ...(await storage.estimate()), level, persistent }
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return
    this.#state = "closed"
    clearTimeout(this.#timer)
    clearTimeout(this.#changed)
    for (const done of this.#sending.values()) done()
    this.#sending.clear()
    for (const operation of this.#operations.values()) operation.abort()
    await this.#node?.close()
    await this.#opened?.storage.close()
    this.#opened?.release()
    this.#events?.close()
  }

  async #receive(peer: PeerKeyId, decode: () => HoloOutgoing | undefined): Promise<void> {
    try {
      const incoming = decode()
      if (incoming === undefined) throw new AvError("ControlMalformed", { t: "unknown" })
      await this.#live().receive(peer, incoming, this.#now())
    } catch (error) {
      if (!isAvError(error)) throw error
      this.#post({ type: "dropped", what: "message", code: error.code })
    }
    this.#arm()
  }

  async #run<T>(
    operation: number,
    run: (options: { signal: AbortSignal; progress: (done: number, total: number) => void }) => Promise<T>,
  ): Promise<T> {
    const control = new AbortController()
    this.#operations.set(operation, control)
    try {
      return await run({
        signal: control.signal,
        progress: (done, total) => this.#post({ type: "progress", operation, done, total }),
      })
    } finally {
      this.#operations.delete(operation)
    }
  }

  /** A symbol is waited for, so that no more are read than go out. */
  #send(peer: PeerKeyId, out: HoloOutgoing): void | Promise<void> {
    if (out.kind === "message") {
      this.#post({ type: "send", peer, symbol: false, payload: encodeHoloMessage(out.message), first: false })
      return
    }
    const id = this.#nextSend++
    const payload = encodeSymbolFrame(out.frame)
    if (this.#events === undefined || this.#state === "closed") return
    const sent = new Promise<void>((resolve) => this.#sending.set(id, resolve))
    this.#post({ type: "send", peer, symbol: true, payload, first: out.frame.req < FIRST_FETCH, id })
    return sent
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
        this.#post({ type: "revoked", id: event.ref.contentId.split(".")[0] ?? "" })
        return
      case "rejected":
        this.#post({ type: "dropped", what: event.what, code: event.code })
    }
  }

  #tellChanged(): void {
    if (this.#state !== "open") return
    this.#changed ??= setTimeout(() => {
      this.#changed = undefined
      this.#post({ type: "changed" })
    }, CHANGED_MS)
  }

  #post(event: MemoryEvent): void {
    if (event.type === "send") this.#events?.postMessage(event, [event.payload.buffer as ArrayBuffer])
    else this.#events?.postMessage(event)
  }

  #arm(): void {
    if (this.#node === undefined || this.#state !== "open") return
    clearTimeout(this.#timer)
    const now = this.#now()
    const due = Math.min(this.#node.nextTickMs(now), this.#items?.nextTickMs() ?? Number.POSITIVE_INFINITY)
    const rest = Math.max(0, due - now, this.#failedAtMs + AFTER_FAILURE_MS - now)
    this.#timer = setTimeout(() => void this.#tick(), Math.min(MAX_REST_MS, rest))
  }

  async #tick(): Promise<void> {
    const node = this.#node
    if (node === undefined || this.#state !== "open" || this.#ticking) return
    this.#ticking = true
    try {
      await node.tick(this.#now())
      await this.#items?.tick()
    } catch (error) {
      this.#failedAtMs = this.#now()
      this.#post({ type: "failed", code: isAvError(error) ? error.code : "StorageUnavailable" })
    } finally {
      this.#ticking = false
      this.#arm()
    }
  }

  /** Unix ms as the others count them. */
  #now(): Milliseconds {
    return Date.now() + this.#offsetMs
  }

  #live(): HoloNode {
    if (this.#node === undefined || this.#state !== "open") throw new AvError("HandleClosedError")
    return this.#node
  }

  #liveItems(): Items {
    this.#live()
    return this.#items!
  }
}

function signerOf(identity: MemoryIdentity, sign: (message: Bytes) => Promise<HybridSignature>): IdentitySigner {
  return {
    ...identity,
    signHybrid: sign,
    // The first half of the bound signature is over the message alone.
    signEd25519: async (message) => (await sign(message)).ed,
  }
}
