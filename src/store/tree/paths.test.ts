import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { codeOf } from "../../wire/testing.ts"
import { findUnsafePath, foldComponent, requireSafePaths, type TreePath, type TreePlatform } from "./paths.ts"

const file = (path: string): TreePath => ({ path, kind: "file" })
const dir = (path: string): TreePath => ({ path, kind: "dir" })
const link = (path: string, target: string): TreePath => ({ path, kind: "symlink", target })
const fault = (entries: TreePath[], platform: TreePlatform = "posix") => findUnsafePath(entries, platform)?.fault ?? "ok"

describe("paths of a foreign tree", () => {
  it("DIR-R1: neither leave the root nor hide control characters", () => {
    expect(
      ["", "/a", "a//b", "a/", "./a", "a/..", "../a", "a\0b", "a\x1fb", "a\x7fb", "a\\b", "\ud800"].map((path) =>
        fault([file(path)]),
      ),
    ).toEqual([
      "empty",
      "absolute",
      "component",
      "component",
      "component",
      "component",
      "component",
      "character",
      "character",
      "character",
      "character",
      "character",
    ])
    expect(["a", "a.b", "...", " a", "a:b", "ä/é", "con", "a."].map((path) => fault([file(path)]))).toEqual(Array(8).fill("ok"))
  })

  it("are refused where Windows or the browser could not hold them", () => {
    const bad = ["a:b", "a*", 'a"', "a|b", "a.", "a ", "x/CON", "nul.txt", "LPT9.a.b", "com1"]
    for (const platform of ["windows", "opfs"] as const) {
      expect(bad.filter((path) => fault([file(path)], platform) === "ok")).toEqual([])
      expect(["console", "com0", "com10", "a.b", "nulls.txt"].filter((path) => fault([file(path)], platform) !== "ok")).toEqual(
        [],
      )
    }
  })

  it("DIR-R11: keep to each limit", () => {
    const long = (bytes: number) =>
      Array.from({ length: Math.ceil(bytes / 200) }, () => "x".repeat(199))
        .join("/")
        .slice(0, bytes)
    expect([long(1_024), long(1_025)].map((path) => fault([file(path)]))).toEqual(["ok", "limit"])
    expect([64, 65].map((depth) => fault([file(Array(depth).fill("d").join("/"))]))).toEqual(["ok", "limit"])
    expect(["x".repeat(255), "x".repeat(256), "é".repeat(128)].map((path) => fault([file(path)]))).toEqual([
      "ok",
      "limit",
      "limit",
    ])
  })

  it("DIR-R4, R5, R6: do not meet on a file system that folds case or form", () => {
    for (const make of [file, dir, (path: string) => link(path, "t")]) {
      for (const other of [file, dir, (path: string) => link(path, "t")]) {
        expect([
          fault([make("a"), other("A")]),
          fault([make("é"), other("e\u0301")]),
          fault([make("x/Y"), other("X/y")]),
        ]).toEqual(Array(3).fill("collision"))
      }
    }
    expect(findUnsafePath([file("b"), file("a"), dir("B")], "posix")).toEqual({ index: 2, fault: "collision" })
    expect(foldComponent("\u212a\u0301")).toBe(foldComponent("K\u0301"))
  })

  it("DIR-R3: do not lie below a file or a link, in any spelling", () => {
    expect([
      fault([file("a"), file("a/b")]),
      fault([link("L", "t"), dir("l/x/y")]),
      fault([dir("a"), file("a/b")]),
      fault([file("a/b/c"), file("a/B")]),
    ]).toEqual(["below a file or link", "below a file or link", "ok", "below a file or link"])
  })

  it("DIR-R1, R2: have links that stay inside, also when links meet", () => {
    const bad: [TreePath[], string][] = [
      [[link("l", "")], "target"],
      [[link("l", "/etc")], "target"],
      [[link("l", "a\\b")], "target"],
      [[link("l", "a\0")], "target"],
      [[link("l", "C:")], "target"],
      [[link("l", "../etc")], "target escapes"],
      [[link("a/b/link", "../../../../etc")], "target escapes"],
      [[link("a/x", "b/../../../c")], "target escapes"],
      [[link("a", "."), link("b", "a/sub/../../etc")], "target through a link"],
      [[link("A", "."), link("b", "a/x")], "target through a link"],
      [[link("\u00e9", "."), link("b", "e\u0301/x")], "target through a link"],
      [[dir("d"), link("d/l", "."), link("m", "d/./l/../../../x")], "target through a link"],
    ]
    for (const [entries, expected] of bad)
      expect([entries.at(-1)?.target, fault(entries)]).toEqual([entries.at(-1)?.target, expected])
    const good = [
      [link("a/b/l", "../../x")],
      [link("l", ".")],
      [link("a", "."), link("b", "a")],
      [link("d/l", "..")],
      [link("l", "a//./b")],
    ]
    for (const entries of good) expect(fault(entries)).toBe("ok")
  })

  it("refuse the whole tree with the place of the first fault", () => {
    expect(codeOf(() => requireSafePaths([file("a"), file("..")], "posix"))).toBe("UnsafePath")
    expect(codeOf(() => requireSafePaths([file("a"), dir("b")], "opfs"))).toBeUndefined()
  })

  it("once accepted, write and link nothing outside of the root, whatever the file system folds", () => {
    const name = fc.constantFrom("a", "A", "b", "\u00e9", "e\u0301", "..", ".", "")
    const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"))
    const entry = fc.record({ path, kind: fc.constantFrom("file" as const, "dir" as const, "symlink" as const), target: path })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
        if (findUnsafePath(entries, "posix") !== undefined) return
        const disk = new FoldingDisk()
        for (const kind of ["dir", "file", "symlink"] as const) {
          for (const one of entries) if (one.kind === kind) disk.create(one)
        }
        for (const { path: place, kind } of entries) {
          // Declared links lead to places inside or nowhere; following them must never reach above the root.
          if (kind === "symlink") disk.follow(place.split("/"), 0)
        }
      }),
      { numRuns: 20_000 },
    )
  })
})

/** A file system that ignores case and form, follows links, and throws when anything leaves the root or is written through a link. */
class FoldingDisk {
  readonly #entries = new Map<string, TreePath>()

  create(entry: TreePath): void {
    const parts = entry.path.split("/").map(foldComponent)
    for (let i = 1; i < parts.length; i++) {
      const parent = this.#entries.get(parts.slice(0, i).join("/"))
      if (parent !== undefined && parent.kind !== "dir") throw new Error(`wrote through ${parent.path}`)
    }
    if (this.#entries.has(parts.join("/"))) throw new Error(`overwrote ${entry.path}`)
    this.#entries.set(parts.join("/"), entry)
  }

  /** Resolves as an operating system does: link by link, `..` after the link is followed. */
  follow(path: readonly string[], hops: number): string[] | undefined {
    if (hops > 20) return undefined
    let here: string[] = []
    for (const [i, part] of path.entries()) {
      if (part === "" || part === ".") continue
      if (part === "..") {
        if (here.length === 0) throw new Error(`left the root by ${path.join("/")}`)
        here = here.slice(0, -1)
        continue
      }
      const next = [...here, foldComponent(part)]
      const entry = this.#entries.get(next.join("/"))
      if (entry?.kind === "symlink")
        return this.follow([...here, ...(entry.target ?? "").split("/"), ...path.slice(i + 1)], hops + 1)
      here = next
    }
    return here
  }
}
