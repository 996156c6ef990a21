/** Keeps each content spread as the plan wants it: announces, challenges, fetches what is missing, gives up what others have enough of. */
import { toBase64 } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { strictBase64 } from "../checks.ts"
import {
  COMPRESS_REQUEST_VERSION,
  compressRequestBytes,
  type FountainCompressRequest,
  type FountainHoldingClaim,
  HOLDING_CLAIM_VERSION,
  holdingClaimBytes,
  requireRange,
} from "../claims/holding.ts"
import type { ContentRef } from "../content/manifest.ts"
import { type RetentionPlan, retentionPlan } from "../retention/plan.ts"
import { RankTable } from "../retention/ranks.ts"
import type { ConsentState } from "../retention/rarity.ts"
import { keepCount, moreSevere } from "../retention/tiers.ts"
import { Challenges } from "./challenges.ts"
import { type NodeContext, tell } from "./context.ts"
import type { FetchBoard } from "./fetch-board.ts"
import { HoldingBook } from "./holding-book.ts"
import type { HoloMessageOf } from "./messages.ts"
import type { Peer } from "./peers.ts"
import { keyOf, type ShelfItem } from "./shelf.ts"

/** What happened is acted on after this: changes come in bunches. */
const SETTLE_MS = 500
/** It is acted on after this at the latest. */
const LONGEST_MS = 3_000
/** A content whose symbols cannot be fetched yet, because others are, is looked at again after this. */
const WAITING_MS = 2_000
/** Notice that others get before a copy goes. */
const COMPRESS_NOTICE_MS = 30_000
/** Fewer holders than this are reported. */
const FEW_HOLDERS = 5
/** A claim younger than this is sent to a newcomer as it is. */
const REUSE_CLAIM_MS = 120_000
/** Share of a content that may go in one step. */
const TRIM_SHARE = 10

interface CareOptions {
  targetHolders: number | ((livePeers: number) => number)
  /** For simulations, where many peers compute the same ones. */
  ranks?: RankTable
  /** False until everything that others have revoked is known: nothing is announced before. */
  ready(): boolean
}

type HoldingMessage = HoloMessageOf<"holo.holding">

export class ContentCare {
  readonly holdings = new HoldingBook()
  readonly #context: NodeContext
  readonly #fetches: FetchBoard
  readonly #options: CareOptions
  readonly #challenges: Challenges
  readonly #ranks: RankTable
  /** Contents to be looked at, and when. */
  readonly #dirty = new Map<string, { ref: ContentRef; atMs: Milliseconds; sinceMs: Milliseconds }>()
  /** Contents whose holding is to be told, and when. */
  readonly #untold = new Map<string, { ref: ContentRef; atMs: Milliseconds }>()
  readonly #told = new Map<string, HoldingMessage>()
  /** Copies that go at a deadline, by content and symbol. */
  readonly #leaving = new Map<string, Map<number, Milliseconds>>()
  readonly #plans = new Map<string, RetentionPlan>()

  constructor(context: NodeContext, fetches: FetchBoard, options: CareOptions) {
    this.#context = context
    this.#fetches = fetches
    this.#options = options
    this.#challenges = new Challenges(context, this.holdings)
    this.#ranks = options.ranks ?? new RankTable()
  }

  /** A content is to be looked at soon, when nothing more happens to it: who acts in the middle of a spreading acts on half of it. */
  touch(ref: ContentRef, nowMs: Milliseconds, afterMs = SETTLE_MS): void {
    const sinceMs = this.#dirty.get(keyOf(ref))?.sinceMs ?? nowMs
    const atMs = Math.min(nowMs + afterMs, sinceMs + LONGEST_MS)
    this.#dirty.set(keyOf(ref), { ref, atMs, sinceMs })
  }

  touchAll(nowMs: Milliseconds): void {
    for (const { ref } of this.#context.shelf.items()) this.touch(ref, nowMs)
  }

  /** Others are to be told soon what is here of a content. */
  announce(ref: ContentRef, nowMs: Milliseconds): void {
    if (!this.#untold.has(keyOf(ref))) this.#untold.set(keyOf(ref), { ref, atMs: nowMs + SETTLE_MS })
  }

  announceAll(nowMs: Milliseconds): void {
    for (const { ref } of this.#context.shelf.items()) this.announce(ref, nowMs)
  }

  /** Nothing about a content counts any more. */
  forget({ ref }: ShelfItem): void {
    for (const map of [this.#dirty, this.#untold, this.#told, this.#leaving, this.#plans]) map.delete(keyOf(ref))
    if (this.#context.shelf.byId(ref.contentId).length === 0) this.holdings.forgetContent(ref.contentId)
  }

  consentOf(item: ShelfItem, nowMs: Milliseconds): ConsentState {
    return this.#context.book.consent(item.ref, item.authorities, BigInt(Math.floor(nowMs))).state
  }

  /** What the last look said; for decisions under lack of room. */
  lastPlan(ref: ContentRef): RetentionPlan | undefined {
    return this.#plans.get(keyOf(ref))
  }

  /** The holdings that count, the own ones as they are. */
  async view(item: ShelfItem, nowMs: Milliseconds): Promise<Map<PeerKeyId, readonly number[]>> {
    const view = new Map<PeerKeyId, readonly number[]>()
    for (const [peer, ids] of this.holdings.proven(item.ref.contentId, nowMs)) {
      if (this.#context.peers.counts(peer, nowMs)) view.set(peer, ids)
    }
    const own = await this.#context.shelf.symbolIds(item.ref)
    if (own.length > 0) view.set(this.#context.self, own)
    return view
  }

  plan(
    item: ShelfItem,
    holdings: ReadonlyMap<PeerKeyId, readonly number[]>,
    nowMs: Milliseconds,
    localPeer = this.#context.self,
  ): RetentionPlan {
    const { nSource, kRepair } = item.manifest
    const others = this.#context.peers.admitted().filter(({ heard }) => heard)
    const { targetHolders: target } = this.#options
    const wanted = typeof target === "number" ? target : target(others.length + 1)
    const targetHolders = Math.max(wanted, nSource + kRepair)
    return retentionPlan({
      contentId: item.ref.contentId,
      policy: { nSource, kRepair, targetHolders },
      consent: this.consentOf(item, nowMs),
      localPeer,
      holdings,
      livePeers: [this.#context.self, ...others.map(({ keyId }) => keyId)],
      ranks: this.#ranks,
    })
  }

  /** Looks at one content and does what the plan says. */
  async converge(item: ShelfItem, nowMs: Milliseconds): Promise<void> {
    const { ref } = item
    const holdings = await this.view(item, nowMs)
    const plan = this.plan(item, holdings, nowMs)
    this.#plans.set(keyOf(ref), plan)
    if (plan.evict !== null) {
      this.#leaving.delete(keyOf(ref))
      return
    }
    await this.#trim(item, plan.trim, holdings, nowMs)
    const wanted = plan.adopt.length + plan.trim.length > 0 ? plan.adopt : await this.#overlooked(item, nowMs)
    const adopt = wanted.slice(0, await this.#roomFor(item))
    if (adopt.length > 0 && !(await this.#fetches.adopt(item, adopt, nowMs))) this.touch(ref, nowMs, WAITING_MS)
    const observedHolders = [...holdings.values()].filter((ids) => ids.length > 0).length
    if (observedHolders < FEW_HOLDERS) {
      this.#context.emit({ type: "repair-needed", ref, observedHolders, minViable: item.manifest.minViableSymbols })
    } else if (plan.trim.length + plan.adopt.length === 0) this.#context.emit({ type: "keep", ref })
  }

  /** How many more symbols of a content age and lack of room allow here. What was folded is not made whole again. */
  async #roomFor({ ref, manifest }: ShelfItem): Promise<number> {
    const { shelf } = this.#context
    const record = await shelf.store.record(ref)
    if (record === undefined || (await shelf.isFolded(ref))) return 0
    const keep = keepCount(moreSevere(record.decayTier, record.pressureTier), manifest)
    return Math.max(0, keep - (await shelf.symbolIds(ref)).length)
  }

  /**
   * A peer that has just fetched symbols counts its own, while the others wait ten minutes for their next proof of it: each then waits
   * for somebody else. By what is claimed all see the same; whatever even that leaves missing is fetched as well. Too much does no harm.
   */
  async #overlooked(item: ShelfItem, nowMs: Milliseconds): Promise<number[]> {
    const claimed = new Map<PeerKeyId, readonly number[]>()
    for (const { peerId, symbolIds } of this.holdings.sources(item.ref.contentId, nowMs)) {
      if (this.#context.peers.counts(peerId, nowMs)) claimed.set(peerId, [...symbolIds])
    }
    const own = await this.#context.shelf.symbolIds(item.ref)
    if (own.length > 0) claimed.set(this.#context.self, own)
    return this.plan(item, claimed, nowMs).adopt
  }

  async onHolding(peer: Peer, message: HoldingMessage, nowMs: Milliseconds): Promise<void> {
    if (message.peerId !== peer.keyId) return
    const claim: FountainHoldingClaim = message
    if (claim.claimVersion !== HOLDING_CLAIM_VERSION) throw new AvError("UnsupportedVersion", { version: claim.claimVersion })
    await this.#check(peer, holdingClaimBytes(claim), message)
    const before = this.holdings.claim(peer.keyId, claim.contentId)?.symbolIds ?? []
    if (!this.holdings.take(claim, nowMs)) return
    if (before.length !== claim.symbolIds.length || before.some((id) => !claim.symbolIds.includes(id))) {
      this.#context.emit({ type: "holders", contentId: claim.contentId })
      for (const { ref } of this.#context.shelf.byId(claim.contentId)) this.touch(ref, nowMs)
    }
    this.#challenges.claimed(peer.keyId, claim.contentId, nowMs)
  }

  /** A peer has let us in: what it claimed before can be challenged now. */
  mayAsk(peer: Peer, nowMs: Milliseconds): void {
    this.#challenges.sweep(nowMs, peer.keyId)
  }

  /** A manifest has come: what was claimed about its content can be judged now. */
  arrived(ref: ContentRef, nowMs: Milliseconds): void {
    this.#challenges.known(ref.contentId, nowMs)
    this.touch(ref, nowMs)
  }

  /** Somebody is about to drop symbols: fetched before, where the plan without its copies gives them to this peer. */
  async onCompress(peer: Peer, message: HoloMessageOf<"holo.compress">, nowMs: Milliseconds): Promise<void> {
    const request: FountainCompressRequest = message
    if (request.peerId !== peer.keyId || request.requestVersion !== COMPRESS_REQUEST_VERSION) return
    requireRange(request)
    await this.#check(peer, compressRequestBytes(request), message)
    const inRange = (id: number) => id >= request.evictingRangeLow && id <= request.evictingRangeHigh
    for (const item of this.#context.shelf.byId(request.contentId)) {
      const holdings = await this.view(item, nowMs)
      holdings.set(
        peer.keyId,
        (holdings.get(peer.keyId) ?? []).filter((id) => !inRange(id)),
      )
      const ids = this.plan(item, holdings, nowMs)
        .adopt.filter(inRange)
        .slice(0, await this.#roomFor(item))
      if (ids.length > 0) await this.#fetches.adopt(item, ids, nowMs)
    }
  }

  onProof(peer: Peer, message: HoloMessageOf<"holo.proof">, nowMs: Milliseconds): void {
    this.#judged(this.#challenges.proof(peer.keyId, message, nowMs), nowMs)
  }

  /** A symbol that answers a challenge; false when it does not. */
  onSymbol(peer: Peer, frame: { req: number; symbolId: number; bytes: Bytes }, nowMs: Milliseconds): boolean {
    const contentId = this.#challenges.symbol(peer.keyId, frame, nowMs)
    this.#judged(contentId, nowMs)
    return contentId !== undefined
  }

  /** Sends what is held of every content to somebody who is new here. */
  async greet(peer: Peer, nowMs: Milliseconds): Promise<void> {
    if (!this.#options.ready()) return
    for (const { ref } of this.#context.shelf.items()) {
      const told = this.#told.get(keyOf(ref))
      const fresh = told !== undefined && nowMs - Number(told.observedAtUnixMs) < REUSE_CLAIM_MS
      const message = fresh ? told : await this.#holding(ref, nowMs)
      if (message !== undefined) await tell(this.#context, [peer.keyId], message)
    }
  }

  /** The regular look at everything. */
  async convergeAll(nowMs: Milliseconds): Promise<void> {
    this.holdings.prune(nowMs)
    this.#dirty.clear()
    for (const item of this.#context.shelf.items()) await this.converge(item, nowMs)
    this.#challenges.sweep(nowMs)
  }

  async tick(nowMs: Milliseconds): Promise<void> {
    for (const [key, { ref, atMs }] of this.#dirty) {
      if (atMs > nowMs) continue
      this.#dirty.delete(key)
      const item = this.#context.shelf.get(ref)
      if (item !== undefined) await this.converge(item, nowMs)
    }
    await this.#tellHoldings(nowMs)
    await this.#challenges.tick(nowMs)
    for (const [key, leaving] of this.#leaving) {
      const due = [...leaving.values()].some((deadline) => deadline <= nowMs)
      const item = this.#context.shelf.items().find(({ ref }) => keyOf(ref) === key)
      if (due && item !== undefined) await this.converge(item, nowMs)
    }
  }

  nextTickMs(): Milliseconds {
    const times = [...this.#dirty.values(), ...(this.#options.ready() ? this.#untold.values() : [])].map(({ atMs }) => atMs)
    for (const leaving of this.#leaving.values()) times.push(...leaving.values())
    return Math.min(this.#challenges.nextTickMs(), ...times)
  }

  async #trim(
    item: ShelfItem,
    trim: readonly number[],
    holdings: ReadonlyMap<PeerKeyId, readonly number[]>,
    nowMs: Milliseconds,
  ) {
    const key = keyOf(item.ref)
    const leaving = this.#leaving.get(key) ?? new Map<number, Milliseconds>()
    const held = holdings.get(this.#context.self)?.length ?? 0
    const now = trim.slice(0, Math.max(1, Math.floor(held / TRIM_SHARE)))
    // Whose turn has passed gets notice anew: a deadline that nobody meets would never let this rest.
    for (const id of leaving.keys()) if (!now.includes(id)) leaving.delete(id)
    for (const id of now) {
      const deadline = leaving.get(id)
      if (deadline === undefined) {
        leaving.set(id, nowMs + COMPRESS_NOTICE_MS)
        await this.#tellCompress(item, id, nowMs)
      } else if (deadline <= nowMs) {
        leaving.delete(id)
        if (!(await this.#context.shelf.store.dropSymbol(item.ref, id))) continue
        const observedHolders = [...holdings].filter(([peer, ids]) => peer !== this.#context.self && ids.length > 0).length
        this.#context.emit({ type: "ejected", ref: item.ref, symbolId: id, observedHolders })
        this.announce(item.ref, nowMs)
      }
    }
    if (leaving.size > 0) this.#leaving.set(key, leaving)
    else this.#leaving.delete(key)
  }

  async #tellCompress({ ref }: ShelfItem, symbolId: number, nowMs: Milliseconds): Promise<void> {
    const request: FountainCompressRequest = {
      peerId: this.#context.self,
      contentId: ref.contentId,
      evictingRangeLow: symbolId,
      evictingRangeHigh: symbolId,
      deadlineUnixMs: BigInt(Math.floor(nowMs) + COMPRESS_NOTICE_MS),
      requestVersion: COMPRESS_REQUEST_VERSION,
    }
    const signed = { ...request, ...(await this.#sign(compressRequestBytes(request))) }
    await tell(this.#context, this.#admitted(), { t: "holo.compress", ...signed })
  }

  async #tellHoldings(nowMs: Milliseconds): Promise<void> {
    if (!this.#options.ready()) return
    let contents = 0
    for (const [key, { ref, atMs }] of this.#untold) {
      if (atMs > nowMs) continue
      this.#untold.delete(key)
      const message = await this.#holding(ref, nowMs)
      if (message === undefined) continue
      contents += 1
      await tell(this.#context, this.#admitted(), message)
    }
    if (contents > 0) this.#context.emit({ type: "published", contents })
  }

  /** The claim to send now; undefined when nothing is held and nobody was told otherwise. One that cannot be signed is not sent. */
  async #holding(ref: ContentRef, nowMs: Milliseconds): Promise<HoldingMessage | undefined> {
    const symbolIds = await this.#context.shelf.symbolIds(ref)
    const before = this.#told.get(keyOf(ref))
    if (symbolIds.length === 0 && (before?.symbolIds.length ?? 0) === 0) return undefined
    const claim: FountainHoldingClaim = {
      peerId: this.#context.self,
      contentId: ref.contentId,
      symbolIds,
      observedAtUnixMs: later(BigInt(Math.floor(nowMs)), before?.observedAtUnixMs),
      claimVersion: HOLDING_CLAIM_VERSION,
    }
    const signatures = await this.#sign(holdingClaimBytes(claim))
    // Deleted while it was being signed.
    if (this.#context.shelf.get(ref) === undefined) return undefined
    const message: HoldingMessage = { t: "holo.holding", ...claim, symbolIds: [...symbolIds], ...signatures }
    this.#told.set(keyOf(ref), message)
    return message
  }

  /** A challenge about this content was answered: other copies count now. */
  #judged(contentId: string | undefined, nowMs: Milliseconds): void {
    if (contentId === undefined) return
    for (const { ref } of this.#context.shelf.byId(contentId)) this.touch(ref, nowMs)
  }

  async #check(peer: Peer, bytes: Bytes, { signature, signatureMlDsa65 }: { signature: string; signatureMlDsa65: string }) {
    const halves = { ed: strictBase64(signature), pq: strictBase64(signatureMlDsa65) }
    if (!(await this.#context.verify(peer.keys, bytes, halves))) throw new AvError("SignatureInvalid", { signer: peer.keyId })
  }

  async #sign(bytes: Bytes): Promise<{ signature: string; signatureMlDsa65: string }> {
    const { ed, pq } = await this.#context.signer.signHybrid(bytes)
    return { signature: toBase64(ed), signatureMlDsa65: toBase64(pq) }
  }

  #admitted(): PeerKeyId[] {
    return this.#context.peers.admitted().map(({ keyId }) => keyId)
  }
}

/** Two claims in one millisecond would count as one. */
function later(now: bigint, before: bigint | undefined): bigint {
  return before !== undefined && now <= before ? before + 1n : now
}
