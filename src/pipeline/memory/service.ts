/** What the memory worker runs: the page's orders, carried out here or in the tab that keeps this room's memory, and the frames of peers. */

import type { HybridSignature } from "../../crypto/hybrid.ts"
import { secureRandom } from "../../crypto/index.ts"
import { initFountain } from "../../fountain/index.ts"
import type { HoloOutgoing } from "../../holonomic/gossip/events.ts"
import { decodeHoloMessage, decodeSymbolFrame, encodeHoloMessage, encodeSymbolFrame } from "../../holonomic/gossip/messages.ts"
import { type LocksPort, type TabChannel, type TabNode, TabWriter, tabLock } from "../../holonomic/tabs/index.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import { toHex } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { MemoryKeeper } from "./keeper.ts"
import { openMemoryStorage } from "./open-storage.ts"
import type { MemoryNews, MemoryOrder, OrderProgress, OrderResult } from "./orders.ts"
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

/** The port as far as it is used here, so that tests need no worker. */
export type MemoryPort = Pick<MessagePort, "postMessage" | "close"> & { onmessage: MessagePort["onmessage"] }

/** What pages of one origin find each other by. */
interface TabPorts {
  locks: LocksPort
  channel(name: string): TabChannel
}

interface MemoryServiceOptions {
  /** Where things are kept; tests pass their own. */
  openStorage?: typeof openMemoryStorage
  /** Default: what the browser has. `undefined`: this page is alone. */
  tabs?: TabPorts | undefined
}

interface Link {
  keys: { ed25519: Bytes; mlDsa65: Bytes }
}

export class MemoryService implements MemoryApi {
  readonly #openStorage: typeof openMemoryStorage
  readonly #tabPorts: TabPorts | undefined
  readonly #operations = new Map<number, AbortController>()
  readonly #sending = new Map<number, () => void>()
  /** Members that can be reached: this tab may have to keep the memory later. */
  readonly #links = new Map<PeerKeyId, Link>()
  /** Here, unless another tab has it. */
  #keeper: MemoryKeeper | undefined
  #tabs: TabWriter | undefined
  #events: MemoryPort | undefined
  #offsetMs: Milliseconds = 0
  #nextSend = 1
  #state: "new" | "open" | "closed" = "new"

  constructor(options: MemoryServiceOptions = { tabs: browserTabs() }) {
    this.#openStorage = options.openStorage ?? openMemoryStorage
    this.#tabPorts = options.tabs
  }

  async open(
    { meshId, identity, persistent, preferred }: MemoryOpenOptions,
    sign: (message: Bytes) => Promise<HybridSignature>,
    fountain: BufferSource | WebAssembly.Module,
  ): Promise<{ persistent: boolean }> {
    if (this.#state !== "new") throw new AvError("AlreadyInitialized")
    this.#state = "open"
    await initFountain(fountain)
    const signer = signerOf(identity, sign)
    // Without locks two pages could write the same storage.
    const kept = persistent && this.#tabPorts !== undefined
    const begin = () => this.#begin(meshId, signer, kept)
    if (!kept) await begin()
    else {
      this.#tabs = new TabWriter({
        meshId,
        locks: this.#tabPorts!.locks,
        channel: this.#tabPorts!.channel(tabLock(meshId)),
        tabId: toHex(secureRandom(16)),
        preferred,
        begin,
        told: (news) => this.#told(news as MemoryNews),
      })
    }
    // Also waits until it is known which tab keeps the memory.
    return { persistent: (await this.#order({ do: "estimate" })).persistent }
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
    this.#requireOpen()
    this.#offsetMs = offsetMs
    this.#links.set(peer, { keys })
    await this.#keeper?.connected(peer, keys)
  }

  disconnected(peer: PeerKeyId): void {
    this.#links.delete(peer)
    this.#keeper?.disconnected(peer)
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

  put(blob: Blob, item: PutItem, operation: number): Promise<ItemInfo> {
    return this.#order({ do: "put", blob, item }, operation)
  }

  get(id: string, operation: number): Promise<Blob> {
    return this.#order({ do: "get", id }, operation)
  }

  cancel(operation: number): void {
    this.#operations.get(operation)?.abort()
  }

  list(): Promise<ItemInfo[]> {
    return this.#order({ do: "list" })
  }

  async revoke(id: string): Promise<void> {
    await this.#order({ do: "revoke", id })
  }

  async extend(id: string, expiresAtMs: number | undefined): Promise<void> {
    await this.#order({ do: "extend", id, expiresAtMs })
  }

  estimate(): Promise<MemoryEstimate> {
    return this.#order({ do: "estimate" })
  }

  async close(): Promise<void> {
    if (this.#state === "closed") return
    this.#state = "closed"
    for (const done of this.#sending.values()) done()
    this.#sending.clear()
    for (const operation of this.#operations.values()) operation.abort()
    if (this.#tabs !== undefined) await this.#tabs.close()
    else await this.#keeper?.close()
    this.#events?.close()
  }

  /** This page keeps the memory from now on. */
  async #begin(meshId: string, signer: IdentitySigner, persistent: boolean): Promise<TabNode> {
    const opened = await this.#openStorage(meshId, persistent)
    const keeper = await MemoryKeeper.open(
      {
        meshId,
        signer,
        now: () => Date.now() + this.#offsetMs,
        send: (peer, out) => this.#send(peer, out),
        news: (news) => (this.#tabs === undefined ? this.#told(news) : this.#tabs.tellAll(news)),
        dropped: (what, code) => this.#post({ type: "dropped", what, code }),
        failed: (code) => this.#post({ type: "failed", code }),
      },
      opened,
    ).catch(async (error: unknown) => {
      await opened.storage.close()
      throw error
    })
    if (this.#state === "closed") {
      await keeper.close()
      throw new AvError("HandleClosedError")
    }
    this.#keeper = keeper
    for (const [peer, { keys }] of this.#links) await keeper.connected(peer, keys)
    return {
      handle: (order, control) => keeper.handle(order, control),
      close: () => {
        if (this.#keeper === keeper) this.#keeper = undefined
        return keeper.close()
      },
    }
  }

  async #receive(peer: PeerKeyId, decode: () => HoloOutgoing | undefined): Promise<void> {
    try {
      const incoming = decode()
      if (incoming === undefined) throw new AvError("ControlMalformed", { t: "unknown" })
      // Another tab keeps the memory: peers see a member that says nothing about it.
      await this.#keeper?.receive(peer, incoming)
    } catch (error) {
      if (!isAvError(error)) throw error
      this.#post({ type: "dropped", what: "message", code: error.code })
    }
  }

  async #order<O extends MemoryOrder>(order: O, operation?: number): Promise<OrderResult[O["do"]]> {
    this.#requireOpen()
    const control = new AbortController()
    const tell = (progress: unknown) => {
      if (operation !== undefined) this.#post({ type: "progress", operation, ...(progress as OrderProgress) })
    }
    if (operation !== undefined) this.#operations.set(operation, control)
    try {
      const options = { signal: control.signal, tell }
      const result = await (this.#tabs === undefined ? this.#keeper!.handle(order, options) : this.#tabs.order(order, options))
      return result as OrderResult[O["do"]]
    } finally {
      if (operation !== undefined) this.#operations.delete(operation)
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

  #told(news: MemoryNews): void {
    if (news.news === "changed") this.#post({ type: "changed" })
    else if (news.news === "revoked") this.#post({ type: "revoked", id: news.id })
  }

  #post(event: MemoryEvent): void {
    if (event.type === "send") this.#events?.postMessage(event, [event.payload.buffer as ArrayBuffer])
    else this.#events?.postMessage(event)
  }

  #requireOpen(): void {
    if (this.#state !== "open") throw new AvError("HandleClosedError")
  }
}

function browserTabs(): TabPorts | undefined {
  const locks = globalThis.navigator?.locks
  if (locks === undefined || globalThis.BroadcastChannel === undefined) return undefined
  return { locks, channel: (name) => new BroadcastChannel(name) }
}

function signerOf(identity: MemoryIdentity, sign: (message: Bytes) => Promise<HybridSignature>): IdentitySigner {
  return {
    ...identity,
    signHybrid: sign,
    // The first half of the bound signature is over the message alone.
    signEd25519: async (message) => (await sign(message)).ed,
  }
}
