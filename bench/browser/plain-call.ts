/** The call to compare with: one RTCPeerConnection with a video track, signalled by hand. Runs in the page. */

/** What holomesh gives a video publication by default. */
const MAX_BITRATE = 700_000

export interface PlainCall {
  connection: RTCPeerConnection
  close(): void
}

/** False when this browser cannot send the codec in a peer connection. */
export function canSend(codec: string): boolean {
  return codecsOf(codec).length > 0
}

/** The sending side and its offer, with all candidates in it. */
export async function offerPlainCall(track: MediaStreamTrack, codec: string): Promise<PlainCall & { offer: string }> {
  const connection = new RTCPeerConnection()
  const transceiver = connection.addTransceiver(track, {
    direction: "sendonly",
    sendEncodings: [{ maxBitrate: MAX_BITRATE }],
  })
  transceiver.setCodecPreferences(codecsOf(codec))
  // The other call keeps its resolution on a busy machine; so shall this one.
  await transceiver.sender.setParameters({ ...transceiver.sender.getParameters(), degradationPreference: "maintain-resolution" })
  await connection.setLocalDescription()
  await gathered(connection)
  return { connection, close: () => connection.close(), offer: connection.localDescription?.sdp ?? "" }
}

/** The receiving side, its answer, and the track that will come. */
export async function answerPlainCall(offer: string): Promise<PlainCall & { answer: string; track: MediaStreamTrack }> {
  const connection = new RTCPeerConnection()
  const track = new Promise<MediaStreamTrack>((resolve) => {
    connection.ontrack = (event) => resolve(event.track)
  })
  await connection.setRemoteDescription({ type: "offer", sdp: offer })
  await connection.setLocalDescription()
  await gathered(connection)
  return {
    connection,
    close: () => connection.close(),
    answer: connection.localDescription?.sdp ?? "",
    track: await track,
  }
}

/** Mean milliseconds per frame in the encoder (sending side) and in the jitter buffer (receiving side) since the start. */
export async function plainStages(connection: RTCPeerConnection): Promise<{ encodeMs?: number; bufferMs?: number }> {
  const stages: { encodeMs?: number; bufferMs?: number } = {}
  for (const entry of (await connection.getStats()).values()) {
    if (entry.type === "outbound-rtp") stages.encodeMs = (entry.totalEncodeTime / entry.framesEncoded) * 1_000
    if (entry.type === "inbound-rtp") stages.bufferMs = (entry.jitterBufferDelay / entry.jitterBufferEmittedCount) * 1_000
  }
  return stages
}

function codecsOf(codec: string): RTCRtpCodec[] {
  const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? []
  return codecs.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${codec.toLowerCase()}`)
}

async function gathered(connection: RTCPeerConnection): Promise<void> {
  if (connection.iceGatheringState === "complete") return
  await new Promise<void>((resolve) => {
    connection.onicegatheringstatechange = () => {
      if (connection.iceGatheringState === "complete") resolve()
    }
  })
}
