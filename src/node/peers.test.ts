/** Node peers in a room: what a process can do there, over real data channels, and how it goes. */
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Room } from "../room/types.ts"
import { joinRoom } from "./join.ts"
import { NodeRoom, until } from "./test-room.ts"
import { nodeWebRtc } from "./webrtc/node-webrtc.ts"

const text = (value: string) => new TextEncoder().encode(value)
const words = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** Links need a second; a busy machine needs more. */
const SLOW_MS = 60_000

describe("Node peers", () => {
  const garden = new NodeRoom("garden")
  let ada: Room
  let bob: Room

  beforeAll(async () => {
    ada = await garden.join("ada")
    bob = await garden.join("bob")
    await garden.linked(2)
    ada.rpc.serve("same", (body) => body)
  }, SLOW_MS)
  afterAll(() => garden.close(), SLOW_MS)

  test("are members of one group, by direct links", async () => {
    expect(ada.code).toBe(bob.code)
    expect([ada.epoch, ada.isHost, bob.isHost]).toEqual([bob.epoch, true, false])
    const { links } = await ada.stats()
    const direct = links.find(({ kind }) => kind === "direct")
    expect(direct).toMatchObject({ peer: bob.local.id, path: "host" })
    await until("an audio and two video lanes", async () => {
      const lanes = (await ada.stats()).links.find(({ kind }) => kind === "direct")?.lanes ?? []
      return lanes.filter(({ role, state }) => role !== "control" && state === "open").length === 3
    })
  })

  test("talk, send data and call, with bodies of megabytes", async () => {
    const heard: string[] = []
    ada.on("message", (message) => heard.push(`${message.from.name}: ${message.text}`))
    ada.on("data", ({ topic, bytes }) => heard.push(`${topic} ${bytes.length}`))
    await bob.sendMessage("good morning")
    await bob.sendData("numbers", new Uint8Array(30_000))
    await until("message and data", () => heard.length === 2)
    expect(heard.sort()).toEqual(["bob: good morning", "numbers 30000"])
    await until("the announcement", () => bob.capabilities.providers("same").length === 1)
    const body = Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251)
    expect(Buffer.compare(await bob.rpc.call("any", "same", body), body)).toBe(0)
  })

  test("a channel asks for tokens", async () => {
    const channel = ada.channel("captions", { roots: [ada.local] })
    await channel.open()
    const token = await ada.tokens.issue({ to: bob.local.id, channel: "captions", rights: ["subscribe"], ttlSeconds: 600 })
    bob.tokens.add(token)
    const reader = bob.channel("captions", { roots: [ada.capabilities.entity] }).subscribe()
    const first = reader[Symbol.asyncIterator]().next()
    await until("the subscriber", () => channel.subscribers.length === 1)
    await channel.publish(text("the first words"))
    const { value } = await first
    expect(words(value.data)).toBe("the first words")
  })

  test("cannot publish, and say why", async () => {
    await expect(ada.publish({} as MediaStream)).rejects.toMatchObject({ code: "MediaUnsupported" })
    expect(await ada.diagnostics()).toContain(`node ${process.version}`)
  })

  test("make a new link after a change of network: the library cannot restart one", async () => {
    const states: string[] = []
    const stop = ada.on("connection", ({ connection }) => states.push(connection))
    ada.simulate("change-network")
    await until("the old link is gone", () => states.length > 0)
    await until("there is a new one", () => states.at(-1) === "direct")
    stop()
    expect(states.length).toBeGreaterThan(1)
    expect(words(await bob.rpc.call(ada.local.id, "same", text("again")))).toBe("again")
  })

  test("go on without the server, and one that leaves is gone at once", async () => {
    const cleo = await garden.join("cleo")
    await garden.linked(3)
    await garden.stopServer()
    expect(words(await cleo.rpc.call(ada.local.id, "same", text("still here")))).toBe("still here")
    garden.rooms.pop()
    await cleo.leave()
    await until("two are left", () => ada.participants.size === 1 && bob.participants.size === 1)
    // Of the server alone: it was asked anew after the change of network, and is looked for now.
    expect(garden.warnings.filter((warning) => !/: Server(Unreachable|Refused)$/.test(warning))).toEqual([])
  })
})

describe("without a library", () => {
  test("the error names the package and what to do", async () => {
    const missing = Object.assign(new Error("Cannot find package"), { code: "ERR_MODULE_NOT_FOUND" })
    const error = await joinRoom("ws://127.0.0.1:1/garden", { open: true, load: () => Promise.reject(missing) }).catch(
      (thrown) => thrown,
    )
    expect(error).toMatchObject({ code: "WebRtcMissing", details: { package: "node-datachannel" }, cause: missing })
    expect(error.message).toContain("npm install node-datachannel")
  })

  test("a package of that name that is something else is refused as well", async () => {
    await expect(nodeWebRtc({ load: async () => ({ default: {} }) })).rejects.toMatchObject({ code: "WebRtcMissing" })
  })
})
