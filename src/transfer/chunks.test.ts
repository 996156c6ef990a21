import { describe, expect, it } from "vitest"
import { sha256Sync } from "../crypto/index.ts"
import { TREE_CHUNK } from "../store/tree/manifest.ts"
import { decodeBlobFrame, encodeBlobFrame } from "../wire/blob-frame.ts"
import { equalBytes, toHex } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"
import { BlobClient } from "./blob-client.ts"
import { BlobServer } from "./blob-server.ts"
import { codeOf, pattern, wired } from "./test-trees.ts"

describe("chunks", () => {
  const chunk = pattern(TREE_CHUNK)
  const id = sha256Sync(chunk)
  const source = { read: async (asked: Bytes) => (equalBytes(asked, id) ? chunk : undefined) }
  const signal = new AbortController().signal
  const bent = (change: (frame: Extract<ReturnType<typeof decodeBlobFrame>, { kind: "data" }>) => void) => {
    let first = true
    return wired(source, (payload) => {
      const frame = decodeBlobFrame(payload)
      if (frame.kind !== "data" || !first) return payload
      first = false
      frame.bytes = frame.bytes.slice()
      change(frame)
      return encodeBlobFrame(frame)
    })
  }

  it("DIR-R10: of a wrong content, length or order are not given out, and their source is asked no more", async () => {
    const wrong = {
      hash: bent((frame) => (frame.bytes[0]! ^= 1)),
      total: bent((frame) => (frame.total -= 1)),
      order: bent((frame) => (frame.offset = 1)),
    }
    for (const [why, { client, get, asked }] of Object.entries(wrong)) {
      expect([why, await codeOf(get(id, chunk.length, signal))]).toEqual([why, "BlobInvalid"])
      expect(client.isDropped("server")).toBe(true)
      const before = asked()
      expect(await codeOf(get(id, chunk.length, signal))).toBe("BlobInvalid")
      expect(asked()).toBe(before)
    }
    // A chunk that is shorter than the reference says is refused by its length, before its hash.
    expect(await codeOf(wired(source).get(id, chunk.length - 1, signal))).toBe("BlobInvalid")
  })

  it("come, many at once, a few asked for at a time", async () => {
    const all = Array.from({ length: 40 }, (_, i) => pattern(1_000 + i, i + 1))
    const byId = new Map(all.map((bytes) => [toHex(sha256Sync(bytes)), bytes]))
    let waiting = 0
    let most = 0
    const { get, server } = wired({
      read: async (asked) => {
        most = Math.max(most, ++waiting)
        await new Promise((resolve) => setTimeout(resolve, 1))
        waiting--
        return byId.get(toHex(asked))
      },
    })
    const got = await Promise.all(all.map((bytes) => get(sha256Sync(bytes), bytes.length, signal)))
    expect(got.every((bytes, i) => equalBytes(bytes, all[i]!))).toBe(true)
    // One after the other for each peer, so that a greedy one does not fill the memory.
    expect(most).toBe(1)
    expect(server.refused.busy).toBe(0)
  })

  it("that nobody wants any more are not asked for: an abort sends nothing", async () => {
    const asked: Bytes[] = []
    const client = new BlobClient({ send: (_, payload) => void asked.push(payload), after: () => () => {} })
    const controller = new AbortController()
    const all = Array.from({ length: 30 }, (_, i) => codeOf(client.fetch("p", new Uint8Array(32).fill(i), 10, controller.signal)))
    expect(asked).toHaveLength(8)
    // One that waits goes alone, and makes no room.
    const other = new AbortController()
    const waiting = codeOf(client.fetch("p", id, 10, other.signal))
    other.abort()
    expect(await waiting).toBe("Aborted")
    expect(asked).toHaveLength(8)
    controller.abort()
    expect(new Set(await Promise.all(all))).toEqual(new Set(["Aborted"]))
    expect(asked).toHaveLength(8)
    void client.fetch("p", id, 10).catch(() => undefined)
    expect(asked).toHaveLength(9)
  })

  it("more than sixteen at once are told to wait, a stranger is refused, what is not shared is not found", async () => {
    const sent: Bytes[] = []
    const host = { read: source.read, room: async () => true, send: (_: string, payload: Bytes) => void sent.push(payload) }
    const server = new BlobServer({ ...host, admits: (peer) => peer !== "stranger" })
    const ask = (requestId: number, peer = "p", chunkId = id) => server.get(peer, { kind: "get", requestId, chunkId })
    const errors = () => sent.map(decodeBlobFrame).flatMap((frame) => (frame.kind === "error" ? [frame.error] : []))
    // One is answered, sixteen wait.
    for (let i = 1; i <= 18; i++) ask(i)
    ask(3)
    ask(1, "stranger")
    expect(errors()).toEqual(["busy", "busy", "refused"])
    ask(1, "other", new Uint8Array(32))
    const done = () =>
      sent.map(decodeBlobFrame).filter((frame) => frame.kind === "data" && frame.offset + frame.bytes.length === frame.total)
    await expect.poll(() => [errors().length, done().length]).toEqual([4, 17])
    // Nor does anything else come.
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([errors(), done().length]).toEqual([["busy", "busy", "refused", "not-found"], 17])
  })

  it("of a source that falls silent, is busy for ever or goes away end with an error", async () => {
    const timers: (() => void)[] = []
    const client = new BlobClient({
      send() {},
      after(_ms, action) {
        timers.push(action)
        return () => void timers.splice(timers.indexOf(action), 1)
      },
    })
    const silent = codeOf(client.fetch("p", id, 10))
    timers.shift()?.()
    expect(await silent).toBe("BlobTimeout")
    const gone = [codeOf(client.fetch("p", id, 10)), ...Array.from({ length: 20 }, () => codeOf(client.fetch("p", id, 10)))]
    client.peerGone("p")
    expect(new Set(await Promise.all(gone))).toEqual(new Set(["SessionClosed"]))
    const ids: number[] = []
    const busy = new BlobClient({
      send: (_, payload) => void ids.push((decodeBlobFrame(payload) as { requestId: number }).requestId),
      after(ms, action) {
        if (ms < 30_000) queueMicrotask(action)
        return () => {}
      },
    })
    const refused = codeOf(busy.fetch("p", id, 10))
    for (let i = 0; i < 9; i++) {
      busy.receive("p", { kind: "error", requestId: ids.at(-1)!, error: "busy" })
      await new Promise((resolve) => setTimeout(resolve))
    }
    expect(await refused).toBe("BlobRefused")
    expect(ids).toHaveLength(9)
    // Answers that nobody waits for do nothing.
    busy.receive("p", { kind: "data", requestId: 4, offset: 0, total: 10, bytes: new Uint8Array(10) })
    busy.receive("q", { kind: "error", requestId: 4, error: "busy" })
  })
})
