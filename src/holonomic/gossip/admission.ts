/** Who is let in: members of a room at once, everybody else by a chain of grants, in both directions (14.5). */
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds, PeerKeyId } from "../../wire/types.ts"
import { readTrustGrant, type TrustRevokeBody } from "../claims/bodies.ts"
import { isRevoked, type LinkedVerdict } from "../trust/linked.ts"
import { keysMatch, type PeerKeys } from "../trust/verified.ts"
import { BootstrapHost, bootstrapAnswer, judgeHost, type OwnChain, type TrustView } from "./bootstrap-exchange.ts"
import { type NodeContext, tell } from "./context.ts"
import type { HoloMessageOf } from "./messages.ts"
import type { Peer } from "./peers.ts"

/** Steps of a chain that are trusted, unless said otherwise. */
const DEFAULT_DEPTH = 5
/** Challenges of one peer are answered no more often than this. */
const ANSWER_EVERY_MS = 5_000

export interface TrustOptions {
  roots: readonly PeerKeyId[]
  /** Shown to others: grants from a root, or from somebody a root trusts, to this peer. */
  chain?: OwnChain
  maxChainDepth?: number
}

interface AdmissionEvents {
  /** It is served from now on. */
  admitted(peer: Peer, nowMs: Milliseconds): Promise<void>
  /** It serves us: we may ask. */
  mayAsk(peer: Peer, nowMs: Milliseconds): Promise<void>
}

export class Admission {
  readonly #context: NodeContext
  readonly #events: AdmissionEvents
  readonly #host: BootstrapHost
  #trust: TrustOptions | undefined

  constructor(context: NodeContext, events: AdmissionEvents, trust: TrustOptions | undefined) {
    this.#context = context
    this.#events = events
    this.#trust = trust
    this.#host = new BootstrapHost(context.self, context.random, context.verify)
  }

  /** Another chain to show, from now on. */
  set chain(chain: OwnChain) {
    if (this.#trust !== undefined) this.#trust = { ...this.#trust, chain }
  }

  async hello(peer: PeerKeyId, epochId: bigint | undefined): Promise<void> {
    const { self, meshId, signer } = this.#context
    await tell(this.#context, [peer], {
      t: "holo.hello",
      peerId: self,
      keys: { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey },
      meshId,
      ...(epochId !== undefined && { epochId }),
    })
  }

  /** @returns true when this is the first hello of the peer: it may not have got ours */
  async onHello(peer: Peer, message: HoloMessageOf<"holo.hello">, nowMs: Milliseconds): Promise<boolean> {
    if (message.peerId !== peer.keyId || !keysMatch(peer.keyId, message.keys)) {
      throw new AvError("KeyInvalid", { what: "not the keys of this peer" })
    }
    if (message.meshId !== this.#context.meshId || peer.heard) return false
    peer.heard = true
    if (peer.standing !== undefined) {
      await this.#events.admitted(peer, nowMs)
      await this.#events.mayAsk(peer, nowMs)
    } else if (this.#trust !== undefined) await this.#challenge(peer, nowMs)
    return true
  }

  /** The peer asks who we are. We look at who it is first, and go no further with somebody unknown. */
  async onChallenge(peer: Peer, message: HoloMessageOf<"holo.challenge">, nowMs: Milliseconds): Promise<void> {
    const view = this.#view(nowMs)
    if (view === undefined || nowMs - peer.answeredMs < ANSWER_EVERY_MS) return
    peer.answeredMs = nowMs
    const verdict = await judgeHost(peer.keyId, message, view, this.#context.verify)
    if (verdict.kind === "Refuse") {
      this.#context.emit({ type: "refused", peer: peer.keyId, reason: verdict.reason, by: "us" })
      return
    }
    const answer = await bootstrapAnswer(peer.keyId, message.nonce, this.#chain(), this.#context.signer, nowMs)
    await tell(this.#context, [peer.keyId], answer)
  }

  async onBootstrap(peer: Peer, message: HoloMessageOf<"holo.bootstrap">, nowMs: Milliseconds): Promise<void> {
    const view = this.#view(nowMs)
    if (view === undefined) return
    const verdict = await this.#host.judge(peer.keyId, peer.keys, message, view)
    await tell(this.#context, [peer.keyId], { t: "holo.verdict", verdict })
    if (verdict.kind === "Refuse") {
      this.#context.emit({ type: "refused", peer: peer.keyId, reason: verdict.reason, by: "us" })
      return
    }
    const before = peer.standing
    peer.standing = verdict.standing
    peer.grants = message.chain.map(({ claimBytes }) => readTrustGrant(claimBytes))
    for (const keys of message.chainKeys) this.#learn(message, keys)
    if (before === undefined) {
      this.#emitAdmitted(peer.keyId, verdict)
      await this.#events.admitted(peer, nowMs)
    }
  }

  async onVerdict(peer: Peer, { verdict }: HoloMessageOf<"holo.verdict">, nowMs: Milliseconds): Promise<void> {
    if (verdict.kind === "Refuse") {
      this.#context.emit({ type: "refused", peer: peer.keyId, reason: verdict.reason, by: "them" })
      return
    }
    if (peer.mayAsk || this.#trust === undefined) return
    peer.mayAsk = true
    await this.#events.mayAsk(peer, nowMs)
  }

  /** Trust was taken back: who came in by it is out. */
  revoked(revoke: TrustRevokeBody): void {
    for (const peer of this.#context.peers.admitted()) {
      if (!peer.grants.some((grant) => isRevoked(grant, [revoke]))) continue
      peer.standing = undefined
      this.#context.emit({ type: "refused", peer: peer.keyId, reason: "GrantRevoked", by: "us" })
    }
  }

  async #challenge(peer: Peer, nowMs: Milliseconds): Promise<void> {
    const { signer } = this.#context
    const ownKeys = { ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey }
    await tell(this.#context, [peer.keyId], this.#host.challenge(peer.keyId, { ...this.#chain(), ownKeys }, nowMs))
  }

  #emitAdmitted(peer: PeerKeyId, verdict: Extract<LinkedVerdict, { kind: "AdmitTrustServe" }>): void {
    const { standing, trustDistance, anchoredToRoot } = verdict
    this.#context.emit({ type: "admitted", peer, standing, trustDistance, anchoredToRoot })
  }

  #learn({ chain }: HoloMessageOf<"holo.bootstrap">, keys: PeerKeys): void {
    for (const { signerPeerId } of chain) this.#context.peers.learnKeys(signerPeerId, keys)
  }

  #chain(): OwnChain {
    return this.#trust?.chain ?? { chain: [], keys: [] }
  }

  #view(nowMs: Milliseconds): TrustView | undefined {
    if (this.#trust === undefined) return undefined
    const { roots, maxChainDepth = DEFAULT_DEPTH } = this.#trust
    const { book } = this.#context
    const graph = { roots, grants: book.grantsAt(BigInt(Math.floor(nowMs))), maxChainDepth }
    return { graph, revokes: book.revokes(), nowUnixMs: nowMs }
  }
}
