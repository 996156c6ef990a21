/** Trees over a wire that may lie, to the disk (DIR-R1 to R11, end to end). */
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, stat, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { sha256Sync } from "../crypto/index.ts"
import { type BlobRef, encodeManifest, TREE_CHUNK, type TreeEntry } from "../store/tree/manifest.ts"
import { equalBytes, toHex, utf8Encode } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"
import { FakeDirectory } from "./fake-opfs.ts"
import { fetchTree, treeId } from "./fetch-tree.ts"
import { NodeTreeSink } from "./node-sink.ts"
import { OpfsTreeSink } from "./opfs-sink.ts"
import { SharedTree } from "./shared-tree.ts"
import type { TreeSink } from "./sink.ts"
import { bytesInFlight, codeOf, file, HOME, offering, pattern, wired } from "./test-trees.ts"

let folder = ""
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "holomesh-transfer-"))
})
afterEach(async () => rm(folder, { recursive: true, force: true }))

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
