/** ICE restarts of links that are up: which way the offer goes, whose offer counts when both ask, and what the peer answers. */
import type { DescriptionHead, LinkDescription, PeerLink } from "../link/index.ts"
import { ourOfferWins } from "../link/index.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { equalBytes } from "../wire/index.ts"
import type { NodeId, U64 } from "../wire/types.ts"
import type { Signal } from "./signalling.ts"

/** A restart that was not answered for so long no longer stands against the peer's, ms. */
const STANDS_MS = 3_000

interface Pending {
  link: PeerLink
  /** 0 while the offer is being made. */
  attemptId: U64
  way: string
  at: number
}

interface LinkRepairOptions {
  self: NodeId
  links(): Iterable<PeerLink>
  /** The ways to a node that are open now, best first; not those over its own link. */
  ways(node: NodeId): Signal[]
  dropped(error: AvError): void
  /** Milliseconds on any clock that does not run backwards. */
  now(): number
}

export class LinkRepair {
  readonly #options: LinkRepairOptions
  /** Our newest restart of each link that waits for its answer, by link. */
  readonly #pending = new Map<string, Pending>()
  /** The way that the newest exchange of a link took: its later candidates go the same. */
  readonly #waysTaken = new Map<string, Signal>()
  #tries = 0

  constructor(options: LinkRepairOptions) {
    this.#options = options
  }

  /** Offers new addresses to the peer. False when there is no way to it at the moment. */
  restart(link: PeerLink): boolean {
    const ways = this.#options.ways(link.peerNode)
    const signal = ways[this.#tries++ % Math.max(1, ways.length)]
    if (signal === undefined) return false
    this.#waysTaken.set(link.id, signal)
    const pending: Pending = { link, attemptId: 0n, way: signal.way, at: this.#options.now() }
    this.#pending.set(link.id, pending)
    link.restart().then(
      (offer) => {
        pending.attemptId = link.attemptId
        if (this.#pending.get(link.id) === pending) signal.connect(link.peerNode, offer)
      },
      (error: unknown) => {
        if (this.#pending.get(link.id) === pending) this.#pending.delete(link.id)
        // The next best: another link, for which there is a way now.
        if (isAvError(error, "RestartUnsupported")) link.abandon("silence")
        else this.#drop(error)
      },
    )
    return true
  }

  way(link: PeerLink): Signal | undefined {
    return this.#waysTaken.get(link.id)
  }

  closed(link: PeerLink): void {
    this.#pending.delete(link.id)
    this.#waysTaken.delete(link.id)
  }

  /** An offer with the restart flag. Nothing of it is believed here; the link checks it. */
  introduced(head: DescriptionHead, offer: LinkDescription, signal: Signal): void {
    const { self } = this.#options
    const link = [...this.#options.links()].find(({ peerNode, remoteFingerprint }) => {
      return peerNode === head.fromNode && remoteFingerprint !== undefined && equalBytes(remoteFingerprint, head.dtlsFingerprint)
    })
    if (link?.session === undefined) {
      // A link that is gone here: the peer hears it and makes a new one.
      signal.reject(self, head.attemptId, "unspecified")
      return
    }
    // Both asked at once: the smaller node id goes on with its own, the other answers.
    const own = this.#pending.get(link.id)
    const stands = own !== undefined && this.#options.now() - own.at < STANDS_MS
    if (stands && ourOfferWins(self, head.fromNode)) return
    this.#pending.delete(link.id)
    link.answerRestart(offer).then(
      (answer) => {
        this.#waysTaken.set(link.id, signal)
        signal.answer(head.fromNode, answer)
      },
      (error: unknown) => {
        // The peer hears that it has to make a new link.
        if (isAvError(error, "RestartUnsupported")) signal.reject(self, head.attemptId, "unspecified")
        else this.#drop(error)
      },
    )
  }

  /** True when this was the answer to a restart of ours. */
  answered(head: DescriptionHead, answer: LinkDescription): boolean {
    const pending = [...this.#pending.values()].find(({ link, attemptId }) => {
      return link.peerNode === head.fromNode && attemptId === head.attemptId
    })
    if (pending === undefined) return false
    pending.link.acceptAnswer(answer).then(
      () => {
        if (this.#pending.get(pending.link.id) === pending) this.#pending.delete(pending.link.id)
      },
      (error: unknown) => this.#drop(error),
    )
    return true
  }

  /** A refusal that came the way our offer went. Only the peer's own word ends the link: it has none any more. */
  rejected(node: NodeId, attemptId: U64, way: string, reason: string): boolean {
    const pending = [...this.#pending.values()].find((one) => {
      return one.link.peerNode === node && one.attemptId === attemptId && one.way === way
    })
    if (pending === undefined) return false
    this.#pending.delete(pending.link.id)
    if (reason === "unspecified") pending.link.abandon("silence")
    return true
  }

  #drop(error: unknown): void {
    this.#options.dropped(isAvError(error) ? error : new AvError("LinkFailed", {}, { cause: error }))
  }
}
