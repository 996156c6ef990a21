/** What links need of WebRTC: the browser's own, or that of a library where there is no browser. */

/** Makes peer connections that speak data channels. Nothing else of WebRTC is used. */
export interface WebRtc {
  /** A connection as the standard describes it, as far as data channels go. */
  connect(configuration: RTCConfiguration): RTCPeerConnection
  /** A fresh certificate, which several connections can be made with. */
  certificate(): Promise<RTCCertificate>
  /** Whether its connections can restart ICE. Default true; otherwise a link is made anew instead. */
  readonly restarts?: boolean
  /** Whether whoever takes the media can have a channel itself. Undefined: as far as the browser can transfer it. */
  readonly givesChannels?: boolean
}

export const browserWebRtc: WebRtc = {
  connect: (configuration) => new RTCPeerConnection(configuration),
  certificate() {
    const algorithm: EcKeyGenParams = { name: "ECDSA", namedCurve: "P-256" }
    return RTCPeerConnection.generateCertificate(algorithm)
  },
}
