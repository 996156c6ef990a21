/** The page's side of media lanes: transfer the channel where the browser can, else pass its messages through a port. */
import { type ForwardedNote, LANE_LOW_MARK, type LaneSource } from "./lane-port.ts"

/** While bytes wait in a forwarded channel, the worker hears how many this often, in ms. */
const WATCH_MS = 5

/** Options of a media channel (link-lanes LL-1): unreliable, unordered, known to both ends without a handshake. */
export const MEDIA_CHANNEL: Readonly<RTCDataChannelInit> = { ordered: false, maxRetransmits: 0, negotiated: true, id: 0 }

let transferable: boolean | undefined

/** Whether this browser can hand a data channel to a worker. Tried once, on a channel made for it. */
export function canTransferDataChannel(): boolean {
  if (transferable !== undefined) return transferable
  const connection = new RTCPeerConnection()
  const { port1, port2 } = new MessageChannel()
  try {
    const channel = connection.createDataChannel("probe")
    port1.postMessage(channel, [channel])
    transferable = true
  } catch {
    transferable = false
  }
  port1.close()
  port2.close()
  connection.close()
  return transferable
}

/** Forwards a channel that stays in the page; what it returns is for the worker. */
export function forwardChannel(channel: RTCDataChannel): LaneSource {
  const { port1: port, port2 } = new MessageChannel()
  let taken = 0
  let watch: ReturnType<typeof setTimeout> | undefined
  const note = (message: ForwardedNote) => port.postMessage(message)
  const report = () => {
    watch = undefined
    note({ taken, buffered: channel.bufferedAmount })
    if (channel.bufferedAmount > 0 && channel.readyState === "open") watch ??= setTimeout(report, WATCH_MS)
  }
  channel.binaryType = "arraybuffer"
  channel.bufferedAmountLowThreshold = LANE_LOW_MARK
  channel.onopen = () => note({ state: "open" })
  channel.onclose = () => {
    clearTimeout(watch)
    note({ state: "closed" })
    port.close()
  }
  channel.onbufferedamountlow = report
  channel.onmessage = (event: MessageEvent<unknown>) => {
    if (event.data instanceof ArrayBuffer) port.postMessage(event.data, [event.data])
  }
  port.onmessage = (event: MessageEvent<ArrayBuffer | ForwardedNote>) => {
    if (!(event.data instanceof ArrayBuffer)) {
      channel.close()
      return
    }
    taken += event.data.byteLength
    try {
      if (channel.readyState === "open") channel.send(event.data)
    } catch {
      // The channel's own queue is full: an unreliable message is lost, as any other may be.
    }
    if (watch === undefined) report()
  }
  return { path: "forwarded", port: port2 }
}
