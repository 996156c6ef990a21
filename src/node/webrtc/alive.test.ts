/** When the library counts as idle, by a library of our own that says as little as the real one sometimes does. */
import { expect, test } from "vitest"
import type { NativeChannel, NativeConnection } from "./library.ts"
import { nodeWebRtc } from "./node-webrtc.ts"

class Connection {
  static last: Connection
  #state: (state: string) => void = () => {}
  #channel: (channel: NativeChannel) => void = () => {}

  constructor() {
    Connection.last = this
  }
  onLocalCandidate(): void {}
  onGatheringStateChange(): void {}
  onIceStateChange(): void {}
  onStateChange(handler: (state: string) => void): void {
    this.#state = handler
  }
  onDataChannel(handler: (channel: NativeChannel) => void): void {
    this.#channel = handler
  }
  close(): void {
    setTimeout(() => this.#state("closed"))
  }
  /** A channel of the peer that closed before anybody listened: it never says so. */
  offerDead(): void {
    const nothing = () => undefined
    const dead: Partial<NativeChannel> = {
      getLabel: () => "dead",
      isOpen: () => false,
      onOpen: nothing,
      onClosed: nothing,
      onBufferedAmountLow: nothing,
      onMessage: nothing,
    }
    this.#channel(dead as NativeChannel)
  }
}

test("a channel that never says that it closed ends with its connection", async () => {
  const library = { PeerConnection: Connection as unknown as new () => NativeConnection }
  const webrtc = await nodeWebRtc({ load: async () => library })
  const connection = webrtc.connect({ certificates: [await webrtc.certificate()] })
  const states: string[] = []
  connection.ondatachannel = ({ channel }) => {
    channel.onclose = () => states.push(channel.readyState)
  }
  Connection.last.offerDead()
  let idle = false
  const waiting = webrtc.idle().then(() => {
    idle = true
  })
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect([idle, states]).toEqual([false, []])
  connection.close()
  await waiting
  expect(states).toEqual(["closed"])
})
