/** What a folder on the disk is when it is shared, and what stays of the target when something is in the way. */
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { MAX_PATH_DEPTH } from "../store/tree/paths.ts"
import { fetchTree, SharedTree } from "./index.ts"
import { NodeTreeSink } from "./node-sink.ts"
import { readNodeTree } from "./node-source.ts"

const folder = mkdtempSync(join(tmpdir(), "holomesh-source-"))
const at = (name: string) => join(folder, name)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("a folder", () => {
  it("is listed with permissions and links, which are not followed; what cannot travel is named", async () => {
    mkdirSync(at("trip/notes"), { recursive: true })
    writeFileSync(at("trip/notes/a.txt"), "hello")
    chmodSync(at("trip/notes/a.txt"), 0o4640)
    symlinkSync("notes", at("trip/latest"))
    symlinkSync("nowhere", at("trip/broken"))
    execFileSync("mkfifo", [at("trip/pipe")])
    symlinkSync("trip", at("way"))
    const tree = await readNodeTree(at("way"))
    const listed = tree.entries.map(({ path, kind, mode, target }) => [path, kind, kind === "file" ? mode : 0, target])
    expect(listed).toEqual([
      ["broken", "symlink", 0, "nowhere"],
      ["latest", "symlink", 0, "notes"],
      ["notes", "dir", 0, undefined],
      ["notes/a.txt", "file", 0o640, undefined],
    ])
    expect([tree.name, tree.skipped]).toEqual(["way", ["pipe"]])
    const one = await readNodeTree(at("trip/notes/a.txt"))
    expect(one.entries.map(({ path, source }) => [path, source?.size])).toEqual([["a.txt", 5]])
  })

  it("is read when somebody asks, in parts, and not any more once a file has changed", async () => {
    writeFileSync(at("one"), "0123456789")
    const { entries } = await readNodeTree(at("one"))
    const { source } = entries[0]!
    expect(new TextDecoder().decode(await source!.read(3, 4))).toBe("3456")
    await expect(source!.read(8, 4)).rejects.toMatchObject({ code: "StoreError", details: { what: "short read", path: "one" } })
    writeFileSync(at("one"), "abcdefghij")
    utimesSync(at("one"), 1, 1)
    await expect(source!.read(0, 4)).rejects.toMatchObject({ code: "StoreError", details: { what: "changed" } })
    rmSync(at("one"))
    symlinkSync("trip/notes/a.txt", at("one"))
    await expect(source!.read(0, 4)).rejects.toMatchObject({ code: "StoreError", details: { what: "read" } })
  })

  it("that is not there, or deeper than anybody takes it, is refused by name; listing can be stopped", async () => {
    await expect(readNodeTree(at("nowhere"))).rejects.toMatchObject({ code: "StoreError", details: { path: at("nowhere") } })
    await expect(readNodeTree(at("trip/pipe"))).rejects.toMatchObject({ details: { what: "neither file nor folder" } })
    mkdirSync(join(at("deep"), ...Array.from({ length: MAX_PATH_DEPTH + 1 }, () => "d")), { recursive: true })
    await expect(readNodeTree(at("deep"))).rejects.toMatchObject({ code: "UnsafePath", details: { why: "limit" } })
    await expect(readNodeTree(at("trip"), { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "Aborted" })
  })
})

describe("a target that shall not be replaced", () => {
  async function fetchTo(target: string, options = {}): Promise<NodeTreeSink> {
    const { entries } = await readNodeTree(at("source"))
    const tree = await SharedTree.of(entries)
    const get = async (id: Uint8Array) => (await tree.read(id))!
    const sink = new NodeTreeSink(target, { replace: false, ...options })
    await fetchTree({ ref: tree.ref, get, sink, bytesInFlight: 1_000_000 })
    return sink
  }

  it("may be nothing or an empty folder; anything else stays as it is", async () => {
    mkdirSync(at("source"))
    writeFileSync(at("source/new"), "new")
    mkdirSync(at("places/empty"), { recursive: true })
    mkdirSync(at("places/full"))
    writeFileSync(at("places/full/mine"), "mine")
    writeFileSync(at("places/file"), "mine")
    await fetchTo(at("places/nothing"))
    await fetchTo(at("places/empty"))
    for (const name of ["full", "file"]) {
      await expect(fetchTo(at(`places/${name}`))).rejects.toMatchObject({
        code: "StoreError",
        details: { what: "destination exists" },
      })
    }
    expect(readdirSync(at("places"))).toEqual(["empty", "file", "full", "nothing"])
    expect([readdirSync(at("places/nothing")), readdirSync(at("places/empty"))]).toEqual([["new"], ["new"]])
    expect([readFileSync(at("places/full/mine"), "utf8"), readFileSync(at("places/file"), "utf8")]).toEqual(["mine", "mine"])
  })

  it("with resume keeps what came until it is discarded", async () => {
    const sink = new NodeTreeSink(at("places/full"), { replace: false, resume: true })
    const { entries } = await readNodeTree(at("source"))
    const tree = await SharedTree.of(entries)
    const get = async (id: Uint8Array) => (await tree.read(id))!
    await expect(fetchTree({ ref: tree.ref, get, sink, bytesInFlight: 1_000_000 })).rejects.toMatchObject({ code: "StoreError" })
    expect(readdirSync(at("places")).filter((name) => name.startsWith(".full.fetch_"))).toHaveLength(1)
    await sink.discard()
    await sink.discard()
    expect(readdirSync(at("places"))).toEqual(["empty", "file", "full", "nothing"])
  })
})
