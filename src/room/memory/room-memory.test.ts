/** The page's side of the memory: its worker starts when it is needed, frames of members reach it and no others, and it ends with the room. */
import { expose } from "comlink"
import { afterEach, expect, test, vi } from "vitest"
import { readFountainWasm } from "../../fountain/node.ts"
import { SYMBOL_FRAME } from "../../holonomic/gossip/messages.ts"
import { testPeer } from "../../holonomic/testing.ts"
import type { ControlSession } from "../../link/index.ts"
import { installErrorTransfer } from "../../pipeline/errors.ts"
import { MemoryService } from "../../pipeline/memory/service.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import type { AvError } from "../../wire/errors.ts"
import { isAvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { Emitter } from "../emitter.ts"
import { RoomParticipant } from "../participant.ts"
import { People } from "../people.ts"
import type { RoomEvents } from "../types.ts"
import { memoryOfPage } from "./memory-part.ts"
import { PageMemory } from "./room-memory.ts"

installErrorTransfer()
let workers = 0
const ports: MessagePort[] = []

/** A worker that is a port of this thread. */
vi.mock("../worker-source.ts", () => ({
  startWorker: () => {
    workers += 1
    const { port1, port2 } = new MessageChannel()
    ports.push(port1, port2)
    expose(new MemoryService({ openStorage: async () => ({ storage: new MemoryHoloStorage(), persistent: false }) }), port2)
    port1.start()
    return Object.assign(port1, { terminate: () => port1.close() })
  },
}))

const pages: PageMemory[] = []
afterEach(() => {
  for (const page of pages.splice(0)) page.close()
  for (const port of ports.splice(0)) port.close()
  workers = 0
})

async function page(seed: number) {
  const signer = await testPeer(seed)
  const events = new Emitter<RoomEvents>()
  const people = new People(new RoomParticipant(signer.keyId, true), events)
  const counted: AvError[] = []
  const fountain = await WebAssembly.compile(await readFountainWasm())
  const root: { bytes?: Bytes } = { bytes: new Uint8Array(32).fill(3) }
  const memory = new PageMemory({
    signer,
    roomName: "team",
    root: () => root.bytes,
    persistent: false,
    storedIdentity: false,
    place: memoryOfPage({}),
    people,
    events,
    fountain: async () => fountain,
    offsetMs: () => 0,
    mediaFlows: () => false,
    count: (error) => counted.push(error),
    warn: (error) => counted.push(error),
  })
  pages.push(memory)
  return { memory, signer, counted, root, events }
}

type Page = Awaited<ReturnType<typeof page>>

/** A session at `from` that leads to `to`. */
function session(from: Page, to: Page, kind: "direct" | "routed" = "direct"): ControlSession {
  const deliver = (give: (own: ControlSession) => void) =>
    void setTimeout(() => {
      const back = links.get(to)?.get(from)
      if (back !== undefined) give(back)
    })
  const made: Partial<ControlSession> = {
    kind,
    closed: false,
    peer: {
      nodeId: to.signer.nodeId,
      entityId: to.signer.entityId,
      keyId: to.signer.keyId,
      mlDsaPublicKey: to.signer.mlDsaPublicKey,
    } as ControlSession["peer"],
    on: () => () => {},
    buffered: () => 0,
    sendFrame: (type, payload) => deliver((own) => to.memory.frame(own, type, payload.slice())),
    sendBinary: (name, bytes) => deliver((own) => to.memory.binary(own, name, bytes.slice())),
  }
  const own = links.get(from) ?? new Map<Page, ControlSession>()
  own.set(to, made as ControlSession)
  links.set(from, own)
  return made as ControlSession
}
const links = new Map<Page, Map<Page, ControlSession>>()

async function codeOf(run: Promise<unknown>): Promise<string | undefined> {
  try {
    await run
    return undefined
  } catch (error) {
    return isAvError(error) ? error.code : String(error)
  }
}

test("an item put on one page is got on the other, whose worker starts by itself", async () => {
  const [a, b] = [await page(1), await page(2)]
  const [toB, toA] = [session(a, b), session(b, a)]
  a.memory.classified(toB, true)
  b.memory.classified(toA, true)
  expect(workers).toBe(0)
  const content = Uint8Array.from({ length: 50_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff)
  const changed = vi.fn()
  b.events.on("memory", changed)
  const progress: number[] = []
  const item = await a.memory.put(new File([content], "plan.bin"), { onProgress: (done) => progress.push(done) })
  expect(item).toMatchObject({ name: "plan.bin", size: 50_000, own: true, kind: "file" })
  expect(item.expiresAt).toBeGreaterThan(Date.now() + 29 * 86_400_000)
  expect(progress.at(-1)).toBe(50_000)
  await vi.waitFor(async () => expect((await b.memory.list())[0]?.readable).toBe(true), { timeout: 20_000, interval: 100 })
  await vi.waitFor(() => expect(changed).toHaveBeenCalled(), { timeout: 10_000 })
  const file = await b.memory.get(item.id)
  expect([file.name, new Uint8Array(await file.arrayBuffer())]).toEqual(["plan.bin", content])
  expect(await codeOf(b.memory.revoke(item.id))).toBe("NotAllowed")
  expect(await codeOf(a.memory.put(new Blob(["x"]), { lifetimeMs: -1 }))).toBe("UsageError")
  expect(await codeOf(a.memory.put(new Blob(["x"]), { signal: AbortSignal.abort() }))).toBe("Aborted")
  expect(await codeOf(b.memory.get("0".repeat(32)))).toBe("ItemNotFound")
  a.memory.close()
  expect(await codeOf(a.memory.list())).toBe("RoomClosed")
}, 60_000)

test("frames of others than members do not even start it, nor do those of routed sessions", async () => {
  const [a, b] = [await page(1), await page(2)]
  const stranger = session(a, b)
  const routed = session(a, b, "routed")
  a.memory.classified(stranger, false)
  a.memory.classified(routed, true)
  for (const one of [stranger, routed]) {
    a.memory.frame(one, 0x70, new Uint8Array(10))
    a.memory.binary(one, SYMBOL_FRAME, new Uint8Array(10))
  }
  a.memory.classified(stranger, true)
  a.memory.binary(stranger, "link.lane", new Uint8Array(10))
  a.memory.frame(stranger, 0x20, new Uint8Array(10))
  expect([workers, a.counted]).toEqual([0, []])
})

test("what comes before this page knows that it is in the room waits, within bounds", async () => {
  const [a, b] = [await page(1), await page(2)]
  const early = session(a, b)
  const bytes = a.root.bytes!
  delete a.root.bytes
  a.memory.classified(early, true)
  for (let i = 0; i < 600; i++) a.memory.frame(early, 0x70, new Uint8Array(4))
  expect(workers).toBe(0)
  expect(a.counted.length).toBe(88)
  expect(await codeOf(a.memory.list())).toBe("RoomClosed")
  a.root.bytes = bytes
  a.memory.entered()
  await vi.waitFor(async () => expect(await a.memory.list()).toEqual([]), { timeout: 20_000 })
  expect(workers).toBe(1)
})
