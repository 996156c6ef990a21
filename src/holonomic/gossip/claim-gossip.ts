/** Claims and witnesses of a node: taken in, handed on, compared, and brought together with those of others. */
import { sha256Sync } from "../../crypto/index.ts"
import { equalBytes, toHex } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Milliseconds, PeerKeyId, U64 } from "../../wire/types.ts"
import { signedClaimBytes } from "../claims/signed-claim.ts"
import { keysMatch, type PeerKeys, type SignedClaim, verifyClaim } from "../trust/verified.ts"
import type { EquivocationProof } from "../witness/equivocation.ts"
import type { WholenessWitness } from "../witness/witness.ts"
import { leavesAnswer } from "./buckets.ts"
import { NEVER, type NodeContext, some, tell } from "./context.ts"
import { DURABLE_KINDS, type DurableClaim, type DurableKind, isRevocation, readDurable } from "./durable.ts"
import type { HoloMessage, HoloMessageOf } from "./messages.ts"
import type { Peer } from "./peers.ts"
import { claimsMessages, ReconcileWalk } from "./reconcile.ts"
import { cutOf, dueEpoch, WitnessCutter, witnessEpoch } from "./witness-cut.ts"

/** Others to whom a claim of somebody else goes; what this misses, the witnesses of the next minute find. */
const FORWARD_TO = 3
/** The same for revocations. */
const FORWARD_REVOCATIONS_TO = 8
/** Claims offered after a walk to a peer that lacks them. */
const MAX_OFFERED = 64
/** Epochs around the present one whose leaves are told. */
const LEAVES_PAST = 16n
const LEAVES_AHEAD = 2n
/** How often walks are looked at for answers that are missing. */
const LOOK_MS = 1_000
/** Divergent epochs in a row after which a peer's claims are not handed on. */
const DIVERGENT_EPOCHS = 3

/** The order in which a newcomer takes over: what ends things first. */
const PULL_ORDER: readonly DurableKind[] = ["trust_revoke", "consent_state", "trust_grant", "content_manifest", "aggregation"]
/** After so many of these everything that was revoked is known. */
const REVOCATION_STAGES = 2

interface ClaimGossipEvents {
  /** A claim is new here. `from`: who sent it, undefined for one's own. */
  added(claim: DurableClaim, from: PeerKeyId | undefined, nowMs: Milliseconds): Promise<void>
  /** All revocations that a peer has are known. */
  revocationsKnown(peer: PeerKeyId): void
}

interface Walking {
  walk: ReconcileWalk
  /** Kinds still to be pulled, and how many are done; undefined: the reconciliation of an epoch. */
  pull: { stage: number; claims: number; epochId: U64 } | undefined
}

export class ClaimGossip {
  readonly #context: NodeContext
  readonly #events: ClaimGossipEvents
  readonly #cutter: WitnessCutter
  readonly #walks = new Map<PeerKeyId, Walking>()
  /** Who a claim came from, while it may have to be kept back. */
  readonly #sources = new Map<string, PeerKeyId>()
  readonly #distrusted = new Set<PeerKeyId>()
  #lookedMs: Milliseconds = Number.NEGATIVE_INFINITY

  constructor(context: NodeContext, events: ClaimGossipEvents) {
    this.#context = context
    this.#events = events
    this.#cutter = new WitnessCutter(context)
  }

  /** Takes in a claim, whoever sent it. False when it was known. @throws AvError `Malformed`, `SignatureInvalid`, `LimitExceeded` */
  async learn(claim: SignedClaim, keys: PeerKeys, from: PeerKeyId | undefined, nowMs: Milliseconds): Promise<boolean> {
    if (readDurable(claim) === undefined) throw new AvError("Malformed", { what: "durable claim", kind: claim.claimKind })
    const hash = toHex(sha256Sync(signedClaimBytes(claim)))
    if (this.#context.book.has(hash)) return false
    if (!(await verifyClaim(claim, keys, this.#context.verify)))
      throw new AvError("SignatureInvalid", { signer: claim.signerPeerId })
    const added = await this.#context.book.add(claim, keys, BigInt(Math.floor(nowMs)))
    if (added === undefined) return false
    this.#context.peers.learnKeys(claim.signerPeerId, keys)
    if (from !== undefined) this.#sources.set(hash, from)
    await this.#events.added(added, from, nowMs)
    await this.#forward(added, { claim, keys }, from)
    return true
  }

  /** A peer may be asked: takes over what it has, revocations first. */
  async pull(peer: Peer, nowMs: Milliseconds): Promise<void> {
    const epochId = witnessEpoch(nowMs) + 1n
    await this.#startStage(peer.keyId, { stage: 0, claims: 0, epochId }, nowMs)
  }

  /** What a newly admitted peer is told at once. */
  async greet(peer: Peer): Promise<void> {
    const witness = await this.#cutter.latest()
    if (witness !== undefined) await tell(this.#context, [peer.keyId], { t: "holo.witness", ...witness })
  }

  gone(peer: PeerKeyId): void {
    this.#walks.delete(peer)
  }

  async latestEpoch(): Promise<U64 | undefined> {
    return (await this.#cutter.latest())?.epochId
  }

  /** Makes and sends the own witness when it is due, and compares those that came before it. */
  async cut(nowMs: Milliseconds): Promise<void> {
    const witness = await this.#cutter.cut(nowMs)
    if (witness !== undefined) {
      const { epochId, merkleRoot: root, leafCount } = witness
      this.#context.emit({ type: "witness-cut", epochId, root, leafCount })
      await tell(this.#context, this.#admitted(), { t: "holo.witness", ...witness })
    }
    const epochId = dueEpoch(nowMs)
    for (const peer of this.#context.peers.admitted()) {
      const theirs = await this.#context.ledger.witness(peer.keyId, epochId)
      if (theirs !== undefined) await this.#compare(peer, theirs, nowMs)
    }
  }

  async onWitness(peer: Peer, message: HoloMessageOf<"holo.witness">, nowMs: Milliseconds): Promise<void> {
    const { keys: sent, t: _, ...witness } = message
    if (sent !== undefined) this.#context.peers.learnKeys(witness.peerId, sent)
    const keys = witness.peerId === peer.keyId ? peer.keys : this.#context.peers.keysOf(witness.peerId)
    if (keys === undefined) throw new AvError("KeyInvalid", { what: "keys of the witness unknown" })
    const clock = { currentEpoch: witnessEpoch(nowMs), nowUnixMs: BigInt(Math.floor(nowMs)) }
    try {
      await this.#context.ledger.ingest(witness, keys, clock)
    } catch (error) {
      // Sent again after a crash, or to say hello.
      if (isAvError(error, "Duplicate")) return
      throw error
    }
    const author = this.#context.peers.get(witness.peerId)
    if (author !== undefined && witness.epochId <= dueEpoch(nowMs)) await this.#compare(author, witness, nowMs)
  }

  async onHardCase(peer: Peer, message: HoloMessageOf<"holo.hardcase">): Promise<void> {
    const { keys, t: _, ...proof } = message
    this.#context.peers.learnKeys(proof.peerId, keys)
    if (!(await this.#context.ledger.ingestProof(proof, keys)) && !this.#context.ledger.isExcluded(proof.peerId)) {
      throw new AvError("SignatureInvalid", { what: "proof", from: peer.keyId })
    }
  }

  /** To be called once per proof: keys are handed on with it, so that everybody can check it. */
  async tellProof(proof: EquivocationProof): Promise<void> {
    this.#context.emit({ type: "equivocation", peer: proof.peerId, epochId: proof.epochId })
    const keys = this.#context.peers.keysOf(proof.peerId)
    if (keys !== undefined) await tell(this.#context, this.#admitted(), { t: "holo.hardcase", ...proof, keys })
  }

  async onLeavesRequest(peer: Peer, message: HoloMessageOf<"holo.leaves?">, nowMs: Milliseconds): Promise<void> {
    const now = witnessEpoch(nowMs)
    if (message.epochId + LEAVES_PAST < now || message.epochId > now + LEAVES_AHEAD) return
    const kind = DURABLE_KINDS.find((one) => one === message.claimKind)
    if (message.claimKind !== undefined && kind === undefined) return
    const { hashes } = this.#context.book.leavesAt(cutOf(message.epochId), kind)
    await tell(this.#context, [peer.keyId], leavesAnswer(hashes, message))
  }

  async onLeaves(peer: Peer, message: HoloMessageOf<"holo.leaves">, nowMs: Milliseconds): Promise<void> {
    const walking = this.#walks.get(peer.keyId)
    if (walking === undefined) return
    await this.#go(peer.keyId, walking, walking.walk.leaves(message, nowMs), nowMs)
  }

  async onClaimsRequest(peer: Peer, { hashes }: HoloMessageOf<"holo.claims?">): Promise<void> {
    const found = []
    for (const hash of hashes.map(toHex)) {
      const source = this.#sources.get(hash)
      if (source !== undefined && this.#distrusted.has(source)) continue
      const claim = await this.#context.book.claim(hash)
      if (claim !== undefined) found.push(claim)
    }
    for (const message of claimsMessages(found)) await tell(this.#context, [peer.keyId], message)
  }

  /** Claims that were asked for; others are ignored. */
  async onClaims(peer: Peer, { claims, keys }: HoloMessageOf<"holo.claims">, nowMs: Milliseconds): Promise<void> {
    const walking = this.#walks.get(peer.keyId)
    if (walking === undefined) return
    for (const claim of claims) {
      const hash = toHex(sha256Sync(signedClaimBytes(claim)))
      if (!walking.walk.expects(hash)) continue
      const own = keys.find((pair) => keysMatch(claim.signerPeerId, pair)) ?? this.#context.peers.keysOf(claim.signerPeerId)
      try {
        if (own === undefined) throw new AvError("KeyInvalid", { what: "keys missing" })
        if ((await this.learn(claim, own, peer.keyId, nowMs)) && walking.pull !== undefined) walking.pull.claims += 1
      } catch (error) {
        if (!isAvError(error)) throw error
        this.#context.emit({ type: "rejected", peer: peer.keyId, what: "claim", code: error.code })
      }
    }
    await this.#go(peer.keyId, walking, walking.walk.progressed(nowMs), nowMs)
  }

  async tick(nowMs: Milliseconds): Promise<void> {
    this.#lookedMs = nowMs
    for (const [peer, walking] of this.#walks) await this.#go(peer, walking, walking.walk.tick(nowMs), nowMs)
  }

  /** Walks are looked at once a second, counted from the last look. */
  nextTickMs(): Milliseconds {
    return this.#walks.size === 0 ? NEVER : this.#lookedMs + LOOK_MS
  }

  async #forward(added: DurableClaim, { claim, keys }: { claim: SignedClaim; keys: PeerKeys }, from: PeerKeyId | undefined) {
    if (from !== undefined && this.#distrusted.has(from)) return
    const revocation = isRevocation(added.body)
    const others = this.#admitted().filter((peer) => peer !== from && peer !== claim.signerPeerId)
    const count = from === undefined ? others.length : revocation ? FORWARD_REVOCATIONS_TO : FORWARD_TO
    const message: HoloMessage = { t: revocation ? "holo.revoke" : "holo.claim", ...claim, keys }
    await tell(this.#context, some(this.#context.random, others, count), message)
  }

  async #compare(peer: Peer, theirs: WholenessWitness, nowMs: Milliseconds): Promise<void> {
    if (this.#context.ledger.isExcluded(peer.keyId) || peer.comparedEpoch === theirs.epochId) return
    peer.comparedEpoch = theirs.epochId
    if (equalBytes(this.#context.book.leavesAt(cutOf(theirs.epochId)).root, theirs.merkleRoot)) {
      peer.divergentEpochs = 0
      this.#distrusted.delete(peer.keyId)
      return
    }
    peer.divergentEpochs += 1
    if (peer.divergentEpochs >= DIVERGENT_EPOCHS) {
      this.#distrusted.add(peer.keyId)
      this.#context.emit({ type: "witness-divergent", peer: peer.keyId, epochId: theirs.epochId })
    }
    if (!peer.mayAsk || this.#walks.has(peer.keyId)) return
    const walking: Walking = { walk: this.#walk({ epochId: theirs.epochId }), pull: undefined }
    this.#walks.set(peer.keyId, walking)
    await this.#go(peer.keyId, walking, walking.walk.start(nowMs), nowMs)
  }

  async #startStage(peer: PeerKeyId, pull: NonNullable<Walking["pull"]>, nowMs: Milliseconds): Promise<void> {
    const walking: Walking = { walk: this.#walk({ epochId: pull.epochId, kind: PULL_ORDER[pull.stage]! }), pull }
    this.#walks.set(peer, walking)
    await this.#go(peer, walking, walking.walk.start(nowMs), nowMs)
  }

  #walk(options: { epochId: U64; kind?: DurableKind }): ReconcileWalk {
    const { book } = this.#context
    const facts = {
      has: (hash: string) => book.has(hash),
      hashes: (epochId: U64, kind: DurableKind | undefined) => book.leavesAt(cutOf(epochId), kind).hashes,
    }
    return new ReconcileWalk(facts, options)
  }

  async #go(peer: PeerKeyId, walking: Walking, messages: HoloMessage[], nowMs: Milliseconds): Promise<void> {
    for (const message of messages) await tell(this.#context, [peer], message)
    const { walk, pull } = walking
    if (walk.state !== "done" && walk.state !== "failed") return
    if (this.#walks.get(peer) !== walking) return
    this.#walks.delete(peer)
    if (pull === undefined) return this.#offer(peer, walk)
    pull.stage += 1
    if (pull.stage === REVOCATION_STAGES || walk.state === "failed") this.#events.revocationsKnown(peer)
    if (walk.state === "failed") return
    if (pull.stage < PULL_ORDER.length) return this.#startStage(peer, pull, nowMs)
    this.#context.emit({ type: "caught-up", peer, claims: pull.claims })
  }

  /** Gives the other side what it lacks; it may not have noticed by itself. */
  async #offer(peer: PeerKeyId, walk: ReconcileWalk): Promise<void> {
    for (const hash of walk.lacking().slice(0, MAX_OFFERED)) {
      const found = await this.#context.book.claim(hash)
      if (found === undefined) continue
      const revocation = isRevocation(this.#context.book.entry(hash)!.body)
      const message: HoloMessage = { t: revocation ? "holo.revoke" : "holo.claim", ...found.claim, keys: found.keys }
      await tell(this.#context, [peer], message)
    }
  }

  #admitted(): PeerKeyId[] {
    return this.#context.peers.admitted().map(({ keyId }) => keyId)
  }
}
