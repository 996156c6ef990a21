/** Drives one RTCPeerConnection of a link: gathers, applies the peer's fields as locally built SDP, and reports its state. */

import type { CandidateEntry } from "../wire/address.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { candidateInit, parseCandidate } from "./candidates.ts"
import { buildSdp, type DtlsSetup, readSdp, type TransportFields } from "./sdp.ts"
import { browserWebRtc, type WebRtc } from "./webrtc.ts"

/** Candidates kept per peer connection: as many as a description or lane block can carry. */
const MAX_LOCAL_CANDIDATES = 12

export interface LanePeerOptions {
  laneId: number
  certificate: RTCCertificate
  iceServers: RTCIceServer[]
  /** Default: the browser's. */
  webrtc?: WebRtc | undefined
  /** A new local candidate after {@link LanePeer.settle} has ended. */
  onCandidate?(candidate: CandidateEntry): void
  onState(state: RTCPeerConnectionState): void
  /** Another candidate pair is used than when the connection came up. Not told by browsers that do not say so. */
  onPathChange?(): void
}

/** One peer connection. Nothing of it outlives {@link LanePeer.close}. */
export class LanePeer {
  readonly laneId: number
  readonly connection: RTCPeerConnection
  readonly candidates: CandidateEntry[] = []
  readonly #options: LanePeerOptions
  #gathered: Promise<void>
  #settled = false
  #remote: TransportFields | undefined
  #remoteIndex = 0

  constructor(options: LanePeerOptions) {
    this.laneId = options.laneId
    this.#options = options
    const connection = (options.webrtc ?? browserWebRtc).connect({
      certificates: [options.certificate],
      iceServers: options.iceServers,
      bundlePolicy: "max-bundle",
    })
    this.connection = connection
    this.#gathered = this.#gathering()
    connection.onicecandidate = (event) => event.candidate && this.#found(event.candidate)
    connection.onconnectionstatechange = () => {
      if (connection.connectionState === "connected") this.#watchPath()
      options.onState(connection.connectionState)
    }
  }

  get remoteFingerprint(): Bytes | undefined {
    return this.#remote?.fingerprint
  }

  /** Makes the offer and starts gathering. */
  async offer(): Promise<TransportFields> {
    return this.#local(() => this.connection.createOffer())
  }

  /** Applies the peer's offer, makes the answer and starts gathering. No remote candidate is added here. */
  async answer(remote: TransportFields): Promise<TransportFields> {
    await this.#apply("offer", remote)
    return this.#local(() => this.connection.createAnswer())
  }

  async acceptAnswer(remote: TransportFields): Promise<void> {
    await this.#apply("answer", remote)
  }

  /** New credentials and candidates for the same connection (RFC 8445, ICE restart); DTLS and channels stay. */
  async restart(): Promise<TransportFields> {
    this.#startOver()
    return this.#local(() => this.connection.createOffer({ iceRestart: true }))
  }

  /** Answers the peer's restart. A restart of our own that was not answered is withdrawn. */
  async answerRestart(remote: TransportFields): Promise<TransportFields> {
    if (this.connection.signalingState === "have-local-offer") {
      await this.connection.setLocalDescription({ type: "rollback" })
    }
    this.#startOver()
    await this.#apply("offer", remote)
    return this.#local(() => this.connection.createAnswer())
  }

  /** @param setup the part of DTLS that the peer plays on this connection */
  async acceptRestart(remote: TransportFields, setup: DtlsSetup): Promise<void> {
    await this.#apply("answer", remote, setup)
  }

  /** Adds remote candidates; one that the browser refuses is skipped. */
  async addRemoteCandidates(candidates: readonly CandidateEntry[]): Promise<void> {
    for (const candidate of candidates) {
      try {
        await this.connection.addIceCandidate(candidateInit(candidate, this.#remoteIndex++))
      } catch (error) {
        // A closed connection ends the attempt elsewhere; any other refusal concerns this candidate only.
        if (this.connection.signalingState === "closed") throw new AvError("LinkFailed", {}, { cause: error })
      }
    }
  }

  /** Waits until gathering is complete, at most `ms`. Later candidates go to `onCandidate`. */
  async settle(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined
    const timeout = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms)
    })
    await Promise.race([this.#gathered, timeout])
    clearTimeout(timer)
    this.#settled = true
  }

  close(): void {
    this.connection.onicecandidate = null
    this.connection.onicegatheringstatechange = null
    this.connection.onconnectionstatechange = null
    this.connection.ondatachannel = null
    const ice = this.connection.sctp?.transport.iceTransport
    if (ice !== undefined) ice.onselectedcandidatepairchange = null
    this.connection.close()
  }

  /** What was gathered before says nothing any more. */
  #startOver(): void {
    this.candidates.length = 0
    this.#settled = false
    this.#gathered = this.#gathering()
  }

  #gathering(): Promise<void> {
    const { connection } = this
    return new Promise((resolve) => {
      connection.onicegatheringstatechange = () => {
        if (connection.iceGatheringState === "complete") resolve()
      }
    })
  }

  #watchPath(): void {
    const ice = this.connection.sctp?.transport.iceTransport
    if (ice !== undefined && this.#options.onPathChange !== undefined) {
      ice.onselectedcandidatepairchange = () => this.#options.onPathChange?.()
    }
  }

  #found(candidate: RTCIceCandidate): void {
    const parsed = parseCandidate(candidate.candidate)
    if (parsed === undefined || this.candidates.length >= MAX_LOCAL_CANDIDATES) return
    this.candidates.push(parsed)
    if (this.#settled) this.#options.onCandidate?.(parsed)
  }

  async #local(make: () => Promise<RTCSessionDescriptionInit>): Promise<TransportFields> {
    try {
      await this.connection.setLocalDescription(await make())
    } catch (cause) {
      throw new AvError("LinkFailed", { lane: this.laneId }, { cause })
    }
    return readSdp(this.connection.localDescription?.sdp ?? "")
  }

  async #apply(type: "offer" | "answer", remote: TransportFields, setup?: DtlsSetup): Promise<void> {
    this.#remote = remote
    try {
      await this.connection.setRemoteDescription({ type, sdp: buildSdp(type, remote, setup) })
    } catch (cause) {
      throw new AvError("LinkFailed", { lane: this.laneId }, { cause })
    }
  }
}
