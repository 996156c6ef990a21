/**
 * One peer of one mesh: claims, witnesses, trust and memory put together over a storage. No timers and no channels: whoever owns it
 * hands in messages, connections and the time, and sends what it is told to. One node per storage; see `tabs` for several pages.
 */

import { hybridVerify, sha256Sync } from "../../crypto/index.ts"
import { utf8Encode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds, PeerKeyId, U64 } from "../../wire/types.ts"
import type { MadeFold } from "../aggregation/make-fold.ts"
import type { TrustGrantBody, TrustRevokeBody } from "../claims/bodies.ts"
import type { ContentSymbol } from "../content/admission.ts"
import { type ContentRef, manifestHash, type SignedManifest } from "../content/manifest.ts"
import type { RetentionPlan } from "../retention/plan.ts"
import { DEFAULT_TARGET_HOLDERS } from "../retention/policy.ts"
import type { PeerKeys, SignedClaim } from "../trust/verified.ts"
import type { EquivocationProof } from "../witness/equivocation.ts"
import { WitnessLedger } from "../witness/ledger.ts"
import { Admission } from "./admission.ts"
import { AutoFold, mayFold } from "./auto-fold.ts"
import type { OwnChain } from "./bootstrap-exchange.ts"
import { Chores } from "./chores.ts"
import { ClaimBook } from "./claim-book.ts"
import { ClaimGossip } from "./claim-gossip.ts"
import { ContentCare } from "./content-care.ts"
import { ContentDesk } from "./content-desk.ts"
import { ContentServer } from "./content-server.ts"
import { guarded, NEVER, type NodeContext, some, unixMs } from "./context.ts"
import type { HoloOutgoing } from "./events.ts"
import { FetchBoard, type FetchedContent, type ReadOptions } from "./fetch-board.ts"
import { FoldGossip } from "./fold-gossip.ts"
import { Inbox } from "./inbox.ts"
import { LoopClock } from "./loops.ts"
import { isMeshId } from "./messages.ts"
import type { HeldContent, HoloNodeOptions } from "./node-options.ts"
import { OwnWord } from "./own-word.ts"
import { type Peer, PeerTable } from "./peers.ts"
import { Router } from "./router.ts"
import { ContentShelf, type ShelfItem } from "./shelf.ts"

export type { HeldContent, HoloNodeOptions } from "./node-options.ts"

/** Until its first peer has told what was revoked, a node that comes back serves nothing, but not for longer than this. */
const CATCH_UP_MS = 15_000

export class HoloNode {
  readonly #context: NodeContext
  readonly #claims: ClaimGossip
  readonly #admission: Admission
  readonly #care: ContentCare
  readonly #fetches: FetchBoard
  readonly #router: Router
  readonly #desk: ContentDesk
  readonly #folds: FoldGossip
  readonly #autoFold: AutoFold | undefined
  readonly #own: OwnWord
  readonly #chores: Chores
  readonly #inbox = new Inbox()
  readonly #clock: LoopClock
  /** What begins in a tick goes on after it, in the time of the ticks that follow. */
  #lastTickMs: Milliseconds = 0
  #closed = false
  /** Nothing is served or announced before what others revoked is known. */
  #catchingUp: { untilMs: Milliseconds } | undefined
  /** What is here was not told while catching up. */
  #silentBefore = false

  private constructor(options: HoloNodeOptions, context: NodeContext) {
    this.#context = context
    this.#fetches = new FetchBoard(context, {
      sources: (item, nowMs) => this.#sources(item, nowMs),
      stored: (ref, nowMs) => this.#care.announce(ref, nowMs),
    })
    this.#care = new ContentCare(context, this.#fetches, {
      targetHolders: options.targetHolders ?? DEFAULT_TARGET_HOLDERS,
      ...(options.ranks && { ranks: options.ranks }),
      ready: () => this.#catchingUp === undefined,
    })
    this.#folds = new FoldGossip(context, (corpusKind) => mayFold(options.folding, corpusKind))
    if (options.folding !== undefined) {
      this.#autoFold = new AutoFold(context, options.folding, {
        consents: (item) => this.#care.consentOf(item, this.#lastTickMs) === "Active",
        fetch: (ref, reading) => this.fetch(ref, this.#lastTickMs, reading),
        fold: (made, sources) => this.fold(made, sources, this.#lastTickMs),
      })
    }
    this.#desk = new ContentDesk(context, { care: this.#care, fetches: this.#fetches, folds: this.#folds })
    this.#claims = new ClaimGossip(context, {
      added: async (claim, from, nowMs) => {
        if (claim.body.kind === "trust_revoke") this.#admission.revoked(claim.body.revoke)
        else await this.#desk.added(claim, from, nowMs)
      },
      revocationsKnown: () => this.#caughtUp(),
    })
    this.#own = new OwnWord(context, this.#claims)
    this.#chores = new Chores(context, { care: this.#care, claims: this.#claims, autoFold: this.#autoFold })
    const events = {
      admitted: (peer: Peer, nowMs: Milliseconds) => this.#greet(peer, nowMs),
      mayAsk: (peer: Peer, nowMs: Milliseconds) => this.#ask(peer, nowMs),
    }
    this.#admission = new Admission(context, events, options.trust)
    this.#router = new Router(context, {
      admission: this.#admission,
      claims: this.#claims,
      care: this.#care,
      desk: this.#desk,
      fetches: this.#fetches,
      server: new ContentServer(context, () => this.#chores.paused),
      serving: () => this.#catchingUp === undefined,
    })
    this.#clock = new LoopClock(spreadOf(context.self))
  }

  /** Finishes what an earlier run began: deletions first of all. @throws AvError `StorageUnavailable`, `StorageCorrupt` */
  static async open(options: HoloNodeOptions): Promise<HoloNode> {
    const { storage, signer, meshId, random, send, verify = hybridVerify } = options
    if (!isMeshId(meshId)) throw new AvError("UsageError", { why: "mesh id", meshId })
    const shelf = await ContentShelf.open(storage, { verify })
    let node: HoloNode | undefined
    const equivocation = (proof: EquivocationProof) => {
      if (node === undefined) return
      void node.#claims.tellProof(proof)
    }
    const context: NodeContext = {
      storage,
      signer,
      self: signer.keyId,
      meshId,
      random,
      peers: new PeerTable(),
      book: await ClaimBook.open(storage, shelf),
      ledger: await WitnessLedger.open(storage, signer.keyId, { equivocation, ...(options.verify && { verify }) }),
      shelf,
      verify,
      send,
      emit: options.emit ?? (() => {}),
    }
    node = new HoloNode(options, context)
    await node.#start()
    return node
  }

  /** The stores, for reading. */
  get shelf(): ContentShelf {
    return this.#context.shelf
  }
  get book(): ClaimBook {
    return this.#context.book
  }
  get ledger(): WitnessLedger {
    return this.#context.ledger
  }

  /** True while nothing is served or announced, because what others revoked is not known yet. */
  get catchingUp(): boolean {
    return this.#catchingUp !== undefined
  }

  /** @param admit a member of the room, whose session has shown its keys: let in without a chain @throws AvError `KeyInvalid`, `LimitExceeded` */
  async connected(
    peer: PeerKeyId,
    nowMs: Milliseconds,
    { keys, admit = false }: { keys: PeerKeys; admit?: boolean },
  ): Promise<void> {
    if (this.#closed || peer === this.#context.self) return
    this.#context.peers.connect(peer, keys, admit)
    if (this.#catchingUp?.untilMs === NEVER) this.#catchingUp.untilMs = nowMs + CATCH_UP_MS
    await this.#admission.hello(peer, await this.#claims.latestEpoch())
  }

  disconnected(peer: PeerKeyId, nowMs: Milliseconds): void {
    this.#context.peers.disconnect(peer, nowMs)
    this.#claims.gone(peer)
    this.#fetches.gone(peer)
    if (this.#catchingUp !== undefined && this.#context.peers.all().length === 0) this.#catchingUp.untilMs = NEVER
  }

  /** Takes what a peer has sent. Resolves when it was dealt with, answers under way excepted; never rejects for what a peer does. */
  async receive(from: PeerKeyId, incoming: HoloOutgoing, nowMs: Milliseconds): Promise<void> {
    const urgent = incoming.kind === "message" && incoming.message.t === "holo.revoke"
    const taken = await this.#inbox.push(from, urgent, () =>
      guarded(this.#context, from, incoming.kind === "symbol" ? "symbol" : incoming.message.t, async () => {
        const peer = this.#context.peers.get(from)
        if (peer === undefined || this.#closed) return
        await this.#router.receive(peer, incoming, nowMs)
      }),
    )
    if (!taken) this.#context.emit({ type: "rejected", peer: from, what: "queue", code: "LimitExceeded" })
  }

  /** Does what is due. To be called at {@link nextTickMs}, or later: a tab that sleeps loses nothing. */
  async tick(nowMs: Milliseconds): Promise<void> {
    if (this.#closed) return
    this.#lastTickMs = nowMs
    await this.#inbox.push(this.#context.self, false, async () => {
      if (this.#catchingUp !== undefined && nowMs >= this.#catchingUp.untilMs) this.#caughtUp()
      if (this.#context.peers.expire(nowMs)) this.#care.touchAll(nowMs)
      if (this.#silentBefore) this.#care.announceAll(nowMs)
      this.#silentBefore = false
      for (const loop of this.#clock.due(nowMs)) await this.#chores.run(loop, nowMs)
      await this.#claims.tick(nowMs)
      await this.#desk.tick(nowMs)
      await this.#fetches.tick(nowMs)
      await this.#care.tick(nowMs)
    })
  }

  nextTickMs(nowMs: Milliseconds): Milliseconds {
    const times = [
      this.#clock.nextMs(nowMs),
      this.#claims.nextTickMs(),
      this.#fetches.nextTickMs(),
      this.#care.nextTickMs(),
      this.#desk.nextTickMs(),
      this.#context.peers.nextGoneMs(),
      this.#catchingUp?.untilMs ?? NEVER,
      this.#silentBefore ? nowMs : NEVER,
    ]
    return Math.max(nowMs, Math.min(...times))
  }

  /** Puts a content of one's own into the memory, consents to its being kept, and tells everybody. @throws AvError as `ContentStore.put` */
  async put(
    manifest: SignedManifest,
    symbols: readonly ContentSymbol[],
    nowMs: Milliseconds,
    { expiresAtUnixMs = 0n }: { expiresAtUnixMs?: U64 } = {},
  ): Promise<void> {
    await this.#context.shelf.put(manifest, symbols, { own: true, nowUnixMs: unixMs(nowMs) })
    await this.#published(manifest, expiresAtUnixMs, nowMs)
  }

  /** Consents to the keeping of a content, until a time or (0) without end. */
  async grant(ref: ContentRef, expiresAtUnixMs: U64, nowMs: Milliseconds): Promise<void> {
    await this.#own.grant(ref, expiresAtUnixMs, nowMs)
  }

  /** Takes consent back, for good: deleted here at once, and everywhere it is heard. Without a say in it this deletes nothing. */
  async revoke(ref: ContentRef, nowMs: Milliseconds): Promise<void> {
    await this.#own.revoke(ref, nowMs)
  }

  /** Trusts somebody. The claim is theirs to show. */
  grantTrust(grant: Omit<TrustGrantBody, "granter">, nowMs: Milliseconds): Promise<SignedClaim> {
    return this.#own.grantTrust(grant, nowMs)
  }

  revokeTrust(revoke: Omit<TrustRevokeBody, "granter">, nowMs: Milliseconds): Promise<SignedClaim> {
    return this.#own.revokeTrust(revoke, nowMs)
  }

  /** What is shown to others from now on. */
  set chain(chain: OwnChain) {
    this.#admission.chain = chain
  }

  /** Takes in a claim that came by another way than a peer, such as a chain. @throws AvError `Malformed`, `SignatureInvalid` */
  learn(claim: SignedClaim, keys: PeerKeys, nowMs: Milliseconds): Promise<boolean> {
    return this.#claims.learn(claim, keys, undefined, nowMs)
  }

  /** Stores a fold, lets its items descend, and tells everybody. */
  async fold(fold: MadeFold, sources: readonly string[], nowMs: Milliseconds): Promise<void> {
    const hash = await this.#folds.put(fold, sources, nowMs)
    this.#context.book.refresh()
    await this.#published(fold.manifest, 0n, nowMs)
    await this.#own.say("aggregation", hash, nowMs)
  }

  /**
   * Gets enough symbols to read a content, own ones first.
   * @throws AvError `InsufficientSymbols` (nobody here has enough), `ContentRevoked`, `Aborted`, `LimitExceeded`
   */
  async fetch(ref: ContentRef, nowMs: Milliseconds, options: ReadOptions = {}): Promise<FetchedContent> {
    if (await this.#context.shelf.store.isRevoked(ref)) throw new AvError("ContentRevoked")
    const item = this.#context.shelf.get(ref) ?? (await this.#desk.awaitManifest(ref, nowMs, options.signal))
    if (item === undefined) throw new AvError("InsufficientSymbols", { have: 0, why: "no manifest" })
    const reading = this.#fetches.read(item, options, nowMs)
    await this.#inbox.push(this.#context.self, false, () => this.#fetches.tick(nowMs))
    return reading
  }

  contents(nowMs: Milliseconds): HeldContent[] {
    return this.#context.shelf
      .items()
      .map((item) => ({ ref: item.ref, manifest: item.manifest, own: item.own, consent: this.#care.consentOf(item, nowMs) }))
  }

  /** Who holds what of a content, this peer included. */
  async holders(ref: ContentRef, nowMs: Milliseconds): Promise<Map<PeerKeyId, { symbolIds: number[]; proven: boolean }>> {
    const found = new Map<PeerKeyId, { symbolIds: number[]; proven: boolean }>()
    for (const { peerId, symbolIds, proven } of this.#care.holdings.sources(ref.contentId, nowMs)) {
      if (symbolIds.size > 0 && this.#context.peers.counts(peerId, nowMs))
        found.set(peerId, { symbolIds: [...symbolIds], proven })
    }
    const own = await this.#context.shelf.symbolIds(ref)
    if (own.length > 0) found.set(this.#context.self, { symbolIds: own, proven: true })
    return found
  }

  /** The retention plan as any peer with this view finds it. */
  async planFor(ref: ContentRef, localPeer: PeerKeyId, nowMs: Milliseconds): Promise<RetentionPlan | undefined> {
    const item = this.#context.shelf.get(ref)
    return item && this.#care.plan(item, await this.#care.view(item, nowMs), nowMs, localPeer)
  }

  /** Resolves when no answer is under way. */
  idle(): Promise<void> {
    return this.#router.idle()
  }

  /** Ends all fetches. The storage is the caller's to close. */
  async close(): Promise<void> {
    this.#closed = true
    this.#fetches.close()
    this.#desk.close()
    await this.#autoFold?.idle()
    await this.#inbox.push(this.#context.self, false, async () => {})
  }

  #caughtUp(): void {
    this.#silentBefore ||= this.#catchingUp !== undefined
    this.#catchingUp = undefined
  }

  async #start(): Promise<void> {
    await this.#desk.start()
    if (this.#context.shelf.items().length > 0) this.#catchingUp = { untilMs: NEVER }
  }

  /** Serving begins: the peer learns what is here. */
  async #greet(peer: Peer, nowMs: Milliseconds): Promise<void> {
    await this.#claims.greet(peer)
    await this.#care.greet(peer, nowMs)
    this.#care.touchAll(nowMs)
  }

  async #ask(peer: Peer, nowMs: Milliseconds): Promise<void> {
    this.#care.mayAsk(peer, nowMs)
    await this.#claims.pull(peer, nowMs)
  }

  #sources(item: ShelfItem, nowMs: Milliseconds) {
    const usable = this.#care.holdings.sources(item.ref.contentId, nowMs).filter(({ peerId }) => {
      const peer = this.#context.peers.get(peerId)
      return peer?.mayAsk === true && peer.heard
    })
    // By lot among those alike, so that not everybody asks the same holder.
    const shuffled = some(this.#context.random, usable, usable.length)
    return [...shuffled.filter(({ proven }) => proven), ...shuffled.filter(({ proven }) => !proven)]
  }

  async #published(manifest: SignedManifest, expiresAtUnixMs: U64, nowMs: Milliseconds): Promise<void> {
    const { contentId, corpusKind } = manifest
    const ref = { contentId, corpusKind }
    this.#context.book.refresh()
    this.#context.emit({ type: "manifest", ref })
    // Consent first: nobody keeps what nobody has consented to.
    await this.grant(ref, expiresAtUnixMs, nowMs)
    await this.#own.say("content_manifest", manifestHash(manifest), nowMs)
    this.#care.announce(ref, nowMs)
    this.#care.touch(ref, nowMs)
  }
}

/** 0..1 by the peer's id. */
function spreadOf(peer: PeerKeyId): number {
  const digest = sha256Sync(utf8Encode(peer))
  return new DataView(digest.buffer, digest.byteOffset).getUint32(0) / 2 ** 32
}
