import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { MeshSubscribe } from "../pipeline/index.ts"
import type { KnownControlMessage } from "../wire/control-json.ts"
import type { RemoteStream } from "./descriptors.ts"
import { RoomParticipant } from "./participant.ts"
import { type RemoteSubscription, Subscriptions } from "./subscriptions.ts"

const bob = new RoomParticipant("bob", false)
const stream: RemoteStream = {
  streamId: new Uint8Array(32).fill(7),
  streamKey: "07".repeat(32),
  label: "cam",
  kind: "video",
  codec: "av01.0.08M.08",
  codecId: 1,
  sealProfile: 1,
  fountain: true,
  temporalLayers: 2,
  channels: 1,
}
const entry = { stream, source: "camera" as const, muted: false }
const settle = () => vi.advanceTimersByTimeAsync(0)

describe("subscriptions", () => {
  let link: string | undefined
  let asked: MeshSubscribe[]
  let sent: KnownControlMessage[]
  let ended: RemoteSubscription[]
  let nonce = 0
  let subscriptions: Subscriptions

  beforeEach(async () => {
    vi.useFakeTimers()
    link = "link-1"
    asked = []
    sent = []
    ended = []
    subscriptions = new Subscriptions({
      random: (length) => new Uint8Array(length).fill(++nonce),
      send: (_, message) => sent.push(message) > 0,
      linkTo: () => (link === undefined ? undefined : { id: link, send: (message) => sent.push(message) > 0 }),
      meshSubscribe: async (request) => {
        asked.push(request)
        return { ok: true }
      },
      meshUnsubscribe: () => {},
      openOutput: async () => ({ track: {} as MediaStreamTrack, close: () => {}, setVolume: () => {} }),
      setOutputMuted: () => {},
      setMaxTemporal: () => {},
      started: () => {},
      ended: (subscription) => ended.push(subscription),
      mutedChanged: () => {},
      warn: () => {},
    })
    subscriptions.update(bob, [entry])
    await settle()
  })
  afterEach(() => {
    subscriptions.closeAll()
    vi.useRealTimers()
  })

  const accept = () => subscriptions.answered("bob", stream.streamKey, asked.at(-1)!.subNonce, undefined)

  it("installs the key for the link that carries the request, before the request goes out", () => {
    expect(asked).toMatchObject([{ from: "bob", link: "link-1" }])
    expect(sent).toMatchObject([{ t: "av.subscribe", subNonce: asked[0]!.subNonce }])
  })

  it("asks again with a fresh key when no answer comes, and after a refusal", async () => {
    await vi.advanceTimersByTimeAsync(2_500)
    expect(asked).toHaveLength(2)
    expect(asked[1]!.subNonce).not.toEqual(asked[0]!.subNonce)
    subscriptions.answered("bob", stream.streamKey, asked[0]!.subNonce, undefined)
    expect(subscriptions.all[0]!.accepted).toBe(false)
    subscriptions.answered("bob", stream.streamKey, asked[1]!.subNonce, "StreamNotFound")
    await vi.advanceTimersByTimeAsync(1_000)
    expect(asked).toHaveLength(3)
  })

  it("is patient with a silent sender, ever more", async () => {
    accept()
    subscriptions.silent(stream.streamKey, 4_000)
    expect(asked).toHaveLength(1)
    subscriptions.silent(stream.streamKey, 5_500)
    await settle()
    expect(asked).toHaveLength(2)
    accept()
    subscriptions.silent(stream.streamKey, 7_500)
    await settle()
    expect(asked).toHaveLength(2)
    subscriptions.silent(stream.streamKey, 11_000)
    await settle()
    expect(asked).toHaveLength(3)
  })

  it("waits while there is no direct link and asks on the new one", async () => {
    subscriptions.linkLost("bob")
    link = undefined
    subscriptions.ask(stream.streamKey)
    expect(asked).toHaveLength(1)
    link = "link-2"
    subscriptions.linkReady("bob")
    await settle()
    expect(asked.at(-1)).toMatchObject({ link: "link-2" })
  })

  it("ends what the member no longer publishes, and what belongs to a member that left", () => {
    subscriptions.update(bob, [])
    expect(ended).toHaveLength(1)
    expect(sent.at(-1)).toMatchObject({ t: "av.unsubscribe" })
    expect(subscriptions.all).toHaveLength(0)
  })
})
