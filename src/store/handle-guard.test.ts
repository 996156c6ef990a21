/** HND-R1 to HND-R3, HND-R6: nothing is used after it was released, and nothing is released while it is used. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, describe, expect, it, vi } from "vitest"
import { FREE_DEADLINE_MS, HandleGuard, nextHandleId } from "./handle-guard.ts"

afterEach(() => vi.useRealTimers())

describe("a guard", () => {
  it("HND-R1: in a thousand orders of operations and releases, no operation meets what was released", async () => {
    let seed = 1
    const draw = (below: number) => {
      seed = (seed * 48_271) % 0x7fffffff
      return seed % below
    }
    const turn = () => new Promise<void>((resolve) => setTimeout(resolve, draw(2)))
    let met = 0
    let refused = 0
    const once = async () => {
      const inner = { poisoned: false, releases: 0 }
      const guard = new HandleGuard()
      const operation = async () => {
        for (let wait = draw(3); wait > 0; wait--) await Promise.resolve()
        const op = guard.tryEnter()
        if (op === null) {
          refused++
          return
        }
        for (let wait = draw(4); wait > 0; wait--) {
          if (inner.poisoned) met++
          await (draw(3) === 0 ? turn() : Promise.resolve())
        }
        if (inner.poisoned) met++
        op.exit()
        if (draw(2) === 0) op[Symbol.dispose]()
      }
      const free = async () => {
        for (let wait = draw(6); wait > 0; wait--) await Promise.resolve()
        if ((await guard.beginFree()) !== "drained") return
        inner.releases++
        inner.poisoned = true
      }
      await Promise.all([operation(), operation(), free(), operation(), free(), operation()])
      expect(inner.releases).toBe(1)
    }
    for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 50 }, once))
    expect(met).toBe(0)
    expect(refused).toBeGreaterThan(100)
  })

  it("HND-R2: a second release has nothing to do, and says nothing", async () => {
    const warnings: unknown[] = []
    const guard = new HandleGuard((error) => warnings.push(error))
    const op = guard.tryEnter()
    const [first, second] = [guard.beginFree(), guard.beginFree()]
    expect(await second).toBe("already-freeing")
    op?.exit()
    expect([await first, await guard.beginFree(), guard.tryEnter(), warnings]).toEqual(["drained", "already-freeing", null, []])
    await expect(guard.run(async () => 1)).rejects.toMatchObject({ code: "HandleClosed" })
  })

  it("HND-R3: a release during a long operation gives up at its deadline, with one warning, and the operation ends as usual", async () => {
    vi.useFakeTimers()
    const warnings: string[] = []
    const guard = new HandleGuard(({ code }) => warnings.push(code))
    const long = guard.run(() => new Promise<string>((resolve) => setTimeout(() => resolve("done"), 2 * FREE_DEADLINE_MS)))
    const free = guard.beginFree()
    await vi.advanceTimersByTimeAsync(FREE_DEADLINE_MS)
    expect(await free).toBe("timed-out")
    await vi.advanceTimersByTimeAsync(FREE_DEADLINE_MS)
    expect([await long, warnings]).toEqual(["done", ["HandleClosed"]])
  })

  it("ids are never used twice", () => {
    const ids = Array.from({ length: 1_000 }, nextHandleId)
    expect(new Set(ids).size).toBe(1_000)
  })
})

describe("HND-R6: the list that every class with a guard keeps to", () => {
  const root = new URL("../..", import.meta.url).pathname
  const files = ["src", "workers"].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts") && !name.endsWith(".test.ts"))
      .map((name) => ({ name: join(folder, name), text: readFileSync(join(root, folder, name), "utf8") })),
  )
  const holders = files.filter(({ text }) => text.includes("new HandleGuard("))

  it("there is one", () => expect(holders.map(({ name }) => name)).toContain("src/store/log/remote-log.ts"))

  it("every public operation enters the guard; the inner resource goes only when it is drained; forgetting is counted", () => {
    for (const { name, text } of holders) {
      const [, body = ""] = /class \w+ implements [^{]+\{([\s\S]*?)\n\}/.exec(text) ?? []
      const methods = [...body.matchAll(/^ {2}(?:async )?(\w+|\[Symbol\.\w+\])\([\s\S]*?\n {2}\}/gm)].filter(
        ([, of]) => of !== "constructor",
      )
      expect(methods.length, name).toBeGreaterThan(2)
      for (const [source, method] of methods) {
        const closes = method === "close" || String(method).startsWith("[Symbol.")
        expect(source, `${name} ${method}`).toMatch(closes ? /close\(\)|#closing/ : /#guard\.(run|tryEnter)\(/)
      }
      expect(text, name).toMatch(/beginFree\(\)[\s\S]*?"drained"/)
      expect(text, name).toMatch(/forgotten\.register\(/)
    }
  })

  it("memory of WASM modules is freed where it was taken, and nothing of it leaves the module uncopied", () => {
    const freeing = files.filter(({ text }) => /\.free\(\)/.test(text))
    expect(freeing.map(({ name }) => name)).toEqual(["src/fountain/codec.ts"])
    for (const { text } of freeing)
      expect(text.match(/\.free\(\)/g)?.length).toBe(text.match(/finally \{\n\s+\w+\.free\(\)/g)?.length)
  })
})
