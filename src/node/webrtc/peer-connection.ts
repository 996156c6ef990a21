/** A peer connection of the library with the face of `RTCPeerConnection`, as far as links use it. */
import { AvError } from "../../wire/errors.ts"
import type { Alive } from "./alive.ts"
import type { PemCertificate } from "./certificate.ts"
import { NodeDataChannel } from "./data-channel.ts"
import type { NativeChannel, NativeConfig, NativeConnection, NodeDataChannel as NodeDataChannelLibrary } from "./library.ts"

/** A certificate as links hand it around. */
export class NodeCertificate {
  readonly pem: PemCertificate

  constructor(pem: PemCertificate) {
    this.pem = pem
  }

  get expires(): number {
    return this.pem.expires
  }
}

/** Where sockets are opened. */
export interface SocketOptions {
  /** Local address to send from; default: every interface except loopback. */
  bindAddress?: string
  /** One UDP port for everything, for a firewall or a gateway. Default: a free one for each connection. */
  udpPort?: number
  /** Where a gateway lets others reach `udpPort` now, which peers are told beside the own addresses. Asked for each connection. */
  external?: () => { host: string; port: number } | undefined
}

interface CandidateEvent {
  candidate: { candidate: string } | null
}

const MID = "0"
/** After the end of a connection its channels have said that they are closed, or never will: what closed before somebody listened says nothing, ms. */
const CHANNELS_END_MS = 500

export class NodePeerConnection {
  onicecandidate: ((event: CandidateEvent) => void) | null = null
  onicegatheringstatechange: (() => void) | null = null
  onconnectionstatechange: (() => void) | null = null
  ondatachannel: ((event: { channel: NodeDataChannel }) => void) | null = null
  /** The library tells nothing of it. */
  readonly sctp = null
  connectionState: RTCPeerConnectionState = "new"
  iceConnectionState: RTCIceConnectionState = "new"
  iceGatheringState: RTCIceGatheringState = "new"
  localDescription: RTCSessionDescriptionInit | null = null
  readonly #native: NativeConnection
  readonly #alive: Alive
  readonly #channels = new Set<NodeDataChannel>()
  #closed = false
  #described = false

  constructor(library: NodeDataChannelLibrary, configuration: RTCConfiguration, sockets: SocketOptions, alive: Alive) {
    const certificate: unknown = configuration.certificates?.[0]
    if (!(certificate instanceof NodeCertificate))
      throw new AvError("UsageError", { why: "a certificate of this library is needed" })
    const { udpPort } = sockets
    const config: NativeConfig = {
      iceServers: (configuration.iceServers ?? []).flatMap(serverUrls),
      disableAutoNegotiation: true,
      certificatePemFile: certificate.pem.certificate,
      keyPemFile: certificate.pem.key,
      ...(sockets.bindAddress === undefined ? {} : { bindAddress: sockets.bindAddress }),
      ...(udpPort === undefined ? {} : { enableIceUdpMux: true, portRangeBegin: udpPort, portRangeEnd: udpPort }),
    }
    const native = new library.PeerConnection("holomesh", config)
    this.#native = native
    this.#alive = alive
    const over = alive.begin()
    let external = sockets.external
    native.onLocalCandidate((candidate) => {
      const mapped = external?.()
      external = undefined
      this.#tell(() => this.onicecandidate?.({ candidate: { candidate } }))
      if (mapped !== undefined) this.#tell(() => this.onicecandidate?.({ candidate: { candidate: reflexive(mapped) } }))
    })
    native.onGatheringStateChange((state) => {
      this.#tell(() => {
        this.iceGatheringState = state === "in-progress" ? "gathering" : (state as RTCIceGatheringState)
        this.onicegatheringstatechange?.()
      })
    })
    native.onIceStateChange((state) => {
      this.#tell(() => {
        this.iceConnectionState = state as RTCIceConnectionState
      })
    })
    native.onStateChange((state) => {
      if (state === "closed") {
        over()
        this.#endChannels()
      }
      this.#tell(() => {
        this.connectionState = state as RTCPeerConnectionState
        this.onconnectionstatechange?.()
      })
    })
    native.onDataChannel((channel) => this.#tell(() => this.ondatachannel?.({ channel: this.#held(channel) })))
  }

  get signalingState(): RTCSignalingState {
    return this.#closed ? "closed" : (this.#native.signalingState() as RTCSignalingState)
  }

  createDataChannel(label: string, init: RTCDataChannelInit = {}): NodeDataChannel {
    const { ordered = true, maxRetransmits, negotiated, id } = init
    const native = this.#native.createDataChannel(label, {
      unordered: !ordered,
      ...(maxRetransmits === undefined ? {} : { maxRetransmits }),
      ...(negotiated === undefined ? {} : { negotiated }),
      ...(id === undefined ? {} : { id }),
    })
    return this.#held(native, init)
  }

  /** The description itself is made when it is set. */
  async createOffer({ iceRestart = false }: RTCOfferOptions = {}): Promise<RTCSessionDescriptionInit> {
    if (iceRestart) throw noRestart()
    return { type: "offer" }
  }

  async createAnswer(): Promise<RTCSessionDescriptionInit> {
    return { type: "answer" }
  }

  async setLocalDescription({ type }: RTCSessionDescriptionInit): Promise<void> {
    if (type !== "offer" && type !== "answer") throw noRestart()
    this.#native.setLocalDescription(type)
    const made = this.#native.localDescription()
    this.localDescription = made && { type, sdp: made.sdp }
  }

  async setRemoteDescription({ type, sdp = "" }: RTCSessionDescriptionInit): Promise<void> {
    if (this.#described) throw noRestart()
    this.#native.setRemoteDescription(sdp, type)
    this.#described = true
  }

  async addIceCandidate({ candidate = "" }: RTCIceCandidateInit): Promise<void> {
    this.#native.addRemoteCandidate(candidate, MID)
  }

  /** Only the path that was taken, in the form of the standard. */
  async getStats(): Promise<Map<string, Record<string, unknown>>> {
    const pair = this.#closed ? null : this.#native.getSelectedCandidatePair()
    const report = new Map<string, Record<string, unknown>>()
    if (pair === null) return report
    const rtt = this.#native.rtt()
    report.set("T", { id: "T", type: "transport", selectedCandidatePairId: "P" })
    report.set("L", { id: "L", type: "local-candidate", candidateType: pair.local.type })
    report.set("R", { id: "R", type: "remote-candidate", candidateType: pair.remote.type })
    const time = rtt > 0 ? { currentRoundTripTime: rtt / 1_000 } : {}
    report.set("P", { id: "P", type: "candidate-pair", localCandidateId: "L", remoteCandidateId: "R", ...time })
    return report
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.connectionState = "closed"
    for (const channel of this.#channels) channel.closing()
    this.#native.close()
  }

  #held(native: NativeChannel, init?: RTCDataChannelInit): NodeDataChannel {
    const channel = new NodeDataChannel(native, this.#alive, init)
    this.#channels.add(channel)
    return channel
  }

  #endChannels(): void {
    const open = [...this.#channels].filter(({ isOver }) => !isOver)
    this.#channels.clear()
    if (open.length === 0) return
    setTimeout(() => {
      for (const channel of open) channel.end()
    }, CHANNELS_END_MS)
  }

  /** What the library says after the end concerns nobody. */
  #tell(run: () => void): void {
    if (!this.#closed) run()
  }
}

/** What a STUN server would have found out: the priority is that of RFC 8445 for a server-reflexive address. */
function reflexive({ host, port }: { host: string; port: number }): string {
  return `candidate:9 1 udp 1694498815 ${host} ${port} typ srflx raddr 0.0.0.0 rport 9`
}

/** The library cannot renew ICE of a connection. */
function noRestart(): AvError {
  return new AvError("RestartUnsupported")
}

/** STUN and TURN over UDP, which is all the library speaks. */
function serverUrls({ urls, username, credential }: RTCIceServer): string[] {
  return [urls].flat().flatMap((url) => {
    const [, scheme, rest] = /^(stun|turn):(?:\/\/)?([^?]+)(?:\?transport=udp)?$/.exec(url) ?? []
    if (scheme === undefined || rest === undefined) return []
    if (scheme === "stun") return [`stun:${rest}`]
    if (username === undefined || credential === undefined) return []
    return [`turn:${encodeURIComponent(username)}:${encodeURIComponent(credential)}@${rest}`]
  })
}
