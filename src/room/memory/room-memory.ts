/**
 * The room's memory on the page: starts its worker when it is needed, carries frames between it and the members' sessions, and is the
 * application's face of it.
 */
import * as Comlink from "comlink"
import { roomMemoryId } from "../../crypto/index.ts"
import { SYMBOL_FRAME } from "../../holonomic/gossip/messages.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import type { ControlSession } from "../../link/index.ts"
import type { MemoryAnswer, MemoryApi, MemoryEvent } from "../../pipeline/memory/index.ts"
import { AvError } from "../../wire/errors.ts"
import { FRAME_JSON } from "../../wire/frame.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { asAvError } from "../actions.ts"
import { monotonicNow } from "../clock.ts"
import type { Emitter } from "../emitter.ts"
import type { People } from "../people.ts"
import type { RoomEvents } from "../types.ts"
import type { MemoryPart, MemoryPlace } from "./memory-part.ts"
import { Outgate } from "./outgate.ts"
import { endOf, idOf, shownItem } from "./shown-item.ts"
import type { MemoryGetOptions, MemoryItem, MemoryPutOptions, MemoryUsage, RoomMemory } from "./types.ts"

/** Pieces that leave this page beside sound and pictures, and without them; bit/s. */
const RATE_BESIDE_MEDIA = 4_000_000
const RATE_ALONE = 24_000_000
/** Of what the person allows for everything. */
const SHARE_OF_UPLINK = 0.25
/** Frames that wait for the worker to start. */
const MAX_EARLY = 512
const LIFETIME_MS = 30 * 86_400_000
const NO_NAME = "untitled"
/** Before a memory that could not be started is started again without anybody asking for it, ms. */
const AFTER_FAILURE_MS = 30_000

interface RoomMemoryHost {
  signer: IdentitySigner
  roomName: string
  /** Entity id of the room's root; undefined before this page is a member. */
  root(): Bytes | undefined
  /** What is kept may outlive the page. */
  persistent: boolean
  /** This page has the identity that this browser keeps. */
  storedIdentity: boolean
  place: MemoryPlace
  people: People
  events: Emitter<RoomEvents>
  /** The compiled codec of another worker. */
  fountain(): Promise<WebAssembly.Module | undefined>
  /** How far the others' clocks are ahead, ms. */
  offsetMs(): Milliseconds
  /** Sound or pictures are sent or received. */
  mediaFlows(): boolean
  count(error: AvError): void
  warn(error: AvError): void
}

interface Running {
  api: Comlink.Remote<MemoryApi>
  persistent: boolean
}

export class PageMemory implements RoomMemory {
  /** What the person allows this page to send at all, bit/s; undefined: whatever the links carry. */
  uplink: number | undefined
  readonly #host: RoomMemoryHost
  /** Direct sessions with members, by peer; the newest is used. */
  readonly #sessions = new Map<PeerKeyId, ControlSession[]>()
  readonly #gate: Outgate
  readonly #progress = new Map<number, (done: number, total: number) => void>()
  #starting: Promise<Running> | undefined
  #api: Comlink.Remote<MemoryApi> | undefined
  #part: MemoryPart | undefined
  #port: MessagePort | undefined
  #early: ((api: Comlink.Remote<MemoryApi>) => void)[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #operation = 0
  #restUntil: Milliseconds = 0
  #closed = false
  /** What is still written after {@link close}, where somebody has to wait for it. */
  #closing: Promise<unknown> | undefined

  constructor(host: RoomMemoryHost) {
    this.#host = host
    this.#gate = new Outgate(
      (peer) => this.#sessions.get(peer)?.findLast(({ closed }) => !closed),
      () => this.#bitrate() / 8,
    )
  }

  async put(content: Blob, options: MemoryPutOptions = {}): Promise<MemoryItem> {
    const { lifetimeMs = LIFETIME_MS, durationMs, kind = "file" } = options
    if (!(lifetimeMs > 0)) throw new AvError("UsageError", { why: "lifetime" })
    const name = options.name ?? (content instanceof File ? content.name : "") ?? ""
    const expiresAtMs = endOf(lifetimeMs, this.#now())
    const item = {
      name: [...name].slice(0, 255).join("") || NO_NAME,
      type: content.type.slice(0, 127),
      kind,
      ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
      ...(durationMs === undefined ? {} : { durationMs: Math.floor(durationMs) }),
    }
    const info = await this.#operate(content.size, options, (api, operation) => api.put(content, item, operation))
    return shownItem(info, this.#host.people)
  }

  async get(item: MemoryItem | string, options: MemoryGetOptions = {}): Promise<File> {
    const id = idOf(item)
    const known = (await this.list()).find((one) => one.id === id)
    if (known === undefined) throw new AvError("ItemNotFound", { id })
    const blob = await this.#operate(known.size, options, (api, operation) => api.get(id, operation))
    return new File([blob], known.name, { type: known.type, lastModified: known.at })
  }

  async list(): Promise<MemoryItem[]> {
    const { api } = await this.#start()
    return (await api.list()).map((info) => shownItem(info, this.#host.people))
  }

  async revoke(item: MemoryItem | string): Promise<void> {
    const { api } = await this.#start()
    await api.revoke(idOf(item))
  }

  async prolong(item: MemoryItem | string, lifetimeMs: number): Promise<void> {
    if (!(lifetimeMs > 0)) throw new AvError("UsageError", { why: "lifetime" })
    const { api } = await this.#start()
    await api.extend(idOf(item), endOf(lifetimeMs, this.#now()))
  }

  async usage(): Promise<MemoryUsage> {
    const { api } = await this.#start()
    const { quotaBytes, usageBytes, level, persistent } = await api.estimate()
    const full = level === "stop" || level === "host_at_risk"
    return { quota: quotaBytes, usage: usageBytes, level: level === "normal" ? "normal" : full ? "full" : "low", persistent }
  }

  /** This page is a member: what it kept of an earlier visit is offered again. */
  entered(): void {
    const root = this.#host.root()
    if (this.#starting !== undefined || root === undefined) return
    if (this.#early.length > 0) this.#startSoon()
    const { persistent, place, roomName } = this.#host
    if (!persistent || !this.#takesPart) return
    place.isKept(roomMemoryId(roomName, root)).then(
      (kept) => kept && this.#startSoon(),
      () => undefined,
    )
  }

  /** The room protocol's word about who is behind a session (RM-6). Pieces go over direct sessions only. */
  classified(session: ControlSession | undefined, isMember: boolean): void {
    if (session === undefined || session.kind !== "direct" || this.#closed) return
    if (!isMember) {
      this.sessionClosed(session)
      return
    }
    const { keyId } = session.peer
    const known = this.#sessions.get(keyId) ?? []
    if (known.includes(session)) return
    this.#sessions.set(keyId, [...known, session])
    session.on("drained", () => this.#pump())
    if (known.length === 0 && this.#api !== undefined) this.#connect(this.#api, session)
  }

  sessionClosed(session: ControlSession): void {
    const { keyId } = session.peer
    const known = this.#sessions.get(keyId)
    if (known === undefined || !known.includes(session)) return
    const left = known.filter((one) => one !== session)
    if (left.length > 0) {
      this.#sessions.set(keyId, left)
      return
    }
    this.#sessions.delete(keyId)
    this.#gate.forget(keyId)
    void this.#api?.disconnected(keyId)
  }

  /** A frame of a session; those of other parts, and of others than members, are ignored. */
  frame(session: ControlSession, type: number, payload: Bytes): void {
    if (type !== FRAME_JSON || !this.#isMember(session)) return
    const { keyId } = session.peer
    this.#toWorker((api) => void api.message(keyId, payload).catch(() => undefined))
  }

  binary(session: ControlSession, name: string, payload: Bytes): void {
    if (name !== SYMBOL_FRAME || !this.#isMember(session)) return
    const { keyId } = session.peer
    this.#toWorker((api) => void api.symbol(keyId, payload).catch(() => undefined))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    clearTimeout(this.#timer)
    this.#gate.close()
    this.#sessions.clear()
    this.#early = []
    this.#port?.close()
    const [api, part] = [this.#api, this.#part]
    this.#api = undefined
    if (api === undefined) {
      part?.end()
      return
    }
    // It finishes what it writes; a browser that takes long about it loses nothing that was promised.
    const done = this.#host.place.waits ? api.close() : Promise.race([api.close(), wait(1_000)])
    this.#closing = done.catch(() => undefined).finally(() => part?.end())
  }

  /** Resolves when nothing is written any more, as far as the surroundings want that waited for. */
  async closed(): Promise<void> {
    if (this.#host.place.waits) await this.#closing
  }

  get #takesPart(): boolean {
    return this.#host.place.enabled !== false
  }

  #isMember(session: ControlSession): boolean {
    return this.#sessions.get(session.peer.keyId)?.includes(session) ?? false
  }

  #toWorker(run: (api: Comlink.Remote<MemoryApi>) => void): void {
    if (this.#closed || !this.#takesPart) return
    if (this.#api !== undefined) run(this.#api)
    else if (this.#early.length < MAX_EARLY) {
      this.#early.push(run)
      // Others may know of this page's joining before it does.
      if (this.#host.root() !== undefined) this.#startSoon()
    } else this.#host.count(new AvError("LimitExceeded", { what: "memory frames" }))
  }

  /** Nobody waits for it here. Members send often: what failed is not tried, and told, at each of their frames. */
  #startSoon(): void {
    if (this.#starting !== undefined || monotonicNow() < this.#restUntil) return
    this.#start().catch((error: unknown) => {
      this.#restUntil = monotonicNow() + AFTER_FAILURE_MS
      this.#host.warn(asAvError(error))
    })
  }

  #start(): Promise<Running> {
    if (this.#closed) return Promise.reject(new AvError("RoomClosed"))
    if (!this.#takesPart) return Promise.reject(new AvError("StorageUnavailable", { why: "no part in the memory" }))
    this.#starting ??= this.#run().catch((error: unknown) => {
      // What failed once may work later: a damaged storage was deleted, the room was entered.
      this.#starting = undefined
      this.#part?.end()
      throw error
    })
    return this.#starting
  }

  async #run(): Promise<Running> {
    const { signer, roomName, persistent, storedIdentity, place, warn } = this.#host
    const root = this.#host.root()
    const fountain = await this.#host.fountain()
    if (root === undefined || fountain === undefined) throw new AvError("RoomClosed", { why: "not in the room yet" })
    const part = place.start((reason) => warn(new AvError("WorkerFailed", { worker: "memory", reason })))
    this.#part = part
    const { api } = part
    const { port1, port2 } = new MessageChannel()
    port1.onmessage = (event: MessageEvent<MemoryEvent>) => this.#event(event.data)
    this.#port = port1
    await api.setEventPort(Comlink.transfer(port2, [port2]))
    const { entityId, mlDsaPublicKey, pqHash, keyId, nodeId } = signer
    const identity = { entityId, mlDsaPublicKey, pqHash, keyId, nodeId }
    const meshId = roomMemoryId(roomName, root)
    const opened = await api.open(
      { meshId, identity, persistent, preferred: storedIdentity },
      Comlink.proxy((message: Bytes) => signer.signHybrid(message)),
      fountain,
    )
    if (this.#closed) {
      part.end()
      throw new AvError("RoomClosed")
    }
    this.#api = api
    for (const sessions of this.#sessions.values()) this.#connect(api, sessions.at(-1)!)
    for (const run of this.#early.splice(0)) run(api)
    return { api, persistent: opened.persistent }
  }

  #connect(api: Comlink.Remote<MemoryApi>, { peer }: ControlSession): void {
    const keys = { ed25519: peer.entityId, mlDsa65: peer.mlDsaPublicKey }
    api.connected(peer.keyId, keys, this.#host.offsetMs()).catch((error: unknown) => this.#host.count(asAvError(error)))
  }

  #event(event: MemoryEvent): void {
    if (this.#closed) return
    switch (event.type) {
      case "send": {
        const { peer, symbol, payload, id, first } = event
        const done = () => {
          if (id !== undefined) this.#port?.postMessage({ sent: id } satisfies MemoryAnswer)
        }
        this.#gate.push({ peer, payload, first, done, ...(symbol ? { binary: SYMBOL_FRAME } : {}) }, monotonicNow())
        this.#pump()
        return
      }
      case "changed":
        this.#host.events.emit("memory", { reason: "changed" })
        return
      case "revoked":
        this.#host.events.emit("memory", { reason: "revoked", id: event.id })
        return
      case "progress":
        this.#progress.get(event.operation)?.(event.done, event.total)
        return
      case "dropped":
        this.#host.count(new AvError("ControlMalformed", { what: event.what, code: event.code }))
        return
      case "failed":
        this.#host.warn(new AvError(event.code, { what: "memory" }))
    }
  }

  #pump(): void {
    const rest = this.#gate.pump(monotonicNow())
    if (rest === undefined || this.#timer !== undefined || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#pump()
    }, rest)
  }

  async #operate<T>(
    size: number,
    { signal, onProgress }: MemoryGetOptions,
    run: (api: Comlink.Remote<MemoryApi>, operation: number) => Promise<T>,
  ): Promise<T> {
    if (signal?.aborted) throw new AvError("Aborted")
    const { api } = await this.#start()
    const operation = ++this.#operation
    const cancel = () => void api.cancel(operation)
    signal?.addEventListener("abort", cancel, { once: true })
    if (onProgress !== undefined) this.#progress.set(operation, onProgress)
    try {
      const result = await run(api, operation)
      // Its last words come by another port, and may be late.
      onProgress?.(size, size)
      return result
    } finally {
      signal?.removeEventListener("abort", cancel)
      this.#progress.delete(operation)
    }
  }

  #bitrate(): number {
    const most = this.#host.mediaFlows() ? RATE_BESIDE_MEDIA : RATE_ALONE
    return Math.min(most, (this.uplink ?? Number.POSITIVE_INFINITY) * SHARE_OF_UPLINK)
  }

  #now(): Milliseconds {
    return Date.now() + this.#host.offsetMs()
  }
}

function wait(ms: Milliseconds): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
