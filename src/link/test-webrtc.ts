/** A stand-in for the browser's WebRTC in Node tests: connections meet by ICE user name and check each other's fingerprint. */
import type { Bytes } from "../wire/types.ts"
import { buildSdp, readSdp, type TransportFields } from "./sdp.ts"
import type { AddressJudge } from "./types.ts"

/** Lets every address through: for links whose addresses are not the matter. */
export const ANY_ADDRESS: AddressJudge = {
  gateFor: async () => ({ admit: (candidates) => candidates }),
  ownGate: () => ({ admit: (candidates) => candidates }),
}

interface Certificate {
  fingerprint: Bytes
}

/** A channel whose messages arrive in order a moment later. `deaf` channels swallow what they are given. */
export class FakeChannel {
  readonly label: string
  readonly id: number | null
  readonly negotiated: boolean
  readonly ordered: boolean
  readonly maxRetransmits: number | null
  readonly maxPacketLifeTime = null
  readyState: RTCDataChannelState = "connecting"
  bufferedAmount = 0
  bufferedAmountLowThreshold = 0
  binaryType = "blob"
  partner: FakeChannel | undefined
  onopen: (() => void) | null = null
  onclose: (() => void) | null = null
  onbufferedamountlow: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null

  constructor(label: string, init: RTCDataChannelInit = {}) {
    this.label = label
    this.id = init.id ?? null
    this.negotiated = init.negotiated ?? false
    this.ordered = init.ordered ?? true
    this.maxRetransmits = init.maxRetransmits ?? null
  }

  send(data: Uint8Array | ArrayBuffer): void {
    if (this.readyState !== "open") throw new DOMException("not open", "InvalidStateError")
    const bytes = data instanceof Uint8Array ? data.slice() : new Uint8Array(data.slice(0))
    queueMicrotask(() => this.partner?.readyState === "open" && this.partner.onmessage?.({ data: bytes.buffer }))
  }

  open(): void {
    if (this.readyState !== "connecting") return
    this.readyState = "open"
    this.onopen?.()
  }

  close(): void {
    if (this.readyState === "closed") return
    this.readyState = "closed"
    this.onclose?.()
    const { partner } = this
    if (partner !== undefined) setTimeout(() => partner.close())
  }
}

const connections = new Map<string, FakeConnection>()

export class FakeConnection {
  static made: FakeConnection[] = []
  static async generateCertificate(): Promise<Certificate> {
    return { fingerprint: crypto.getRandomValues(new Uint8Array(32)) }
  }

  #fields: TransportFields
  /** New credentials that were offered and may still be withdrawn. */
  #before: TransportFields | undefined
  /** The last remote description as it came. */
  remoteSdp = ""
  readonly channels: FakeChannel[] = []
  readonly candidates: RTCIceCandidateInit[] = []
  remote: TransportFields | undefined
  localDescription: RTCSessionDescriptionInit | null = null
  connectionState: RTCPeerConnectionState = "new"
  iceConnectionState: RTCIceConnectionState = "new"
  iceGatheringState: RTCIceGatheringState = "new"
  signalingState: RTCSignalingState = "stable"
  onicecandidate: ((event: { candidate: { candidate: string } | null }) => void) | null = null
  onicegatheringstatechange: (() => void) | null = null
  onconnectionstatechange: (() => void) | null = null
  ondatachannel: ((event: { channel: FakeChannel }) => void) | null = null

  constructor(config: { certificates?: Certificate[] } = {}) {
    const random = () => crypto.randomUUID().replaceAll("-", "")
    const fingerprint = config.certificates?.[0]?.fingerprint ?? new Uint8Array(32)
    this.#fields = { ufrag: random().slice(0, 8), pwd: random().slice(0, 24), fingerprint }
    connections.set(this.#fields.ufrag, this)
    FakeConnection.made.push(this)
  }

  createDataChannel(label: string, init?: RTCDataChannelInit): FakeChannel {
    const channel = new FakeChannel(label, init)
    this.channels.push(channel)
    return channel
  }

  async createOffer({ iceRestart = false }: RTCOfferOptions = {}): Promise<RTCSessionDescriptionInit> {
    if (iceRestart) {
      this.#before ??= this.#fields
      this.#renew()
    }
    return { type: "offer", sdp: buildSdp("offer", this.#fields) }
  }

  async createAnswer(): Promise<RTCSessionDescriptionInit> {
    return { type: "answer", sdp: buildSdp("answer", this.#fields) }
  }

  async setLocalDescription(description: RTCSessionDescriptionInit): Promise<void> {
    if (description.type === "rollback") {
      this.signalingState = "stable"
      this.#fields = this.#before ?? this.#fields
      this.#before = undefined
      return
    }
    this.signalingState = description.type === "offer" ? "have-local-offer" : "stable"
    this.localDescription = description
    setTimeout(() => {
      const port = 20_000 + Math.floor(Math.random() * 40_000)
      this.onicecandidate?.({ candidate: { candidate: `candidate:1 1 udp 2113937151 10.0.0.1 ${port} typ host` } })
      this.iceGatheringState = "complete"
      this.onicegatheringstatechange?.()
    })
    this.#meet()
  }

  async setRemoteDescription(description: RTCSessionDescriptionInit): Promise<void> {
    if (description.type === "offer" && this.signalingState === "have-local-offer")
      throw new DOMException("glare", "InvalidStateError")
    const again = this.remote !== undefined
    this.remoteSdp = description.sdp ?? ""
    this.remote = readSdp(this.remoteSdp)
    if (description.type === "answer") {
      this.signalingState = "stable"
      this.#before = undefined
    } else if (again) this.#renew()
    this.#meet()
  }

  async addIceCandidate(candidate: RTCIceCandidateInit): Promise<void> {
    this.candidates.push(candidate)
    this.#meet()
  }

  async getStats(): Promise<Map<string, object>> {
    return new Map<string, object>([
      ["T", { id: "T", type: "transport", selectedCandidatePairId: "P" }],
      ["P", { id: "P", type: "candidate-pair", localCandidateId: "L", currentRoundTripTime: 0.004 }],
      ["L", { id: "L", type: "local-candidate", candidateType: "host" }],
    ])
  }

  #renew(): void {
    const random = () => crypto.randomUUID().replaceAll("-", "")
    this.#fields = { ...this.#fields, ufrag: random().slice(0, 8), pwd: random().slice(0, 24) }
    connections.set(this.#fields.ufrag, this)
    this.candidates.length = 0
  }

  close(): void {
    if (this.connectionState === "closed") return
    this.connectionState = "closed"
    this.signalingState = "closed"
    const other = this.#other()
    for (const channel of this.channels) channel.close()
    if (other?.connectionState === "connected") setTimeout(() => other.enter("disconnected"))
  }

  enter(state: RTCPeerConnectionState): void {
    if (this.connectionState === "closed" || this.connectionState === state) return
    this.connectionState = state
    this.iceConnectionState = state === "connecting" ? "checking" : state
    this.onconnectionstatechange?.()
  }

  #other(): FakeConnection | undefined {
    const other = this.remote && connections.get(this.remote.ufrag)
    return other?.remote?.ufrag === this.#fields.ufrag ? other : undefined
  }

  /** ICE needs one side that knows an address; DTLS needs the certificates that both descriptions named. */
  #meet(): void {
    const other = this.#other()
    if (other === undefined || this.localDescription === null || other.localDescription === null) return
    if (this.candidates.length + other.candidates.length === 0) return
    const trouble = (state: RTCPeerConnectionState) => state === "disconnected" || state === "failed"
    // After an ICE restart the old association goes on.
    if (trouble(this.connectionState) && trouble(other.connectionState))
      setTimeout(() => [this, other].map((side) => side.enter("connected")))
    if (this.connectionState !== "new" || other.connectionState !== "new") return
    const named = (seen: TransportFields | undefined, own: TransportFields) => seen?.fingerprint.join() === own.fingerprint.join()
    const trusted = named(this.remote, other.#fields) && named(other.remote, this.#fields)
    setTimeout(() => {
      if (this.connectionState !== "new" || other.connectionState !== "new") return
      for (const side of [this, other]) side.enter(trusted ? "connected" : "failed")
      if (!trusted) return
      for (const channel of this.channels) channel.partner = pick(channel, other)
      for (const channel of other.channels) channel.partner ??= pick(channel, this)
      for (const channel of [...this.channels, ...other.channels]) channel.open()
    })
  }
}

/** The other end of a negotiated channel, or a new one that the other side hears of. */
function pick(channel: FakeChannel, other: FakeConnection): FakeChannel | undefined {
  if (channel.negotiated) return other.channels.find((end) => end.negotiated && end.id === channel.id)
  const end = new FakeChannel(channel.label, { ordered: channel.ordered })
  end.partner = channel
  other.channels.push(end)
  other.ondatachannel?.({ channel: end })
  return end
}

/** Puts the stand-in where the browser's class would be. */
export function installFakeWebRtc(): void {
  Object.assign(globalThis, { RTCPeerConnection: FakeConnection })
}
