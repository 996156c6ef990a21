/** The NAT class of Node peers, over real UDP on this machine: looked at, announced to the others, and told by `stats()`. */
import { createSocket, type Socket } from "node:dgram"
import { afterEach, describe, expect, test } from "vitest"
import type { Room } from "../room/types.ts"
import { addressFromText } from "../wire/address.ts"
import { decodeBindingRequest, encodeBindingResponse } from "../wire/stun.ts"
import type { NodeJoinOptions } from "./join.ts"
import { NodeRoom, until } from "./test-room.ts"

const SLOW_MS = 60_000

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
}, SLOW_MS)

const natTags = (room: Room, who: Room) => room.capabilities.of(who.local.id)?.tags.filter((tag) => tag.startsWith("nat:")) ?? []
const natOf = async (room: Room) => (await room.stats()).nat

function openRoom(name: string, stun: string[] = []): NodeRoom {
  const room = new NodeRoom(name, stun.length === 0 ? {} : { stun: stun.map((host) => ({ host, port: 0 })) })
  closing.push(() => room.close())
  return room
}

/** A STUN server that sees everybody at one place behind a NAT, or where they are; it answers from its own address whatever is asked. */
async function standIn(host: string, seenAt?: { host: string; port: number }): Promise<{ url: string; heard: () => number }> {
  const socket: Socket = createSocket("udp4")
  let heard = 0
  socket.on("message", (bytes, { address, port }) => {
    const request = decodeBindingRequest(new Uint8Array(bytes))
    if (request === undefined) return
    heard++
    const mapped = addressFromText(seenAt?.host ?? address, seenAt?.port ?? port)!
    socket.send(encodeBindingResponse({ transaction: request.transaction, mapped }), port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  closing.push(() => socket.close())
  return { url: `stun:${host}:${socket.address().port}`, heard: () => heard }
}

async function joinBehind(name: string, ...ports: number[]): Promise<{ ada: Room; bob: Room; heard: () => number[] }> {
  const servers = await Promise.all(ports.map((port, i) => standIn(`127.0.0.${i + 11}`, { host: "8.8.4.4", port })))
  const place = openRoom(name)
  const options: NodeJoinOptions = { bindAddress: "127.0.0.1", iceServers: servers.map(({ url }) => ({ urls: url })) }
  const ada = await place.join("ada", options)
  const bob = await place.join("bob", { bindAddress: "127.0.0.1" })
  return { ada, bob, heard: () => servers.map(({ heard }) => heard()) }
}

describe("the NAT class of a Node peer", () => {
  test(
    "is open where the servers see the socket's own address and an answer comes from one that was not contacted",
    async () => {
      const place = openRoom("open", ["127.0.0.1", "127.0.0.2"])
      const ada = await place.join("ada", { bindAddress: "127.0.0.1" })
      const bob = await place.join("bob", { bindAddress: "127.0.0.1" })
      await until("bob hears that ada is open", () => {
        // On a busy machine the answer may come too late for the first look.
        void ada.reclassifyNat()
        return natTags(bob, ada).join() === "nat:open"
      })
      const nat = await natOf(ada)
      expect(nat).toMatchObject({ class: "open", servers: 2, observations: 2 })
      expect(nat.reflex).toMatch(/^127\.0\.0\.1:\d+$/)
      await place.linked(2)
      // On a busy machine attempts may run out of time before one comes through.
      const { attempted, succeeded, failed } = (await ada.stats()).direct
      expect(succeeded).toBe(1)
      expect(attempted).toBe(Object.values(failed).reduce((sum, count) => sum + count, succeeded))
    },
    SLOW_MS,
  )

  test(
    "is a cone behind a NAT that maps to one address, symmetric behind one that does not",
    async () => {
      const cone = await joinBehind("cone", 50_000, 50_000)
      await until("a cone is announced", () => natTags(cone.bob, cone.ada).join() === "nat:cone")
      expect(await natOf(cone.ada)).toMatchObject({ class: "cone", reflex: "8.8.4.4:50000" })
      const symmetric = await joinBehind("symmetric", 50_000, 50_001)
      await until("a symmetric one is announced", () => natTags(symmetric.bob, symmetric.ada).join() === "nat:symmetric")
    },
    SLOW_MS,
  )

  test(
    "NAT-R8: is a cone where the servers see the socket's own address, but nothing comes from an address that was not contacted",
    async () => {
      const servers = [await standIn("127.0.0.11"), await standIn("127.0.0.12")]
      const place = openRoom("wall")
      const ada = await place.join("ada", { bindAddress: "127.0.0.1", iceServers: servers.map(({ url }) => ({ urls: url })) })
      await until("a class is found", async () => (await natOf(ada)).conclusive > 0)
      const nat = await natOf(ada)
      expect(nat).toMatchObject({ class: "cone", observations: 2 })
      expect(nat.reflex).toMatch(/^127\.0\.0\.1:/)
    },
    SLOW_MS,
  )

  test(
    "stays unknown and unannounced without two servers, which are then not asked for it",
    async () => {
      const { ada, bob } = await joinBehind("one", 50_000)
      expect(await ada.reclassifyNat()).toEqual({ class: "unknown", servers: 1, sweeps: 0, conclusive: 0, observations: 0 })
      expect(await bob.reclassifyNat()).toMatchObject({ class: "unknown", servers: 0, sweeps: 0 })
      ada.capabilities.announce({ tags: ["ready", "nat:open"] })
      await until("the announcement", () => bob.capabilities.of(ada.local.id)?.tags.includes("ready") === true)
      expect(natTags(bob, ada)).toEqual([])
    },
    SLOW_MS,
  )

  test(
    "is open on the operator's word, without asking anybody",
    async () => {
      const server = await standIn("127.0.0.21", { host: "8.8.4.4", port: 1_234 })
      const place = openRoom("word")
      const ada = await place.join("ada", { bindAddress: "127.0.0.1", reachableAt: { host: "8.8.4.4", port: 40_000 } })
      const bob = await place.join("bob", { bindAddress: "127.0.0.1" })
      await until("the word is announced", () => natTags(bob, ada).join() === "nat:open")
      expect(await ada.reclassifyNat()).toMatchObject({ class: "open", reflex: "8.8.4.4:40000", sweeps: 0 })
      expect(server.heard()).toBe(0)
      await expect(place.join("eve", { reachableAt: { host: "relay.example", port: 40_000 } })).rejects.toMatchObject({
        code: "UsageError",
      })
    },
    SLOW_MS,
  )
})
