/** The tables of docs/control-plane.md name tests: each is there, and every number of the specification's lists is named. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"

const ROOT = new URL("..", import.meta.url).pathname
const text = readFileSync(join(ROOT, "docs/control-plane.md"), "utf8")
const tables = text.slice(text.indexOf("## Feature → test"))
/** How many tests each list of the specification has. */
const LISTS = { ID: 7, AUTH: 25, RPC: 15, CHAN: 17, DIR: 11, LOG: 7, CLI: 12, HND: 6 }

interface Named {
  file: string
  parts: string[]
}

/** Files in back quotes, each with the quoted texts and numbers that follow it. */
function namedTests(cells: string): Named[] {
  return [...cells.matchAll(/`([^`\s]+\.(?:test|spec)\.ts)`([^`|\n]*)/g)].map(([, file, rest]) => ({
    file: file as string,
    parts: [...(rest as string).matchAll(/"([^"]+)"|\b([A-Z]+-R\d+b?)\b/g)].map(
      ([, quoted, number]) => (quoted ?? number) as string,
    ),
  }))
}

const pathOf = (file: string) => join(ROOT, /^(e2e|server|conformance|sim)\//.test(file) ? file : join("src", file))

/** Titles say `AUTH-R9, R10` and `DIR-R1 to R6`, too. */
function numbersIn(source: string): Set<string> {
  const found = new Set<string>()
  for (const [, list, first, more] of source.matchAll(/\b([A-Z]+)-R(\d+b?)((?:(?:, | to )R\d+b?)*)/g)) {
    let last = first as string
    found.add(`${list}-R${last}`)
    for (const [, how, next] of (more as string).matchAll(/(, | to )R(\d+b?)/g)) {
      const from = how === " to " ? Number.parseInt(last, 10) + 1 : Number.parseInt(next as string, 10)
      for (let n = from; n < Number.parseInt(next as string, 10); n++) found.add(`${list}-R${n}`)
      found.add(`${list}-R${next}`)
      last = next as string
    }
  }
  return found
}

const named = namedTests(tables)

describe("the tables of docs/control-plane.md", () => {
  it("name many tests", () => expect(named.length).toBeGreaterThan(100))

  it.each([...new Set(named.map(({ file }) => file))])("%s has what they say of it", (file) => {
    expect(existsSync(pathOf(file)), file).toBe(true)
    const source = readFileSync(pathOf(file), "utf8")
    const numbers = numbersIn(source)
    const missing = named
      .filter((test) => test.file === file)
      .flatMap(({ parts }) => parts)
      .filter((part) => !(/^[A-Z]+-R\d+b?$/.test(part) ? numbers.has(part) : source.includes(part)))
    expect(missing).toEqual([])
  })

  it("name every number of the specification's lists", () => {
    const numbers = Object.entries(LISTS).flatMap(([list, count]) => Array.from({ length: count }, (_, i) => `${list}-R${i + 1}`))
    const wanted = [...numbers, ...Array.from({ length: 15 }, (_, i) => `NAT-R${i}`), "AUTH-R8b", "WIRE-R1"]
    const found = new Set(named.flatMap(({ parts }) => parts))
    expect(wanted.filter((number) => !found.has(number))).toEqual([])
  })
})
