/** What asks announcements and vectors in files: no room, no key. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Program, refusal } from "../testing/program.ts"

const folder = mkdtempSync(join(tmpdir(), "holomesh-offline-"))
const at = (name: string) => join(folder, name)
const VECTORS = new URL("../../conformance/vectors/", import.meta.url).pathname
let program: Program
const run = (...args: string[]) => program.run(...args)

beforeAll(async () => {
  program = await Program.build("offline")
  await run("identity", "new", at("key.toml"))
}, 60_000)
afterAll(() => {
  program?.close()
  rmSync(folder, { recursive: true, force: true })
})

describe("cap query FILE", () => {
  const announce = (name: string, ...tags: string[]) =>
    run("cap", "announce", "--key", at("key.toml"), "--out", at(name), "--tag", ...tags)
  const query = (...args: string[]) => run("cap", "query", at("a"), at("b"), ...args)
  const tagsOf = (out: string) =>
    out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).tags)

  beforeAll(async () => {
    expect((await announce("a", "nrpc:echo", "region:eu")).status).toBe(0)
    expect((await announce("b", "nrpc:echo", "nrpc:captions", "region:us", "--format", "bin")).status).toBe(0)
  }, 60_000)

  test("prints the announcements that have everything that is asked for", async () => {
    const [all, tag, prefix, service] = await Promise.all([
      query(),
      query("--tag", "region:eu"),
      query("--tag", "region:*", "--service", "Echo"),
      query("--service", "echo", "captions"),
    ])
    expect([all.status, tagsOf(all.out).length]).toEqual([0, 2])
    expect(all.out).toContain(readFileSync(at("a"), "utf8"))
    expect(tagsOf(tag.out)).toEqual([["nrpc:echo", "region:eu"]])
    expect(tagsOf(prefix.out)).toHaveLength(2)
    expect(tagsOf(service.out)).toEqual([["nrpc:captions", "nrpc:echo", "region:us"]])
  })

  test("nothing that matches is 10; a wrong signature, a wrong question and no file have their own status", async () => {
    writeFileSync(at("forged"), readFileSync(at("a"), "utf8").replace("region:eu", "region:us"))
    const outcomes = await Promise.all([
      query("--tag", "region:asia"),
      query("--meta", "owner=ada"),
      run("cap", "query", at("forged")),
      query("--tag", "two words"),
      query("--service", "no spaces"),
      query("--meta", "owner"),
      query("--callable"),
      query("--callable", "--service", "echo"),
      run("cap", "query", at("nowhere")),
      run("cap", "query", at("key.toml")),
      run("cap", "query"),
    ])
    expect(outcomes.map(refusal)).toEqual([
      [10, undefined, ""],
      [10, undefined, ""],
      [3, "bad-signature", ""],
      [2, "bad-tag", ""],
      [2, "bad-service", ""],
      [2, "bad-meta", ""],
      [2, "usage", ""],
      [2, "usage", ""],
      [1, "unreadable-announcement", ""],
      [2, "bad-announcement", ""],
      [2, "usage", ""],
    ])
  })
})

describe("conformance", () => {
  test("answers vectors of every format by the built program", async () => {
    const files = ["wire-room.json", "keys.json", "mls-0x004d-verdict.json", "holonomic.json"].map((name) => join(VECTORS, name))
    const [text, json] = await Promise.all([run("conformance", ...files), run("conformance", "--json", ...files)])
    expect([text.status, text.error]).toEqual([0, ""])
    expect(text.out).toMatch(/\n\d{3,} passed, 0 failed, 0 skipped\n$/)
    const lines = json.out
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line))
    const sums = lines.pop()
    expect(sums).toMatchObject({ failed: 0, skipped: 0, without_runner: [] })
    expect(lines.reduce((sum, { passed }) => sum + passed, 0)).toBe(sums.passed)
    expect(new Set(lines.map(({ file }) => file)).size).toBe(4)
  }, 120_000)

  test("a case that disagrees is 1 and named; so is a section that nothing answers", async () => {
    mkdirSync(at("vectors"))
    const file = JSON.parse(readFileSync(join(VECTORS, "public/holonomic.json"), "utf8")) as Record<string, unknown>[]
    const wrong = JSON.stringify(file).replaceAll(/"expected_(\w+)":"../g, '"expected_$1":"zz')
    writeFileSync(at("vectors/wrong.json"), wrong)
    const [failed, all] = await Promise.all([run("conformance", at("vectors")), run("conformance", "--verbose", at("vectors"))])
    expect([failed.status, failed.error]).toEqual([1, ""])
    expect(failed.out).toMatch(/^ {2}\w+\[0\]: .+$/m)
    expect(all.out.length).toBeGreaterThanOrEqual(failed.out.length)
    writeFileSync(at("unknown.json"), JSON.stringify({ format: "room-vectors/1", sections: { nobody_knows: [1] } }))
    const unknown = await run("conformance", at("unknown.json"))
    expect([unknown.status, unknown.out]).toEqual([1, "no runner: nobody_knows\n0 passed, 0 failed, 1 skipped\n"])
  }, 120_000)

  test("what is no vector file is a mistake of whoever named it", async () => {
    writeFileSync(at("odd.json"), "{}")
    writeFileSync(at("broken.json"), "{")
    mkdirSync(at("empty"))
    const outcomes = await Promise.all([
      run("conformance", at("odd.json")),
      run("conformance", at("broken.json")),
      run("conformance", at("nowhere.json")),
      run("conformance", at("empty")),
      run("conformance"),
    ])
    expect(outcomes.map(refusal)).toEqual([
      [2, "bad-vectors", ""],
      [2, "bad-vectors", ""],
      [2, "no-vectors", ""],
      [2, "no-vectors", ""],
      [2, "usage", ""],
    ])
  })
})

test("the long names of serve and relay are the same commands", async () => {
  const [serve, rendezvous, relay, relayServe] = await Promise.all([
    run("serve", "--help"),
    run("rendezvous", "serve", "--help"),
    run("relay", "--help"),
    run("relay", "serve", "--help"),
  ])
  expect([rendezvous.status, rendezvous.out, relayServe.status, relayServe.out]).toEqual([0, serve.out, 0, relay.out])
  expect(serve.out).not.toBe(relay.out)
  const table = readFileSync(new URL("../../docs/operations.md", import.meta.url), "utf8")
  const options = [...serve.out.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, option]) => option)
  expect(options.length).toBeGreaterThan(10)
  // What is left out there is what every program has.
  expect(options.filter((option) => !table.includes(`\`${option}`) && option !== "--help")).toEqual([])
})
