/** What the peer said of itself: the description that holds, the addresses that are believed of it, and the blocks of its lanes. */
import type { CandidateEntry } from "../wire/address.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { SessionDescription } from "../wire/description.ts"
import { AvError } from "../wire/errors.ts"
import type { LaneBlock } from "../wire/lane-block.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import { checkDescription, type DescriptionExpectation } from "./descriptions.ts"
import { asAvError } from "./errors.ts"
import { openLaneKey } from "./lane-key.ts"
import type { CandidateGate, LinkDescription, PeerLinkOptions } from "./types.ts"

interface PeerDescriptionParts {
  link: PeerLinkOptions
  /** Unix time in ms. */
  now(): Milliseconds
  onFault(error: AvError): void
}

/** A description that was checked, with what came beside it. The lanes go by this from now on. */
interface WeighedDescription {
  description: SessionDescription
  blocks: LaneBlock[]
  fingerprint: Bytes
  /** Its candidates; `undefined`: refused. */
  listed: readonly (CandidateEntry | undefined)[]
  gate: CandidateGate
}

export class PeerDescription {
  readonly #parts: PeerDescriptionParts
  #current: SessionDescription | undefined
  /** Of the newest exchange of descriptions. */
  #gate: CandidateGate | undefined

  constructor(parts: PeerDescriptionParts) {
    this.#parts = parts
  }

  /** The one that holds; `undefined` before the first. */
  get current(): SessionDescription | undefined {
    return this.#current
  }

  /** Every check of a description that came for this link. Nothing is kept. */
  check(bytes: Bytes, expected: Pick<DescriptionExpectation, "kind" | "attemptId" | "restart">): Promise<SessionDescription> {
    const { link, now } = this.#parts
    const { signer, peerNode, pins } = link
    const parties = { selfNode: signer.nodeId, fromNode: peerNode, now: now(), ...(pins && { pins }) }
    return checkDescription(bytes, { ...parties, ...expected })
  }

  /**
   * Judges the addresses of a description by what came beside it, once its signature is known, and reads its lane blocks. Nothing is kept
   * before {@link PeerDescription.keep}.
   */
  async weigh(from: LinkDescription, description: SessionDescription): Promise<WeighedDescription> {
    const blocks = await this.#blocksOf(from, description)
    const { attestation, byMember } = from
    const word = { ...(attestation && { attestation }), ...(byMember !== undefined && { byMember }) }
    const gate = await this.#parts.link.addresses.gateFor({ subject: description.fromEntity, ...word })
    return { description, blocks, fingerprint: description.dtlsFingerprint, listed: gate.admit(description.candidates), gate }
  }

  keep({ description, gate }: WeighedDescription): void {
    this.#current = description
    this.#gate = gate
  }

  /** The peer's new addresses, if they come with the certificate that was proven. */
  async renew(from: LinkDescription, description: SessionDescription): Promise<WeighedDescription> {
    this.#requireSameCertificate(description)
    const weighed = await this.weigh(from, description)
    this.keep(weighed)
    return weighed
  }

  /** Those of further candidates that are believed. */
  admitMore(description: SessionDescription): readonly (CandidateEntry | undefined)[] {
    if (this.#current === undefined) throw new AvError("DescriptionInvalid", { why: "no attempt" })
    this.#requireSameCertificate(description)
    if (description.ufrag !== this.#current.ufrag) throw new AvError("DescriptionInvalid", { why: "other credentials" })
    return this.#gate?.admit(description.candidates) ?? []
  }

  #requireSameCertificate({ dtlsFingerprint }: SessionDescription): void {
    if (this.#current === undefined || !equalBytes(dtlsFingerprint, this.#current.dtlsFingerprint)) {
      throw new AvError("LaneFingerprint")
    }
  }

  /** Key 8 that does not verify drops the blocks and never the description. */
  async #blocksOf(from: LinkDescription, description: SessionDescription): Promise<LaneBlock[]> {
    if (from.key8 === undefined) return []
    try {
      return await openLaneKey(from.key8, from.description, description.fromEntity, description.candidates.length)
    } catch (error) {
      this.#parts.onFault(asAvError(error, "LaneBlockInvalid"))
      return []
    }
  }
}
