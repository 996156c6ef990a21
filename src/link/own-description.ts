/** What this end says of itself: its signed description with the blocks of its lanes, and candidates that are found after it. */
import type { CandidateEntry } from "../wire/address.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import { signDescription } from "./descriptions.ts"
import { signLaneKey } from "./lane-key.ts"
import type { LanePeer } from "./lane-peer.ts"
import type { LaneSet } from "./lane-set.ts"
import type { TransportFields } from "./sdp.ts"
import type { CandidateGate, LinkDescription, PeerLinkOptions } from "./types.ts"

/** Default of `gatherMs`: a description waits so long for candidates, ms. */
export const GATHER_MS = 300
/** New candidates are collected this long before they are sent, ms. */
const TRICKLE_MS = 100

interface OwnDescriptionParts {
  link: PeerLinkOptions
  answerer: boolean
  control: LanePeer
  lanes: LaneSet
  /** The exchange that is under way, or the last one. */
  attemptId(): bigint
  /** Unix time in ms. */
  now(): Milliseconds
  /** Candidates for the peer, signed. */
  onCandidates(description: Bytes): void
  onFault(error: AvError): void
}

export class OwnDescription {
  readonly #parts: OwnDescriptionParts
  /** For our own candidates of the newest exchange. */
  #gate: CandidateGate
  #fields: TransportFields | undefined
  #fresh: CandidateEntry[] = []
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false

  constructor(parts: OwnDescriptionParts) {
    this.#parts = parts
    this.#gate = parts.link.addresses.ownGate()
  }

  /** Our certificate's fingerprint, once something was described. */
  get fingerprint(): Bytes | undefined {
    return this.#fields?.fingerprint
  }

  /** Waits for candidates and signs everything that the peer needs. */
  async describe(fields: TransportFields, kind: { answer: boolean; iceRestart: boolean }): Promise<LinkDescription> {
    this.#fields = fields
    const { link, control, lanes } = this.#parts
    const gatherMs = link.gatherMs ?? GATHER_MS
    const gathered = lanes.gathered(gatherMs)
    await control.settle(gatherMs)
    this.#gate = link.addresses.ownGate()
    const listed = this.shown(control.candidates)
    await gathered
    const description = await this.#sign(fields, listed, { ...kind, trickle: false })
    const key8 = await signLaneKey(description, lanes.blocks(listed), link.signer)
    return key8 === undefined ? { description } : { description, key8 }
  }

  /** Our own candidates without those that the peer would have to refuse. */
  shown(candidates: readonly CandidateEntry[]): CandidateEntry[] {
    return this.#gate.admit(candidates).filter((candidate) => candidate !== undefined)
  }

  /** A candidate that came after the description: told soon, together with others that come meanwhile. */
  found(candidate: CandidateEntry): void {
    const fields = this.#fields
    if (this.#parts.link.trickle === false || fields === undefined || this.#closed) return
    this.#fresh.push(...this.shown([candidate]))
    this.#timer ??= setTimeout(() => this.#tell(fields), TRICKLE_MS)
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
  }

  #tell(fields: TransportFields): void {
    this.#timer = undefined
    const candidates = this.#fresh
    this.#fresh = []
    if (candidates.length === 0) return
    const { answerer, onCandidates, onFault } = this.#parts
    this.#sign(fields, candidates, { answer: answerer, iceRestart: false, trickle: true }).then(
      (description) => {
        if (!this.#closed) onCandidates(description)
      },
      () => onFault(new AvError("SignerError")),
    )
  }

  #sign(
    { fingerprint, ufrag, pwd }: TransportFields,
    candidates: CandidateEntry[],
    flags: { answer: boolean; iceRestart: boolean; trickle: boolean },
  ): Promise<Bytes> {
    const { link, attemptId, now } = this.#parts
    return signDescription(
      {
        ...flags,
        endOfCandidates: false,
        fromEntity: link.signer.entityId,
        toNode: link.peerNode,
        attemptId: attemptId(),
        issuedMs: BigInt(Math.floor(now())),
        dtlsFingerprint: fingerprint,
        ufrag,
        pwd,
        candidates,
      },
      link.signer,
    )
  }
}
