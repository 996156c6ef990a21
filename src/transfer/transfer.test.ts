/** Trees over a wire that may lie, to the disk and to the browser's file system (DIR-R1 to R11, end to end). */
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { sha256Sync } from "../crypto/index.ts"
import { type BlobRef, encodeManifest, TREE_CHUNK, type TreeEntry } from "../store/tree/manifest.ts"
import { decodeBlobFrame, encodeBlobFrame } from "../wire/blob-frame.ts"
import { equalBytes, toHex, utf8Encode } from "../wire/bytes.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { BlobClient } from "./blob-client.ts"
import { BlobServer } from "./blob-server.ts"
import { FakeDirectory } from "./fake-opfs.ts"
import { fetchTree, treeId } from "./fetch-tree.ts"
import { NodeTreeSink } from "./node-sink.ts"
import { parseCurrent, readCurrent, writeCurrent } from "./opfs-current.ts"
import { OpfsTreeSink, openOpfsTree } from "./opfs-sink.ts"
import { SharedTree, type SourceEntry, sourceOf } from "./shared-tree.ts"
import type { TreeSink } from "./sink.ts"

const file = (path: string, content: string | Bytes, mode = 0o644): SourceEntry => {
  return { path, kind: "file", mode, source: sourceOf(typeof content === "string" ? utf8Encode(content) : content) }
}
const pattern = (length: number, seed = 1) => Uint8Array.from({ length }, (_, i) => (i * seed + (i >> 8)) & 0xff)
const HOME: SourceEntry[] = [
  { path: "docs", kind: "dir", mode: 0o755 },
  file("docs/a.txt", "hello"),
  file("docs/empty", ""),
  file("docs/deep/er/b.bin", pattern(3 * TREE_CHUNK + 7)),
  { path: "docs/link", kind: "symlink", mode: 0, target: "deep/er/b.bin" },
  file("run.sh", "#!/bin/sh\n", 0o755),
]

/** A client and a server with a wire in between that a test may bend. */
function wired(tree: { read(id: Bytes): Promise<Bytes | undefined> }, bend: (payload: Bytes) => Bytes | undefined = (p) => p) {
  let asked = 0
  const after = (ms: number, action: () => void) => {
    const timer = setTimeout(action, ms)
    return () => clearTimeout(timer)
  }
  const server = new BlobServer({
    admits: () => true,
    read: (id) => tree.read(id),
    room: async () => true,
    send(_peer, payload) {
      const bent = bend(payload)
      const frame = bent && decodeBlobFrame(bent)
      if (frame !== undefined && frame.kind !== "get") queueMicrotask(() => client.receive("server", frame))
    },
  })
  const client: BlobClient = new BlobClient({
    after,
    send(_peer, payload) {
      asked++
      const frame = decodeBlobFrame(payload)
      if (frame.kind === "get") server.get("client", frame)
    },
  })
  const get = (id: Bytes, length: number, signal: AbortSignal) => client.fetch("server", id, length, signal)
  return { client, server, get, asked: () => asked }
}

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
    return undefined
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
}

/** A source that offers a manifest no honest one would make. */
function offering(manifest: Bytes, files: ReadonlyMap<string, Bytes> = new Map()) {
  const chunks: Bytes[] = []
  const known = new Map(files)
  for (let offset = 0; offset < manifest.length; offset += TREE_CHUNK) {
    const chunk = manifest.subarray(offset, offset + TREE_CHUNK)
    chunks.push(sha256Sync(chunk))
    known.set(toHex(sha256Sync(chunk)), chunk)
  }
  const ref: BlobRef = { size: manifest.length, chunks }
  return { ref, read: async (id: Bytes) => known.get(toHex(id)) }
}

let folder = ""
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "holomesh-transfer-"))
})
afterEach(async () => rm(folder, { recursive: true, force: true }))
const bytesInFlight = 8 * TREE_CHUNK

describe("a tree", () => {
  it("arrives on the disk as it was: contents, permissions, links, nothing beside it", async () => {
    const tree = await SharedTree.of(HOME)
    const { get } = wired(tree)
    const told: number[] = []
    const sink = new NodeTreeSink(join(folder, "got"))
    await fetchTree({ ref: tree.ref, get, sink, bytesInFlight, onProgress: ({ bytes }) => told.push(bytes) })
    expect(await readFile(join(folder, "got/docs/a.txt"), "utf8")).toBe("hello")
    expect((await stat(join(folder, "got/docs/empty"))).size).toBe(0)
    const big = new Uint8Array(await readFile(join(folder, "got/docs/deep/er/b.bin")))
    expect(equalBytes(big, pattern(3 * TREE_CHUNK + 7))).toBe(true)
    expect(await readlink(join(folder, "got/docs/link"))).toBe("deep/er/b.bin")
    expect((await stat(join(folder, "got/run.sh"))).mode & 0o7777).toBe(0o755)
    expect(await readdir(folder)).toEqual(["got"])
    expect(told.at(-1)).toBe(tree.totalBytes)
    expect(told).toEqual([...told].sort((a, b) => a - b))
  })

  it("DIR-R8: replaces what was there as a whole, or leaves it as it was", async () => {
    const place = join(folder, "got")
    await mkdir(place)
    await writeFile(join(place, "old"), "old")
    const tree = await SharedTree.of(HOME)
    const broken = wired({ read: async (id) => (equalBytes(id, tree.ref.chunks[0]!) ? tree.read(id) : undefined) })
    const sink = new NodeTreeSink(place)
    expect(await codeOf(fetchTree({ ref: tree.ref, get: broken.get, sink, bytesInFlight }))).toBe("BlobNotFound")
    expect(await readdir(folder)).toEqual(["got"])
    expect(await readdir(place)).toEqual(["old"])
    const { get } = wired(tree)
    await fetchTree({ ref: tree.ref, get, sink: new NodeTreeSink(place), bytesInFlight })
    expect((await readdir(place)).sort()).toEqual(["docs", "run.sh"])
    expect(await readdir(folder)).toEqual(["got"])
  })

  it("DIR-R7: brings no special permissions, whatever its manifest says", async () => {
    const chunk = utf8Encode("x")
    const entries: TreeEntry[] = [{ path: "a", kind: "file", mode: 0o6755, blob: { size: 1, chunks: [sha256Sync(chunk)] } }]
    const source = offering(encodeManifest(entries), new Map([[toHex(sha256Sync(chunk)), chunk]]))
    await fetchTree({ ...source, get: wired(source).get, sink: new NodeTreeSink(join(folder, "got")), bytesInFlight })
    expect((await stat(join(folder, "got/a"))).mode & 0o7777).toBe(0o755)
  })

  it("is not written at all by a hostile manifest (DIR-R1 to R6, R11)", async () => {
    const none: BlobRef = { size: 0, chunks: [] }
    const f = (path: string): TreeEntry => ({ path, kind: "file", mode: 0, blob: none })
    const l = (path: string, target: string): TreeEntry => ({ path, kind: "symlink", mode: 0, target })
    const d = (path: string): TreeEntry => ({ path, kind: "dir", mode: 0 })
    const hostile: [string, TreeEntry[]][] = [
      ["parent", [f("../evil")]],
      ["parent inside", [f("a/../../evil")]],
      ["absolute", [f("/etc/passwd")]],
      ["empty component", [f("a//b")]],
      ["backslash", [f("a\\..\\..\\evil")]],
      ["nul", [f("a\0b")]],
      ["control", [f("a\nb")]],
      ["link out", [l("l", "../../etc/passwd")]],
      ["absolute link", [l("l", "/etc")]],
      ["drive link", [l("l", "c:\\windows")]],
      ["links that meet", [l("a", "."), l("b", "a/x/../../../etc")]],
      ["below a link", [l("l", "d"), f("l/evil")]],
      ["below a link in another case", [l("L", "d"), f("l/evil")]],
      ["below a file", [f("a"), f("a/b")]],
      ["same in another case", [f("a"), f("A")]],
      ["same in another form", [f("\u00e9"), f("e\u0301")]],
      ["file and link", [f("x"), l("X", "y")]],
      ["directory and file", [d("x"), f("X")]],
      ["too deep", [f(Array(65).fill("d").join("/"))]],
      ["too long", [f("x".repeat(256))]],
    ]
    for (const [what, entries] of hostile) {
      const source = offering(encodeManifest(entries))
      for (const sink of [new NodeTreeSink(join(folder, "got")), new OpfsTreeSink(new FakeDirectory().handle)]) {
        expect([what, await codeOf(fetchTree({ ...source, get: wired(source).get, sink, bytesInFlight }))]).toEqual([
          what,
          "UnsafePath",
        ])
      }
    }
    const reserved = offering(encodeManifest([f("CON.txt")]))
    for (const platform of ["windows"] as const) {
      const sink = new NodeTreeSink(join(folder, "got"), { platform })
      expect(await codeOf(fetchTree({ ...reserved, get: wired(reserved).get, sink, bytesInFlight }))).toBe("UnsafePath")
    }
    expect(await readdir(folder)).toEqual([])
  })

  it("DIR-R11: is refused above each limit before anything is asked for, and taken at it", async () => {
    const tree = await SharedTree.of([file("a", "12345"), file("b", "1")])
    const run = async (limits: object, ref = tree.ref) => {
      const { get, asked } = wired(tree)
      const code = await codeOf(fetchTree({ ref, get, sink: new NodeTreeSink(join(folder, "got")), bytesInFlight, limits }))
      return [code, asked()]
    }
    expect(await run({ totalBytes: 6 })).toEqual([undefined, 3])
    expect(await run({ totalBytes: 5 })).toEqual(["TooLarge", 1])
    expect(await run({ entries: 1 })).toEqual(["TooLarge", 1])
    expect(await run({ manifestBytes: tree.ref.size })).toEqual([undefined, 3])
    expect(await run({ manifestBytes: tree.ref.size - 1 })).toEqual(["TooLarge", 0])
    expect(await run({}, { size: 2 * TREE_CHUNK, chunks: tree.ref.chunks })).toEqual(["UsageError", 0])
    expect(await codeOf(SharedTree.of([file("a", "12345")], { limits: { totalBytes: 4 } }))).toBe("TooLarge")
    expect(await codeOf(SharedTree.of([file("a:b", "1")]))).toBe("UnsafePath")
  })

  it("is as long as what was fetched when it ends halfway, and goes on from there where that is wanted", async () => {
    const content = pattern(6 * TREE_CHUNK, 3)
    const tree = await SharedTree.of([file("big", content), file("small", "s")])
    const fake = new FakeDirectory()
    const places: [string, () => TreeSink][] = [
      ["disk", () => new NodeTreeSink(join(folder, "got"), { resume: true })],
      ["opfs", () => new OpfsTreeSink(fake.handle, { bytesLeft: async () => 1e9 })],
    ]
    for (const [what, sink] of places) {
      let served = 0
      const first = wired({ read: async (id) => (++served > 4 ? undefined : tree.read(id)) })
      const one = { ref: tree.ref, sink: sink(), bytesInFlight: TREE_CHUNK }
      expect([what, await codeOf(fetchTree({ ...one, get: first.get }))]).toEqual([what, "BlobNotFound"])
      const second = wired(tree)
      await fetchTree({ ...one, sink: sink(), get: second.get })
      // The manifest and what was missing; of seven chunks three were there.
      expect([what, second.asked()]).toEqual([what, 1 + 7 - 3])
    }
    expect(equalBytes(new Uint8Array(await readFile(join(folder, "got/big"))), content)).toBe(true)
    expect((await readdir(folder)).sort()).toEqual(["got"])
  })

  it("does not go on from what somebody else put there", async () => {
    const tree = await SharedTree.of([file("a/big", pattern(2 * TREE_CHUNK))])
    const place = join(folder, `.got.fetch_${treeId(tree.ref)}`)
    await mkdir(join(folder, "elsewhere"))
    const attempt = () => {
      const sink = new NodeTreeSink(join(folder, "got"), { resume: true })
      return codeOf(fetchTree({ ref: tree.ref, get: wired(tree).get, sink, bytesInFlight }))
    }
    await symlink(join(folder, "elsewhere"), place)
    expect(await attempt()).toBe("StoreError")
    await rm(place)
    await mkdir(place)
    await symlink(join(folder, "elsewhere"), join(place, "a"))
    expect(await attempt()).toBe("StoreError")
    await rm(join(place, "a"))
    await writeFile(join(place, "more"), "x")
    expect(await attempt()).toBe("StoreError")
    await rm(join(place, "more"))
    await mkdir(join(place, "a"))
    await writeFile(join(place, "a/big"), pattern(2 * TREE_CHUNK + 5, 9))
    expect(await attempt()).toBe(undefined)
    expect(await readdir(join(folder, "elsewhere"))).toEqual([])
    expect((await lstat(join(folder, "got/a/big"))).size).toBe(2 * TREE_CHUNK)
    expect(equalBytes(new Uint8Array(await readFile(join(folder, "got/a/big"))), pattern(2 * TREE_CHUNK))).toBe(true)
  })

  it("stops when it is aborted, leaves nothing, and asks for no more", async () => {
    const tree = await SharedTree.of([file("big", pattern(20 * TREE_CHUNK, 5))])
    const controller = new AbortController()
    const { get, asked } = wired(tree)
    const sink = new NodeTreeSink(join(folder, "got"))
    const onProgress = ({ bytes }: { bytes: number }) => bytes > 3 * TREE_CHUNK && controller.abort()
    const work = fetchTree({ ref: tree.ref, get, sink, bytesInFlight: TREE_CHUNK, onProgress, signal: controller.signal })
    expect(await codeOf(work)).toBe("Aborted")
    expect(await readdir(folder)).toEqual([])
    expect(asked()).toBeLessThan(10)
  })

  it("keeps within the bytes that may be under way", async () => {
    const tree = await SharedTree.of(Array.from({ length: 12 }, (_, i) => file(`f${i}`, pattern(2 * TREE_CHUNK, i + 1))))
    let now = 0
    let most = 0
    const get = async (id: Bytes, length: number) => {
      now += length
      most = Math.max(most, now)
      await new Promise((resolve) => setTimeout(resolve, 1))
      now -= length
      return (await tree.read(id)) ?? new Uint8Array()
    }
    await fetchTree({ ref: tree.ref, get, sink: new NodeTreeSink(join(folder, "got")), bytesInFlight: 3 * TREE_CHUNK })
    expect(most).toBe(3 * TREE_CHUNK)
  })

  it("that cannot be installed leaves the old one in place", async () => {
    if (process.getuid?.() === 0) return
    const tree = await SharedTree.of([file("a", "1")])
    await mkdir(join(folder, "in"))
    await chmod(join(folder, "in"), 0o500)
    const sink = new NodeTreeSink(join(folder, "in/got"))
    expect(await codeOf(fetchTree({ ref: tree.ref, get: wired(tree).get, sink, bytesInFlight }))).toBe("StoreError")
    await chmod(join(folder, "in"), 0o700)
  })
})

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
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(errors()).toEqual(["busy", "busy", "refused", "not-found"])
    const done = sent
      .map(decodeBlobFrame)
      .filter((frame) => frame.kind === "data" && frame.offset + frame.bytes.length === frame.total)
    expect(done).toHaveLength(17)
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

describe("the browser's file system", () => {
  const bytesLeft = async () => 1e9

  it("holds a tree under CURRENT, with links and permissions beside it, and collects what was replaced", async () => {
    const root = new FakeDirectory()
    for (const text of ["one", "two"]) {
      const tree = await SharedTree.of([file("d/a", text, 0o600), { path: "d/l", kind: "symlink", mode: 0, target: "a" }])
      await fetchTree({ ref: tree.ref, get: wired(tree).get, sink: new OpfsTreeSink(root.handle, { bytesLeft }), bytesInFlight })
      const current = await openOpfsTree(root.handle)
      expect(current?.id).toBe(treeId(tree.ref))
      const list = root.list()
      expect([...list.keys()].sort()).toEqual(["CURRENT", `trees/${current?.id}.links.cbor`, `trees/${current?.id}/d/a`].sort())
      expect(list.get(`trees/${current?.id}/d/a`)).toBe(text)
    }
  })

  it("refuses what there is no room for, and links where they are not wanted", async () => {
    const tree = await SharedTree.of([file("a", "12345"), { path: "l", kind: "symlink", mode: 0, target: "a" }])
    const run = (options: ConstructorParameters<typeof OpfsTreeSink>[1]) => {
      const sink = new OpfsTreeSink(new FakeDirectory().handle, { bytesLeft, ...options })
      return codeOf(fetchTree({ ref: tree.ref, get: wired(tree).get, sink, bytesInFlight }))
    }
    expect(await run({ bytesLeft: async () => 6 })).toBe("QuotaExceeded")
    expect(await run({ bytesLeft: async () => 7 })).toBe(undefined)
    expect(await run({ symlinks: "reject" })).toBe("UnsafePath")
    expect(await run({ symlinks: "skip" })).toBe(undefined)
  })

  it.each([true, false])("DIR-R9: a torn CURRENT is recognised, at every byte (can move: %s)", async (canMove) => {
    const [old, next] = ["0123456789abcdef", "fedcba9876543210"]
    const whole = 38
    for (const which of ["CURRENT.next", "CURRENT"]) {
      for (let length = 0; length < whole; length++) {
        const root = new FakeDirectory("", { canMove })
        for (const id of [old, next])
          await (await root.getDirectoryHandle("trees", { create: true })).getDirectoryHandle(id, { create: true })
        await writeCurrent(root.handle, old)
        root.saving = (name, bytes) => {
          if (name !== which) return bytes
          throw new AvError("StoreError", { what: "died", length })
        }
        // What the disk shows afterwards: the first bytes of the file that was being written.
        const died = await codeOf(writeCurrent(root.handle, next))
        const torn = await root.getFileHandle(which)
        if (died !== undefined)
          torn.bytes = new Uint8Array([...`MTC1 ${next} 0123456789abcdef`].map((c) => c.charCodeAt(0))).slice(0, length)
        const current = await readCurrent(root.handle)
        const expected = died === undefined || which === "CURRENT" ? next : old
        expect([which, length, current?.id]).toEqual([which, length, expected])
      }
    }
    expect(parseCurrent(utf8Encode("MTC1 0123456789abcdef 0000000000000000"))).toBeUndefined()
  })

  it("with a CURRENT that names a tree that is gone has none", async () => {
    const root = new FakeDirectory()
    await writeCurrent(root.handle, "0123456789abcdef")
    expect(await openOpfsTree(root.handle)).toBeUndefined()
    expect(await openOpfsTree(new FakeDirectory().handle)).toBeUndefined()
  })
})
