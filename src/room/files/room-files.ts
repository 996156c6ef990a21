/** `room.files`: sharing files and folders, seeing what others share, fetching it. */

import type { TreeEntry } from "../../store/tree/manifest.ts"
import {
  BYTES_IN_FLIGHT_BROWSER,
  BYTES_IN_FLIGHT_NODE,
  fetchTree,
  OpfsTreeSink,
  SharedTree,
  type SourceEntry,
  type TreeSink,
  treeId,
} from "../../transfer/index.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../../wire/types.ts"
import type { Emitter } from "../emitter.ts"
import type { People } from "../people.ts"
import type { ControlPlane } from "../rpc/control-plane.ts"
import type { RoomEvents } from "../types.ts"
import { BlobDesk } from "./blob-desk.ts"
import { contentFolder, fetchedFiles, forgetContent } from "./fetched.ts"
import { entriesOf, nameOf, sharedFile } from "./listing.ts"
import { decodeOffers, encodeOffers, OFFERS_TOPIC, type OfferFacts } from "./offers.ts"
import type { FetchedFiles, FetchOptions, FileOffer, RoomFiles, Share, SharedFile, ShareOptions } from "./types.ts"
import { UploadPace } from "./upload-pace.ts"

/** After somebody came the offers are said again; whoever comes within this time hears the same message, ms. */
const TELL_AGAIN_MS = 1_500
/** Between two messages with offers, whatever happens, ms. */
const SPACING_MS = 1_000
/** Messages to the room can be lost: what is shared is said again so often, ms. */
const REPEAT_MS = 60_000
const REACH_MS = 10_000
/** A session that ends is no reason to give up what can be continued. */
const MAX_ATTEMPTS = 5

interface FilesRoom {
  people: People
  events: Emitter<RoomEvents>
  control: ControlPlane
  driver: {
    feed(event: { type: "data"; topic: string; bytes: Bytes }): void
    machine: { nodeOf(keyId: PeerKeyId): NodeId | undefined }
  }
  connections: { ensureLink(keyId: PeerKeyId): Promise<unknown> }
}

interface OwnShare extends Share {
  tree: SharedTree
}

type KnownOffer = FileOffer & { facts: OfferFacts }

export class FileSharing implements RoomFiles {
  readonly pace = new UploadPace()
  readonly #room: FilesRoom
  readonly #desk: BlobDesk
  readonly #shares = new Map<string, OwnShare>()
  readonly #offers = new Map<PeerKeyId, readonly KnownOffer[]>()
  readonly #fetched = new Set<string>()
  readonly #running = new Set<Promise<undefined>>()
  readonly #left = new AbortController()
  /** The next time that the offers are said: the earliest that somebody wanted, and never often. */
  #next: { at: Milliseconds; timer: ReturnType<typeof setTimeout> } | undefined
  #saidAt = Number.NEGATIVE_INFINITY

  constructor(room: FilesRoom) {
    this.#room = room
    this.#desk = new BlobDesk(room.control, this.pace, (chunkId) => this.#read(chunkId))
    room.events.on("participantJoined", () => {
      if (this.#shares.size > 0) this.#tellIn(TELL_AGAIN_MS)
    })
    room.events.on("participantLeft", ({ participant }) => {
      if (this.#offers.delete(participant.id)) this.#offersChanged()
    })
  }

  get shares(): readonly Share[] {
    return [...this.#shares.values()]
  }

  get offers(): readonly FileOffer[] {
    return [...this.#offers.values()].flat()
  }

  get sentBytes(): number {
    return this.#desk.server.sentBytes
  }

  setUploadRate(bitrate: number | undefined): void {
    if (bitrate !== undefined && !(bitrate > 0)) throw new AvError("UsageError", { why: "a rate is above 0 bit/s" })
    this.pace.bitrate = bitrate
  }

  share(files: Blob | readonly (File | SharedFile)[], options: ShareOptions = {}): Promise<Share> {
    const { name } = options
    const listed = files instanceof Blob ? [files instanceof File ? files : { path: name ?? "file", file: files }] : files
    const all = listed.map(sharedFile)
    return this.shareTree(entriesOf(all), { ...options, name: name ?? nameOf(all) })
  }

  async shareTree(
    entries: readonly SourceEntry[],
    { name, onProgress, signal }: ShareOptions & { name: string },
  ): Promise<Share> {
    if (entries.length === 0) throw new AvError("UsageError", { why: "nothing to share" })
    const tree = await SharedTree.of(entries, {
      signal,
      onProgress: (bytes, totalBytes) => onProgress?.({ bytes, totalBytes }),
    })
    if (this.#room.control.closed) throw new AvError("RoomClosed")
    const id = treeId(tree.ref)
    const share: OwnShare = {
      id,
      name,
      files: tree.entries.filter(({ kind }) => kind === "file").length,
      bytes: tree.totalBytes,
      tree,
      stop: () => this.#stop(id),
    }
    // Throws before anything is offered when there is no place for one more.
    encodeOffers([...this.#shares.values(), share].map(factsOf))
    this.#shares.set(id, share)
    this.#desk.serve(true)
    this.#tellIn(0)
    return share
  }

  fetch(offer: FileOffer, options: FetchOptions = {}): Promise<FetchedFiles> {
    // Two that write into one place would undo each other's work; the lock holds for other tabs as well.
    const work = locked(`holomesh-files:${offer.id}`, () => this.#fetch(offer, options))
    const settled = work.then(
      () => undefined,
      () => undefined,
    )
    this.#running.add(settled)
    void settled.then(() => this.#running.delete(settled))
    return work
  }

  async fetchInto(offer: FileOffer, sink: TreeSink, options: FetchOptions = {}): Promise<void> {
    await this.#download(offer, () => sink, BYTES_IN_FLIGHT_NODE, options)
  }

  async #fetch(offer: FileOffer, options: FetchOptions): Promise<FetchedFiles> {
    this.#known(offer)
    const folder = await contentFolder(offer.id)
    this.#fetched.add(offer.id)
    const entries = await this.#download(offer, () => new OpfsTreeSink(folder), BYTES_IN_FLIGHT_BROWSER, options)
    return fetchedFiles(offer.id, offer.name, entries)
  }

  async #download(
    offer: FileOffer,
    sink: () => TreeSink,
    bytesInFlight: number,
    { onProgress, signal: wanted, maxBytes }: FetchOptions,
  ): Promise<readonly TreeEntry[]> {
    const left = this.#left.signal
    const signal = wanted === undefined ? left : AbortSignal.any([wanted, left])
    const { facts } = this.#known(offer)
    for (let attempt = 1; ; attempt++) {
      try {
        const node = await this.#reach(offer.from.id, signal)
        return await fetchTree({
          ref: facts.ref,
          get: (chunkId, length, stop) => this.#desk.client.fetch(node, chunkId, length, stop),
          sink: sink(),
          bytesInFlight,
          limits: maxBytes === undefined ? {} : { totalBytes: maxBytes },
          signal,
          ...(onProgress === undefined ? {} : { onProgress }),
        })
      } catch (error) {
        if (left.aborted) throw new AvError("RoomClosed")
        const passes = isAvError(error, "SessionClosed") || isAvError(error, "BlobTimeout")
        if (!passes || attempt >= MAX_ATTEMPTS || signal.aborted) throw error
      }
    }
  }

  /** A message of a member; true when it was for this part. */
  takeData(keyId: PeerKeyId, topic: string, bytes: Bytes): boolean {
    if (topic !== OFFERS_TOPIC) return false
    const from = this.#room.people.remote.get(keyId)
    const facts = decodeOffers(bytes)
    if (from === undefined || facts === undefined) return true
    const before = JSON.stringify((this.#offers.get(keyId) ?? []).map(({ id, name }) => [id, name]))
    const offers = facts.map(({ id, ...rest }): KnownOffer => {
      return { id, from, name: rest.name, files: rest.files, bytes: rest.bytes, facts: rest }
    })
    if (offers.length === 0) this.#offers.delete(keyId)
    else this.#offers.set(keyId, offers)
    if (JSON.stringify(offers.map(({ id, name }) => [id, name])) !== before) this.#offersChanged()
    return true
  }

  /** The room is left: what was fetched is forgotten with it. */
  close(): void {
    clearTimeout(this.#next?.timer)
    this.#shares.clear()
    this.#left.abort()
    void Promise.all(this.#running).then(() => {
      // A browser without such storage has nothing to forget.
      for (const id of this.#fetched) forgetContent(id).catch(() => undefined)
    })
  }

  #stop(id: string): void {
    if (!this.#shares.delete(id)) return
    if (this.#shares.size === 0) this.#desk.serve(false)
    this.#tellIn(0)
  }

  #known(offer: FileOffer): KnownOffer {
    const known = this.#offers.get(offer.from.id)?.find(({ id }) => id === offer.id)
    if (known === undefined) throw new AvError("BlobNotFound", { why: "not offered any more" })
    return known
  }

  async #read(chunkId: Bytes): Promise<Bytes | undefined> {
    for (const { tree } of this.#shares.values()) if (tree.has(chunkId)) return tree.read(chunkId)
    return undefined
  }

  /** A direct link where one can be made; else through others, slowly. */
  async #reach(keyId: PeerKeyId, signal: AbortSignal | undefined): Promise<NodeId> {
    const { control, connections, driver } = this.#room
    const node = driver.machine.nodeOf(keyId)
    if (node === undefined) throw new AvError("MemberNotFound", { key_id: keyId })
    if (control.session(node)?.kind !== "direct") {
      const patience = new Promise((resolve) => setTimeout(resolve, REACH_MS))
      await Promise.race([connections.ensureLink(keyId).catch(() => undefined), patience])
      await control.reach(node, REACH_MS)
    }
    if (signal?.aborted === true) throw new AvError("Aborted")
    if (control.session(node) === undefined) throw new AvError("LinkFailed", { key_id: keyId })
    return node
  }

  #tellIn(ms: number): void {
    const at = Math.max(performance.now() + ms, this.#saidAt + SPACING_MS)
    if (this.#next !== undefined && this.#next.at <= at) return
    clearTimeout(this.#next?.timer)
    const timer = setTimeout(() => {
      this.#next = undefined
      if (this.#room.control.closed) return
      this.#saidAt = performance.now()
      const bytes = encodeOffers([...this.#shares.values()].map(factsOf))
      this.#room.driver.feed({ type: "data", topic: OFFERS_TOPIC, bytes })
      if (this.#shares.size > 0) this.#tellIn(REPEAT_MS)
    }, at - performance.now())
    this.#next = { at, timer }
  }

  #offersChanged(): void {
    this.#room.events.emit("filesOffered", { offers: this.offers })
  }
}

/** @throws AvError `StoreError` with what `locked` when somebody else holds it */
async function locked<T>(name: string, work: () => Promise<T>): Promise<T> {
  // Neither locks nor private storage are there on pages without TLS: the storage says so.
  if (globalThis.navigator?.locks === undefined) return work()
  return navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
    if (lock === null) throw new AvError("StoreError", { what: "locked" })
    return work()
  })
}

function factsOf({ name, files, bytes, tree }: OwnShare): OfferFacts {
  return { name, files, bytes, ref: tree.ref }
}
