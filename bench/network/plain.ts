/** What holomesh is compared with and what competes with it: plain RTCPeerConnections, signalled by hand. Runs in the page. */

export interface PlainSide {
  connection: RTCPeerConnection
  sdp: string
}

/** VP8 and Opus with WebRTC's own defaults, up to `maxBitrate` bit/s of video. */
export async function offerRtp(video: MediaStreamTrack, audio: MediaStreamTrack, maxBitrate: number): Promise<PlainSide> {
  const connection = new RTCPeerConnection()
  // One stream, as a camera with its microphone is: the browser keeps picture and sound of it in step.
  const streams = [new MediaStream([audio, video])]
  connection.addTransceiver(audio, { direction: "sendonly", streams })
  const transceiver = connection.addTransceiver(video, { direction: "sendonly", streams, sendEncodings: [{ maxBitrate }] })
  const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? []
  const wanted = codecs.filter(({ mimeType }) => /^video\/(VP8|rtx|red|ulpfec|flexfec-03)$/i.test(mimeType))
  transceiver.setCodecPreferences(wanted)
  // The other call keeps its resolution on a busy machine; so shall this one.
  await transceiver.sender.setParameters({ ...transceiver.sender.getParameters(), degradationPreference: "maintain-resolution" })
  return settle(connection)
}

export async function answerRtp(offer: string): Promise<PlainSide & { video: MediaStreamTrack; audio: MediaStreamTrack }> {
  const connection = new RTCPeerConnection()
  await connection.setRemoteDescription({ type: "offer", sdp: offer })
  const side = await settle(connection)
  const [audio, video] = ["audio", "video"].map(
    (kind) => connection.getReceivers().find(({ track }) => track.kind === kind)?.track,
  )
  if (audio === undefined || video === undefined) throw new Error("the offer lacks a track")
  return { ...side, video, audio }
}

/** A reliable data channel that sends as fast as it can once it is open. */
export async function offerBulk(): Promise<PlainSide> {
  const connection = new RTCPeerConnection()
  const channel = connection.createDataChannel("bulk")
  const block = new Uint8Array(16_384)
  channel.bufferedAmountLowThreshold = 131_072
  const fill = () => {
    while (channel.readyState === "open" && channel.bufferedAmount < 262_144) channel.send(block)
  }
  channel.onopen = fill
  channel.onbufferedamountlow = fill
  return settle(connection)
}

export async function answerBulk(offer: string): Promise<PlainSide> {
  const connection = new RTCPeerConnection()
  await connection.setRemoteDescription({ type: "offer", sdp: offer })
  return settle(connection)
}

/** Sets the local description and waits for its candidates. */
async function settle(connection: RTCPeerConnection): Promise<PlainSide> {
  await connection.setLocalDescription()
  if (connection.iceGatheringState !== "complete") {
    await new Promise<void>((resolve) => {
      connection.onicegatheringstatechange = () => {
        if (connection.iceGatheringState === "complete") resolve()
      }
    })
  }
  return { connection, sdp: connection.localDescription?.sdp ?? "" }
}
