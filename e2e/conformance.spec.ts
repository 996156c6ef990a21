/** The vectors of the holonomic part are answered by a browser as by Node, with the same code. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Browser, expect, test } from "@playwright/test"
import { build } from "vite"
import { vectorFiles } from "../conformance/files.ts"
import { launch } from "./own-site.ts"

const at = (path: string) => new URL(path, import.meta.url).pathname
const PUBLIC = ["19", "19_7"].map((folder) => at(`../../shared/vectors/${folder}`)).filter((folder) => existsSync(folder))
const OURS = ["holonomic.json", "holonomic-memory.json", "public/holonomic.json"].map((name) =>
  at(`../conformance/vectors/${name}`),
)

let browser: Browser
let folder: string
test.beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "holomesh-conformance-"))
  await build({
    configFile: false,
    root: at(".."),
    logLevel: "warn",
    resolve: { alias: { "node:assert": at("./conformance/assert.ts") } },
    build: {
      outDir: folder,
      copyPublicDir: false,
      target: "es2022",
      lib: { entry: at("./conformance/page.ts"), formats: ["iife"], name: "page", fileName: () => "page.js" },
    },
  })
  writeFileSync(`${folder}/index.html`, '<!doctype html><meta charset="utf-8"><script src="page.js"></script>')
  browser = await launch()
})
test.afterAll(async () => {
  await browser.close()
  rmSync(folder, { recursive: true, force: true })
})

test("every case is answered as it should be, and a wrong one is noticed", async () => {
  test.setTimeout(120_000)
  const page = await browser.newPage()
  page.on("pageerror", (error) => console.log(error.message))
  await page.goto(`file://${folder}/index.html`)
  const ask = (text: string) => page.evaluate((one) => globalThis.answerVectors(one), text)
  let passed = 0
  for (const file of await vectorFiles([...OURS, ...PUBLIC])) {
    for (const result of await ask(readFileSync(file, "utf8"))) {
      expect({ file, ...result }).toMatchObject({ failures: [], skipped: 0 })
      passed += result.passed
    }
  }
  expect(passed).toBeGreaterThan(200)
  const wrong = readFileSync(OURS[2]!, "utf8").replaceAll(/"expected_(\w+)":"../g, '"expected_$1":"zz')
  const results = await ask(wrong)
  expect(results.filter(({ failures }) => failures.length > 0).length).toBeGreaterThanOrEqual(7)
})
