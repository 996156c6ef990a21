import { afterEach, describe, expect, test, vi } from "vitest"
import type { ForwardedNote } from "../../link/lane-port.ts"
import type { MeshToReceive } from "../../media/types.ts"
import { CODEC_OPUS, UNCAPPED } from "../../wire/layers.ts"
import { MeshHost } from "./host.ts"
import { streamKeyOf } from "./stream-key.ts"
import type { MeshEvent, MeshKeysMessage } from "./types.ts"

const hosts: MeshHost[] = []
const ports: MessagePort[] = []
afterEach(() => {
  for (const host of hosts.splice(0)) host.close()
  for (const port of ports.splice(0)) port.close()
})

function channel(): [MessagePort, MessagePort] {
  const { port1, port2 } = new MessageChannel()
  ports.push(port1, port2)
  return [port1, port2]
}

async function host(name: string) {
  const mesh = new MeshHost(async () => {})
  hosts.push(mesh)
  const events: MeshEvent[] = []
  const [eventsHere, eventsThere] = channel()
  eventsHere.onmessage = (event: MessageEvent<MeshEvent>) => events.push(event.data)
  const [keys, keysThere] = channel()
  mesh.setEventPort(eventsThere)
  mesh.setKeysPort(keysThere)
  await mesh.configure({ ownKeyId: name })
  return { mesh, events, keys }
}

/** What the page does for a lane that it forwards: bytes go straight to the other page's port. */
function forward(from: MessagePort, to: MessagePort): void {
  let taken = 0
  from.onmessage = (event: MessageEvent<ArrayBuffer | ForwardedNote>) => {
    if (!(event.data instanceof ArrayBuffer)) return
    taken += event.data.byteLength
    to.postMessage(event.data, [event.data])
    from.postMessage({ taken, buffered: 0 } satisfies ForwardedNote)
  }
  from.postMessage({ state: "open" } satisfies ForwardedNote)
}

async function until(condition: () => boolean): Promise<void> {
  await vi.waitFor(() => expect(condition()).toBe(true), { timeout: 20_000, interval: 5 })
}

describe("the worker's driver", () => {
  test("carries frames from a publish port over forwarded lanes to a receive port", async () => {
    const [alice, bob] = [await host("alice"), await host("bob")]
    for (const laneId of [1, 2]) {
      const [pageA, laneA] = channel()
      const [pageB, laneB] = channel()
      const role = laneId === 1 ? "audio" : "video"
      alice.mesh.addLane({ link: "l", laneId, role, source: { path: "forwarded", port: laneA } })
      bob.mesh.addLane({ link: "l", laneId, role, source: { path: "forwarded", port: laneB } })
      forward(pageA, pageB)
      forward(pageB, pageA)
    }
    const sessionKey = crypto.getRandomValues(new Uint8Array(32))
    alice.mesh.setLinkKey("l", "bob", sessionKey.slice())
    bob.mesh.setLinkKey("l", "alice", sessionKey.slice())
    const rootSecret = crypto.getRandomValues(new Uint8Array(32))
    const epoch: MeshKeysMessage = { type: "epoch", epoch: 7n, rootSecret, members: 2, sealNow: true }
    for (const { keys } of [alice, bob]) keys.postMessage(epoch)
    const [publish, publishThere] = channel()
    alice.mesh.connectPublisher(publishThere)
    const [receive, receiveThere] = channel()
    bob.mesh.connectReceiver(receiveThere)
    const received: MeshToReceive[] = []
    receive.onmessage = (event: MessageEvent<MeshToReceive>) => received.push(event.data)
    await until(() => alice.mesh.stats().epoch === 7n && bob.mesh.stats().epoch === 7n)
    await until(() => alice.events.filter((e) => e.type === "lane" && e.state === "open").length === 2)

    const streamId = crypto.getRandomValues(new Uint8Array(32))
    const stream = { streamId, sealProfile: 1, kind: "audio", codecId: CODEC_OPUS, fountain: false } as const
    const subNonce = crypto.getRandomValues(new Uint8Array(16))
    expect(alice.mesh.publishStream(stream)).toEqual({ ok: true })
    expect(await bob.mesh.subscribeStream({ ...stream, from: "alice", subNonce })).toEqual({ ok: true })
    expect(await alice.mesh.addSubscriber({ streamId, peer: "bob", subNonce, policy: UNCAPPED })).toEqual({ ok: true })
    const frame = { ptsUs: 1, keyframe: true, temporalId: 0, data: Uint8Array.of(1, 2, 3).buffer, durationMs: 20 }
    const before = (performance.timeOrigin + performance.now()) * 1_000
    publish.postMessage({ type: "frame", streamKey: streamKeyOf(streamId), frameId: 5, frame }, [frame.data])
    await until(() => received.length === 1)
    const [message] = received
    if (message?.type !== "frame") throw new Error("no frame")
    expect(message).toMatchObject({ frameId: 5, streamKey: streamKeyOf(streamId), frame: { ptsUs: 1, durationMs: 20 } })
    expect([...new Uint8Array(message.frame.data)]).toEqual([1, 2, 3])
    expect(message.arrivalUs).toBeGreaterThan(before)
    expect(bob.mesh.stats().links[0]!.lanes[0]).toMatchObject({
      path: "forwarded",
      role: "audio",
      receivedMessages: expect.any(Number),
    })

    receive.postMessage({ type: "need-keyframe", streamKey: streamKeyOf(streamId) })
    await until(() => bob.events.some((e) => e.type === "keyframe-wanted"))
    await until(() => bob.events.some((e) => e.type === "stream-started") && bob.events.some((e) => e.type === "heard"))
  })

  test("refuses calls before it was configured, twice, and after the end", async () => {
    const mesh = new MeshHost(async () => {})
    expect(() => mesh.stats()).toThrowError(expect.objectContaining({ code: "UsageError" }))
    await mesh.configure({ ownKeyId: "a" })
    await expect(mesh.configure({ ownKeyId: "a" })).rejects.toMatchObject({ code: "AlreadyInitialized" })
    mesh.close()
    mesh.close()
    expect(() => mesh.stats()).toThrowError(expect.objectContaining({ code: "HandleClosedError" }))
    await expect(mesh.configure({ ownKeyId: "a" })).rejects.toMatchObject({ code: "HandleClosedError" })
  })

  test("a codec that does not load is a typed error", async () => {
    const mesh = new MeshHost(() => Promise.reject(new Error("blocked by policy")))
    hosts.push(mesh)
    await expect(mesh.configure({ ownKeyId: "a" })).rejects.toMatchObject({ code: "WorkerFailed" })
  })
})
