/** The part of `node-datachannel` that is used here. It is an optional dependency: nothing of it is imported, types included. */

export interface NativeChannel {
  getLabel(): string
  isOpen(): boolean
  bufferedAmount(): number
  setBufferedAmountLowThreshold(bytes: number): void
  sendMessageBinary(bytes: Uint8Array): boolean
  close(): void
  onOpen(handler: () => void): void
  onClosed(handler: () => void): void
  onError(handler: (message: string) => void): void
  onBufferedAmountLow(handler: () => void): void
  onMessage(handler: (message: string | Uint8Array | ArrayBuffer) => void): void
}

interface NativeChannelInit {
  negotiated?: boolean
  id?: number
  unordered?: boolean
  maxRetransmits?: number
  maxPacketLifeTime?: number
}

interface NativeCandidate {
  address: string
  port: number
  type: string
}

export interface NativeConnection {
  createDataChannel(label: string, init?: NativeChannelInit): NativeChannel
  setLocalDescription(type: "offer" | "answer"): void
  setRemoteDescription(sdp: string, type: string): void
  localDescription(): { type: string; sdp: string } | null
  addRemoteCandidate(candidate: string, mid: string): void
  signalingState(): string
  getSelectedCandidatePair(): { local: NativeCandidate; remote: NativeCandidate } | null
  rtt(): number
  close(): void
  onLocalCandidate(handler: (candidate: string, mid: string) => void): void
  onStateChange(handler: (state: string) => void): void
  onIceStateChange(handler: (state: string) => void): void
  onGatheringStateChange(handler: (state: string) => void): void
  onDataChannel(handler: (channel: NativeChannel) => void): void
}

export interface NativeConfig {
  iceServers: string[]
  /** `setLocalDescription` comes from us, as in a browser. */
  disableAutoNegotiation: true
  /** PEM text, not file names. */
  certificatePemFile: string
  keyPemFile: string
  bindAddress?: string
  /** All connections share one socket, on the first port of the range. */
  enableIceUdpMux?: boolean
  portRangeBegin?: number
  portRangeEnd?: number
}

/** The module itself. */
export interface NodeDataChannel {
  PeerConnection: new (name: string, config: NativeConfig) => NativeConnection
}
