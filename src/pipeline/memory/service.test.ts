/** Items in a room's memory: five members over wires of this process, from putting to the time when the publisher has left for good. */
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest"
import { readFountainWasm } from "../../fountain/node.ts"
import { decodeHoloMessage, decodeSymbolFrame, encodeHoloMessage, SYMBOLS_END } from "../../holonomic/gossip/messages.ts"
import { testPeer } from "../../holonomic/testing.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import { isAvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"
import { type MemoryPort, MemoryService } from "./service.ts"
import type { MemoryEvent } from "./types.ts"

/** Bytes that no two of these tests share. */
function clip(length: number, seed = 1): Bytes {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

interface Member {
  id: PeerKeyId
  service: MemoryService
  storage: MemoryHoloStorage
  events: MemoryEvent[]
  progress: number[]
}

class Room {
  readonly members = new Map<PeerKeyId, Member>()
  readonly identities = new Map<PeerKeyId, { ed25519: Bytes; mlDsa65: Bytes }>()
  sent = 0

  async join(seed: number, storage = new MemoryHoloStorage()): Promise<Member> {
    const signer = await testPeer(seed)
    const service = new MemoryService({ openStorage: async () => ({ storage, persistent: true }) })
    const member: Member = { id: signer.keyId, service, storage, events: [], progress: [] }
    const port: MemoryPort = {
      onmessage: null,
      close: () => {},
      postMessage: (event: MemoryEvent) => {
        member.events.push(event)
        if (event.type === "progress") member.progress.push(event.done)
        if (event.type === "send") void this.#carry(member, event, port)
      },
    }
    service.setEventPort(port)
    const { entityId, mlDsaPublicKey, pqHash, keyId, nodeId } = signer
    const identity = { entityId, mlDsaPublicKey, pqHash, keyId, nodeId }
    const fountain = await readFountainWasm()
    const options = { meshId: "m-test", identity, persistent: true, preferred: true }
    await service.open(options, (message) => signer.signHybrid(message), fountain)
    this.identities.set(keyId, { ed25519: entityId, mlDsa65: mlDsaPublicKey })
    for (const other of this.members.values()) {
      await other.service.connected(keyId, this.identities.get(keyId)!, 0)
      await service.connected(other.id, this.identities.get(other.id)!, 0)
    }
    this.members.set(keyId, member)
    return member
  }

  async leave({ id, service }: Member): Promise<void> {
    this.members.delete(id)
    for (const other of this.members.values()) other.service.disconnected(id)
    await service.close()
  }

  async close(): Promise<void> {
    for (const member of [...this.members.values()]) await this.leave(member)
  }

  async #carry(from: Member, event: Extract<MemoryEvent, { type: "send" }>, port: MemoryPort): Promise<void> {
    const { peer, symbol, payload, id } = event
    this.sent += payload.length
    const copy = payload.slice()
    await new Promise((resolve) => setTimeout(resolve, 1))
    const to = this.members.get(peer)
    if (to !== undefined) void (symbol ? to.service.symbol(from.id, copy) : to.service.message(from.id, copy)).catch(() => {})
    if (id !== undefined) port.onmessage?.call(port as MessagePort, new MessageEvent("message", { data: { sent: id } }))
  }
}

const soon = { timeout: 45_000, interval: 100 }
const rooms: Room[] = []
function newRoom(): Room {
  const room = new Room()
  rooms.push(room)
  return room
}
afterEach(async () => {
  for (const room of rooms.splice(0)) await room.close()
})

async function codeOf(run: Promise<unknown>): Promise<string | undefined> {
  try {
    await run
    return undefined
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
}

/** Lets time pass at once for everybody in the room, until the end of the test. */
function clockOf(room: Room): (ms: number) => Promise<void> {
  const now = Date.now.bind(Date)
  let ahead = 0
  const clock = vi.spyOn(Date, "now").mockImplementation(() => now() + ahead)
  onTestFinished(() => clock.mockRestore())
  return async (ms) => {
    ahead += ms
    // Whatever is asked of a member, it looks at the clock again.
    for (const { service } of room.members.values()) expect(await codeOf(service.revoke("0".repeat(32)))).toBe("ItemNotFound")
  }
}

const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer())
const file = { name: "clip.webm", type: "video/webm", kind: "recording" as const, durationMs: 3_000 }

describe("memory of a room", () => {
  test("outlives its publisher and two more, and a newcomer gets it bit by bit", async () => {
    const room = newRoom()
    const [publisher, ...others] = [
      await room.join(1),
      await room.join(2),
      await room.join(3),
      await room.join(4),
      await room.join(5),
    ]
    const content = clip(1_300_000)
    const put = await publisher!.service.put(new Blob([content as Uint8Array<ArrayBuffer>]), file, 1)
    expect(put).toMatchObject({ name: "clip.webm", size: content.length, own: true, readable: true, durationMs: 3_000 })
    expect(publisher!.progress.at(-1)).toBe(content.length)

    const spread = (members: Member[]) =>
      vi.waitFor(async () => {
        for (const member of members) {
          const [item] = await member.service.list()
          expect(item?.readable).toBe(true)
          // Of two, one may be the only one that has enough.
          if (members.length > 2) expect(item?.needed).toEqual([])
          const holders = Object.keys(item?.holders ?? {})
          expect(holders.length).toBe(room.members.size)
        }
      }, soon)
    await spread([publisher!, ...others])
    const [item] = await others[0]!.service.list()
    expect(item).toMatchObject({ id: put.id, producer: publisher!.id, own: false })
    // Nobody but the publisher has enough alone.
    expect(item!.holders[others[0]!.id]).toBeLessThan(1)

    // Pages are reloaded, so what somebody held counts for ten seconds more.
    const pass = clockOf(room)
    const goForGood = async (member: Member) => {
      await room.leave(member)
      await pass(10_000)
    }
    await goForGood(publisher!)
    await spread(others)
    await goForGood(others.shift()!)
    await spread(others)
    await goForGood(others.shift()!)
    await spread(others)

    const newcomer = await room.join(9)
    await vi.waitFor(async () => expect((await newcomer.service.list())[0]?.readable).toBe(true), soon)
    const got = await newcomer.service.get(put.id, 7)
    expect(got.type).toBe("video/webm")
    expect(await bytesOf(got)).toEqual(content)
    expect(newcomer.progress.at(-1)).toBe(content.length)
    expect([...newcomer.progress].sort((a, b) => a - b)).toEqual(newcomer.progress)
  }, 300_000)

  test("what is revoked is gone everywhere, and only who put it may do that", async () => {
    const room = newRoom()
    const [a, b, c] = [await room.join(1), await room.join(2), await room.join(3)]
    const { id } = await a.service.put(new Blob([clip(40_000, 5) as Uint8Array<ArrayBuffer>]), { ...file, kind: "file" }, 1)
    await vi.waitFor(async () => expect((await c.service.list())[0]?.readable).toBe(true), soon)
    await vi.waitFor(async () => expect((await b.storage.list("holo/symbol/")).length).toBeGreaterThan(0), soon)
    expect(await codeOf(b.service.revoke(id))).toBe("NotAllowed")
    expect(await codeOf(b.service.extend(id, undefined))).toBe("NotAllowed")
    await a.service.revoke(id)
    for (const { service, storage } of [a, b, c]) {
      await vi.waitFor(async () => expect(await service.list()).toEqual([]), soon)
      await vi.waitFor(async () => expect(await storage.list("holo/symbol/")).toEqual([]), soon)
      expect(await storage.list("holo/manifest/")).toEqual([])
      expect(await codeOf(service.get(id, 2))).toBe("ItemNotFound")
    }
    // Somebody who asks by name gets it from nobody.
    const away = await room.join(6)
    expect(await codeOf(away.service.get(id, 2))).toBe("ItemNotFound")
    const ref = { contentId: `${id}.0`, corpusKind: "blob" }
    for (const { service, events } of [a, b, c]) {
      const before = events.length
      await service.message(away.id, encodeHoloMessage({ t: "holo.manifest?", ...ref }))
      const symbolIds = Array.from({ length: 26 }, (_, symbolId) => symbolId)
      await service.message(away.id, encodeHoloMessage({ t: "holo.symbols?", ...ref, symbolIds, req: 0x8000_0001 }))
      const answersOf = () => events.slice(before).filter((event) => event.type === "send" && event.peer === away.id)
      await vi.waitFor(() => expect(answersOf()).not.toEqual([]), soon)
      await new Promise((resolve) => setTimeout(resolve, 200))
      const answers = answersOf()
      for (const answer of answers) {
        if (answer.type !== "send") continue
        if (answer.symbol) expect(decodeSymbolFrame(answer.payload)).toMatchObject({ symbolId: SYMBOLS_END })
        else expect(decodeHoloMessage(answer.payload)).not.toHaveProperty("manifest")
      }
    }
    expect(c.events.some((event) => event.type === "revoked" && event.id === id)).toBe(true)
  }, 60_000)

  test("a member that was away while it was revoked deletes it when it comes back", async () => {
    const room = newRoom()
    const [a, b] = [await room.join(1), await room.join(2)]
    const { id } = await a.service.put(new Blob([clip(30_000, 6) as Uint8Array<ArrayBuffer>]), file, 1)
    await vi.waitFor(async () => expect((await b.storage.list("holo/symbol/")).length).toBeGreaterThan(0), soon)
    await room.leave(b)
    await a.service.revoke(id)
    const back = await room.join(2, new MemoryHoloStorage({ contents: b.storage.contents }))
    await vi.waitFor(async () => expect(await back.storage.list("holo/symbol/")).toEqual([]), soon)
    expect(await back.service.list()).toEqual([])
  }, 60_000)

  test("what its time is over for goes, unless it was prolonged", async () => {
    const room = newRoom()
    const [a, b] = [await room.join(1), await room.join(2)]
    const blob = (seed: number) => new Blob([clip(20_000, seed) as Uint8Array<ArrayBuffer>])
    const pass = clockOf(room)
    const ends = Date.now() + 60_000
    const short = await a.service.put(blob(1), { ...file, expiresAtMs: ends }, 1)
    const long = await a.service.put(blob(2), { ...file, expiresAtMs: ends }, 2)
    expect(short.expiresAtMs).toBe(ends)
    await a.service.extend(long.id, undefined)
    const idsOf = async (member: Member) => (await member.service.list()).map(({ id }) => id)
    await vi.waitFor(async () => expect((await idsOf(b)).sort()).toEqual([short.id, long.id].sort()), soon)
    await pass(60_000)
    await vi.waitFor(async () => expect(await idsOf(b)).toEqual([long.id]), soon)
    expect(await codeOf(b.service.get(short.id, 3))).toBe("ItemNotFound")
    expect(await bytesOf(await b.service.get(long.id, 4))).toEqual(clip(20_000, 2))
    expect((await a.service.list())[0]?.expiresAtMs).toBeUndefined()
  }, 60_000)

  test("a storage that fails is told, and not asked all the time", async () => {
    const room = newRoom()
    const a = await room.join(1)
    await a.service.put(new Blob([clip(1_000) as Uint8Array<ArrayBuffer>]), file, 1)
    await a.storage.close()
    await vi.waitFor(() => expect(a.events.some(({ type }) => type === "failed")).toBe(true), soon)
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const failures = a.events.filter((event) => event.type === "failed")
    expect(failures).toEqual([{ type: "failed", code: "StorageUnavailable" }])
    expect(await codeOf(a.service.put(new Blob(["x"]), file, 2))).toBe("StorageUnavailable")
  }, 60_000)

  test("tells what is too large, what there is no room for, what nobody has, and what was cancelled", async () => {
    const room = newRoom()
    const a = await room.join(1)
    a.storage.quotaBytes = 100_000
    expect(await codeOf(a.service.put(new Blob([new Uint8Array(90_000)]), file, 1))).toBe("QuotaExceeded")
    const huge = { size: 2 ** 31 } as Blob
    expect(await codeOf(a.service.put(huge, file, 2))).toBe("PayloadTooLarge")
    expect(await codeOf(a.service.put(new Blob(["x"]), { ...file, name: "" }, 2))).toBe("UsageError")
    expect(await codeOf(a.service.get("0".repeat(32), 3))).toBe("ItemNotFound")
    expect(await codeOf(a.service.get("nonsense", 3))).toBe("UsageError")
    a.storage.quotaBytes = 1e9
    const put = a.service.put(new Blob([clip(3_000_000) as Uint8Array<ArrayBuffer>]), file, 4)
    a.service.cancel(4)
    expect(await codeOf(put)).toBe("Aborted")
    expect(await a.service.list()).toEqual([])
    const empty = await a.service.put(new Blob([]), file, 5)
    expect((await a.service.get(empty.id, 6)).size).toBe(0)
    await a.service.close()
    expect(await codeOf(a.service.message("x", new Uint8Array()))).toBeUndefined()
    expect(await codeOf(Promise.resolve().then(() => a.service.list()))).toBe("HandleClosedError")
  }, 60_000)
})
