/** Hands each message of a peer to the part of the node that knows about it, as far as the peer is let in and within its budget. */
import { AvError } from "../../wire/errors.ts"
import type { Milliseconds } from "../../wire/types.ts"
import type { Admission } from "./admission.ts"
import type { ClaimGossip } from "./claim-gossip.ts"
import type { ContentCare } from "./content-care.ts"
import type { ContentDesk } from "./content-desk.ts"
import type { ContentServer } from "./content-server.ts"
import { guarded, type NodeContext } from "./context.ts"
import type { HoloOutgoing } from "./events.ts"
import type { FetchBoard } from "./fetch-board.ts"
import type { HoloMessage, HoloMessageOf, SymbolFrame } from "./messages.ts"
import type { Peer } from "./peers.ts"

interface RouterParts {
  admission: Admission
  claims: ClaimGossip
  care: ContentCare
  desk: ContentDesk
  fetches: FetchBoard
  server: ContentServer
  /** False while nothing is served. */
  serving(): boolean
}

export class Router {
  readonly #context: NodeContext
  readonly #parts: RouterParts
  readonly #answers = new Set<Promise<void>>()

  constructor(context: NodeContext, parts: RouterParts) {
    this.#context = context
    this.#parts = parts
  }

  async receive(peer: Peer, incoming: HoloOutgoing, nowMs: Milliseconds): Promise<void> {
    if (incoming.kind === "symbol") await this.#symbol(peer, incoming.frame, nowMs)
    else await this.#message(peer, incoming.message, nowMs)
  }

  /** Resolves when no answer is under way. */
  async idle(): Promise<void> {
    while (this.#answers.size > 0) await Promise.all(this.#answers)
  }

  async #message(peer: Peer, message: HoloMessage, nowMs: Milliseconds): Promise<void> {
    switch (message.t) {
      case "holo.hello":
        if (await this.#parts.admission.onHello(peer, message, nowMs)) {
          await this.#parts.admission.hello(peer.keyId, await this.#parts.claims.latestEpoch())
        }
        return
      case "holo.challenge":
        return this.#parts.admission.onChallenge(peer, message, nowMs)
      case "holo.bootstrap":
        return this.#parts.admission.onBootstrap(peer, message, nowMs)
      case "holo.verdict":
        return this.#parts.admission.onVerdict(peer, message, nowMs)
      case "holo.leaves":
        return this.#parts.claims.onLeaves(peer, message, nowMs)
      case "holo.claims":
        return this.#parts.claims.onClaims(peer, message, nowMs)
      case "holo.proof":
        return this.#parts.care.onProof(peer, message, nowMs)
      case "holo.manifest":
        return this.#parts.desk.onManifest(message.manifest, undefined, nowMs)
      case "holo.agg":
        return this.#parts.desk.onManifest(message.manifest, message, nowMs)
      default:
        if (peer.standing === undefined) return
        return isRequest(message) ? this.#request(peer, message, nowMs) : this.#news(peer, message, nowMs)
    }
  }

  /** From peers that are let in: what they tell. */
  async #news(peer: Peer, message: News, nowMs: Milliseconds): Promise<void> {
    switch (message.t) {
      case "holo.claim":
      case "holo.revoke": {
        const { t: _, keys, ...claim } = message
        await this.#parts.claims.learn(claim, keys, peer.keyId, nowMs)
        return
      }
      case "holo.witness":
        return this.#parts.claims.onWitness(peer, message, nowMs)
      case "holo.hardcase":
        return this.#parts.claims.onHardCase(peer, message)
      case "holo.holding":
        return this.#parts.care.onHolding(peer, message, nowMs)
      case "holo.compress":
        return this.#parts.care.onCompress(peer, message, nowMs)
    }
  }

  /** What they ask for, as long as their budget lasts. */
  async #request(peer: Peer, message: Request, nowMs: Milliseconds): Promise<void> {
    if (!this.#context.peers.spend(peer, nowMs)) throw new AvError("LimitExceeded", { what: "requests" })
    switch (message.t) {
      case "holo.leaves?":
        return this.#parts.claims.onLeavesRequest(peer, message, nowMs)
      case "holo.claims?":
        return this.#beside(peer, message.t, () => this.#parts.claims.onClaimsRequest(peer, message))
    }
    if (!this.#parts.serving()) return
    switch (message.t) {
      case "holo.probe":
        return this.#beside(peer, message.t, () => this.#parts.server.onProbe(peer, message))
      case "holo.manifest?":
        return this.#beside(peer, message.t, () => this.#parts.server.onManifestRequest(peer, message))
      case "holo.symbols?":
        return this.#beside(peer, message.t, () => this.#parts.server.onSymbolsRequest(peer, message))
    }
  }

  /** Answers that wait for their way out hold up nothing else. */
  #beside(peer: Peer, what: string, run: () => Promise<void>): void {
    const answer = guarded(this.#context, peer.keyId, what, run)
      .catch((error: unknown) => {
        const code = error instanceof Error ? error.name : "unknown"
        this.#context.emit({ type: "rejected", peer: peer.keyId, what, code })
      })
      .finally(() => this.#answers.delete(answer))
    this.#answers.add(answer)
  }

  async #symbol(peer: Peer, frame: SymbolFrame, nowMs: Milliseconds): Promise<void> {
    if (!this.#parts.care.onSymbol(peer, frame, nowMs)) await this.#parts.fetches.onSymbol(peer, frame, nowMs)
  }
}

type Request = HoloMessageOf<"holo.leaves?" | "holo.claims?" | "holo.probe" | "holo.manifest?" | "holo.symbols?">
type News = Exclude<
  HoloMessage,
  | Request
  | HoloMessageOf<
      | "holo.hello"
      | "holo.challenge"
      | "holo.bootstrap"
      | "holo.verdict"
      | "holo.leaves"
      | "holo.claims"
      | "holo.proof"
      | "holo.manifest"
      | "holo.agg"
    >
>

function isRequest(message: HoloMessage): message is Request {
  return message.t.endsWith("?") || message.t === "holo.probe"
}
