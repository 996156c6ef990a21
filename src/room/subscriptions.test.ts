import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { VideoCodecName } from "../media/video-codecs.ts"
import type { MeshSubscribe } from "../pipeline/index.ts"
import type { KnownControlMessage } from "../wire/control-json.ts"
import { AvError } from "../wire/errors.ts"
import type { RemoteStream } from "./descriptors.ts"
import { RoomParticipant } from "./participant.ts"
import type { RemoteSubscription } from "./remote-subscription.ts"
import type { RemoteTrack } from "./remote-track.ts"
import { Subscriptions } from "./subscriptions.ts"
import { testStream } from "./test-stream.ts"
import type { LayerInfo } from "./types.ts"

const bob = new RoomParticipant("bob", false)

const cam = testStream(7)
const small = testStream(1)
const middle = testStream(2, { spatial: 1, width: 640, height: 360 })
const large = testStream(3, { spatial: 2, width: 1280, height: 720 })
const track = (streams: RemoteStream[], more: Partial<RemoteTrack> = {}): RemoteTrack => ({
  label: "cam",
  kind: "video",
  source: "camera",
  muted: false,
  streams,
  ...more,
})
const settle = () => vi.advanceTimersByTimeAsync(0)

describe("subscriptions", () => {
  let link: string | undefined
  let asked: MeshSubscribe[]
  let sent: KnownControlMessage[]
  let ended: RemoteSubscription[]
  let layers: LayerInfo[]
  let outputs: string[]
  let warnings: string[]
  let unshowable: string[]
  let decodes: VideoCodecName[] | undefined
  let ownDecoders: VideoCodecName[]
  let nonce = 0
  let subscriptions: Subscriptions

  beforeEach(() => {
    vi.useFakeTimers()
    link = "link-1"
    asked = []
    sent = []
    ended = []
    layers = []
    outputs = []
    warnings = []
    unshowable = []
    decodes = undefined
    ownDecoders = []
    bob.tracks.clear()
    const take =
      (how: string) =>
      async (_: string, { streamKey }: RemoteStream) => {
        if (unshowable.includes(streamKey)) throw new AvError("MediaUnsupported", { missing: "decoder" })
        outputs.push(`${how} ${Number.parseInt(streamKey.slice(0, 2), 16)}`)
        return { track: {} as MediaStreamTrack, close: () => {}, setVolume: () => {} }
      }
    subscriptions = new Subscriptions({
      random: (length) => new Uint8Array(length).fill(++nonce),
      now: () => Date.now(),
      decodes: () => decodes,
      ownDecoders: () => ownDecoders,
      send: (_, message) => sent.push(message) > 0,
      linkTo: () => (link === undefined ? undefined : { id: link, send: (message) => sent.push(message) > 0 }),
      meshSubscribe: async (request) => {
        asked.push(request)
        return { ok: true }
      },
      meshUnsubscribe: () => {},
      meshDeliver: () => {},
      openOutput: take("open"),
      addToOutput: async (keyId, added, _of, how) => {
        await take(how)(keyId, added)
      },
      removeFromOutput: (streamKey) => outputs.push(`remove ${Number.parseInt(streamKey.slice(0, 2), 16)}`),
      setOutputMuted: () => {},
      setMaxTemporal: () => {},
      started: () => {},
      ended: (subscription) => ended.push(subscription),
      mutedChanged: () => {},
      layerChanged: (_, layer) => layers.push(layer),
      warn: (error) => warnings.push(error.code),
    })
  })
  afterEach(() => {
    subscriptions.closeAll()
    vi.useRealTimers()
  })

  const publish = async (...streams: RemoteStream[]) => {
    subscriptions.update(bob, [track(streams)])
    await settle()
  }
  const only = () => subscriptions.all[0]!
  const answer = (of: RemoteStream, refused?: string) => {
    const request = asked.findLast(({ streamId }) => streamId === of.streamId)!
    if (refused === undefined) subscriptions.granted("bob", of.streamId, request.subNonce)
    else subscriptions.refused("bob", of.streamKey, request.subNonce, refused)
    return settle()
  }
  const picture = (of: RemoteStream) => {
    subscriptions.pictureCame(of.streamKey)
    return settle()
  }
  const received = () => asked.map(({ streamId }) => streamId[0])
  const left = () => sent.flatMap((message) => (message.t === "av.unsubscribe" ? [message.streamId[0]] : []))

  describe("one stream", () => {
    beforeEach(() => publish(cam))

    it("installs the key for the link that carries the request, before the request goes out", () => {
      expect(asked).toMatchObject([{ from: "bob", link: "link-1" }])
      expect(sent).toMatchObject([{ t: "av.subscribe", subNonce: asked[0]!.subNonce }])
    })

    it("asks again with a fresh key when no answer comes, and after a refusal", async () => {
      await vi.advanceTimersByTimeAsync(2_500)
      expect(asked).toHaveLength(2)
      expect(asked[1]!.subNonce).not.toEqual(asked[0]!.subNonce)
      // The answer to a request that was given up says nothing about the new one.
      subscriptions.granted("bob", cam.streamId, asked[0]!.subNonce)
      await vi.advanceTimersByTimeAsync(1_900)
      expect(asked).toHaveLength(2)
      await answer(cam, "StreamNotFound")
      await vi.advanceTimersByTimeAsync(1_000)
      expect(asked).toHaveLength(3)
    })

    it("is patient with a silent sender, ever more", async () => {
      await answer(cam)
      subscriptions.silent(cam.streamKey, "bob", 4_000)
      expect(asked).toHaveLength(1)
      subscriptions.silent(cam.streamKey, "bob", 5_500)
      await settle()
      expect(asked).toHaveLength(2)
      await answer(cam)
      subscriptions.silent(cam.streamKey, "bob", 7_500)
      await settle()
      expect(asked).toHaveLength(2)
      subscriptions.silent(cam.streamKey, "bob", 11_000)
      await settle()
      expect(asked).toHaveLength(3)
    })

    it("waits while there is no direct link and asks on the new one", async () => {
      subscriptions.linkLost("bob")
      link = undefined
      subscriptions.ask(cam.streamKey)
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

    it("keeps the track when the publisher goes on in another codec", async () => {
      await answer(cam)
      await picture(cam)
      const vp8 = testStream(8, { codec: "vp8", codecId: 255 })
      await publish(vp8)
      expect(outputs).toEqual(["open 7", "instead 8"])
      expect(left()).toEqual([])
      await picture(vp8)
      expect(outputs.at(-1)).toBe("remove 7")
      expect(ended).toEqual([])
      expect(layers.at(-1)).toMatchObject({ codec: "vp8", reason: "best" })
    })

    it("ends cleanly in the middle of a change", async () => {
      await publish(testStream(8, { codec: "vp8" }))
      subscriptions.forget("bob")
      await picture(testStream(8))
      expect(ended).toHaveLength(1)
      expect(bob.subscriptions).toHaveLength(0)
    })
  })

  describe("rungs", () => {
    beforeEach(async () => {
      await publish(small, middle, large)
      await answer(large)
      await picture(large)
    })

    it("takes the largest by default, and no other", () => {
      expect(received()).toEqual([3])
      expect(only().layer).toMatchObject({ spatial: 2, spatialLayers: 3, width: 1280, reason: "best" })
    })

    it("changes when the new rung shows a picture, not before", async () => {
      only().setDisplaySize({ width: 200, height: 120 })
      await settle()
      expect(received()).toEqual([3, 1])
      expect(left()).toEqual([])
      expect(only().layer?.spatial).toBe(2)
      await picture(small)
      expect(left()).toEqual([3])
      expect(outputs).toEqual(["open 3", "instead 1", "remove 3"])
      expect(layers.at(-1)).toMatchObject({ spatial: 0, reason: "size", width: 320 })
    })

    it("drops a rung on its way when the wish changes back", async () => {
      only().setDisplaySize({ width: 200, height: 120 })
      await settle()
      only().setDisplaySize(undefined)
      await settle()
      expect(left()).toEqual([1])
      expect(outputs.at(-1)).toBe("remove 1")
      expect(layers).toHaveLength(1)
    })

    it("goes down where its decoder does not keep up, once the picture is there", async () => {
      only().tooSlow(large.streamKey)
      expect(only().layer).toMatchObject({ spatial: 2, reason: "best" })
      await answer(large)
      await picture(large)
      only().tooSlow(large.streamKey)
      await settle()
      expect(received()).toEqual([3, 2])
      await picture(middle)
      expect(only().layer).toMatchObject({ spatial: 1, reason: "cpu" })
      expect(left()).toEqual([3])
    })

    it("goes down where the publisher says that it does not fit, and tries again later", async () => {
      await answer(large, "CapacityExceeded")
      expect(received()).toEqual([3, 2])
      expect(left()).toEqual([])
      await picture(middle)
      expect(only().layer).toMatchObject({ spatial: 1, reason: "network" })
      expect(left()).toEqual([3])
      await answer(middle)
      await vi.advanceTimersByTimeAsync(10_100)
      expect(received()).toEqual([3, 2, 3])
      // It shows nothing: the smaller one stays, and the next attempt is further away.
      await answer(large)
      await vi.advanceTimersByTimeAsync(8_100)
      expect(left()).toEqual([3, 3])
      expect(only().layer).toMatchObject({ spatial: 1, reason: "network" })
      await vi.advanceTimersByTimeAsync(15_000)
      expect(received()).toEqual([3, 2, 3])
      await vi.advanceTimersByTimeAsync(6_000)
      expect(received()).toEqual([3, 2, 3, 3])
    })

    it("stays at a pinned rung whatever the publisher says", async () => {
      only().pinLayer(2)
      await answer(large, "CapacityExceeded")
      await vi.advanceTimersByTimeAsync(1_000)
      expect(received()).toEqual([3])
      expect(only().layer).toMatchObject({ spatial: 2, reason: "pinned" })
      only().pinLayer(0)
      await settle()
      await picture(small)
      expect(only().layer).toMatchObject({ spatial: 0, reason: "pinned" })
    })

    it("receives nothing while hidden, and keeps the track", async () => {
      only().setDisplaySize("hidden")
      await settle()
      expect(left()).toEqual([3])
      expect(outputs).toEqual(["open 3"])
      expect(only().layer).toMatchObject({ spatial: undefined, reason: "hidden" })
      await vi.advanceTimersByTimeAsync(60_000)
      expect(asked).toHaveLength(1)
      only().setDisplaySize({ width: 1280, height: 720 })
      await settle()
      expect(received()).toEqual([3, 3])
      expect(ended).toEqual([])
    })

    it("heeds the cap of a policy and sends it on", async () => {
      only().setPolicy({ maxSpatial: 1, maxTemporal: 0, maxQuality: 255 })
      await settle()
      await picture(middle)
      expect(only().layer).toMatchObject({ spatial: 1, reason: "policy" })
      expect(sent.filter(({ t }) => t === "av.subscribe").at(-1)).toMatchObject({ policy: { maxTemporal: 0 } })
    })

    it("takes another rung when no decoder takes this one", async () => {
      unshowable = [small.streamKey]
      only().pinLayer(0)
      await settle()
      expect(warnings).toEqual(["MediaUnsupported"])
      await picture(middle)
      expect(only().layer?.spatial).toBe(1)
    })
  })

  describe("descriptions", () => {
    const even = testStream(4, { description: 0, codecId: 3 })
    const odd = testStream(5, { description: 1, codecId: 3 })
    beforeEach(async () => {
      await publish(even, odd)
      for (const each of [even, odd]) {
        await answer(each)
        await picture(each)
      }
    })

    it("receives all on one track", () => {
      expect(outputs).toEqual(["open 4", "beside 5"])
      expect(received()).toEqual([4, 5])
      expect(only().layer).toMatchObject({ descriptions: [0, 1], reason: "best" })
    })

    it("lets go of either and takes it back", async () => {
      only().setDescriptions([1])
      await settle()
      expect(left()).toEqual([4])
      expect(only().layer).toMatchObject({ descriptions: [1], reason: "policy" })
      only().setDescriptions([0])
      await settle()
      // The odd one goes on until the even one shows something.
      expect(left()).toEqual([4])
      await picture(even)
      expect(left()).toEqual([4, 5])
      only().setDescriptions(undefined)
      await settle()
      await picture(odd)
      expect(only().layer).toMatchObject({ descriptions: [0, 1], reason: "best" })
    })
  })

  describe("codecs", () => {
    const vp8 = testStream(9, { codec: "vp8" })

    it("takes the best it can show", async () => {
      decodes = ["vp8"]
      await publish(cam, vp8)
      expect(received()).toEqual([9])
      decodes = ["av1", "vp8"]
      subscriptions.decodesChanged()
      await settle()
      await picture(cam)
      expect(left()).toEqual([9])
    })

    it("waits for the publisher to send something it can show, and says so when nothing comes", async () => {
      decodes = ["vp8"]
      await publish(cam)
      expect(asked).toEqual([])
      await vi.advanceTimersByTimeAsync(4_000)
      expect(warnings).toEqual([])
      await vi.advanceTimersByTimeAsync(60_000)
      expect(warnings).toEqual(["MediaUnsupported"])
      await publish(cam, vp8)
      expect(received()).toEqual([9])
    })

    it("uses a decoder of its own where nothing else comes, and leaves it for what the browser shows", async () => {
      decodes = ["vp8"]
      ownDecoders = ["av1"]
      await publish(cam, vp8)
      expect(received()).toEqual([9])
      await publish(cam)
      await picture(cam)
      expect(left()).toEqual([9])
      const taken = received().at(-1)!
      expect(taken).not.toBe(9)
      await publish(cam, vp8)
      await picture(vp8)
      expect(left()).toEqual([9, taken])
      expect(warnings).toEqual([])
    })
  })

  it("makes a new track of sound that changes its stream", async () => {
    const sound = (number: number) =>
      track([testStream(number, { kind: "audio", codec: "opus" })], { label: "mic", kind: "audio", source: "microphone" })
    subscriptions.update(bob, [sound(10)])
    await settle()
    subscriptions.update(bob, [sound(11)])
    await settle()
    expect(ended).toHaveLength(1)
    expect(received()).toEqual([10, 11])
  })
})
