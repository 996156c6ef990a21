import { describe, expect, it } from "vitest"
import { utf8Encode } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import { FakeDirectory } from "./fake-opfs.ts"
import { fetchTree, treeId } from "./fetch-tree.ts"
import { parseCurrent, readCurrent, writeCurrent } from "./opfs-current.ts"
import { OpfsTreeSink, openOpfsTree } from "./opfs-sink.ts"
import { SharedTree } from "./shared-tree.ts"
import { bytesInFlight, codeOf, file, wired } from "./test-trees.ts"

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
