// `npm test`: installs what is missing (a browser included) and runs every check, cheapest first.
import { existsSync, readdirSync } from "node:fs"
import { availableParallelism } from "node:os"
import { join } from "node:path"
import { bin, ensureBrowser, installPackages, root, run } from "./lib.mjs"

installPackages()
ensureBrowser()
run("type check", bin("tsc"), [])
run("lint and format", bin("biome"), ["ci", "."])
run("unit tests", bin("vitest"), ["run"])
run("conformance: own vectors", bin("tsx"), ["conformance/main.ts", ...vectorFiles(join(root, "conformance", "vectors"))])
const shared = join(root, "..", "shared", "vectors", "sample")
if (existsSync(shared)) run("conformance: shared vectors", bin("tsx"), ["conformance/main.ts", ...vectorFiles(shared)])
run("build", process.execPath, [join("scripts", "build.mjs")])
run("package check", bin("publint"), ["--strict"])
const workers = availableParallelism() > 1 ? 3 : 1
run("browser tests, several files at a time", bin("playwright"), [
  "test",
  "--project=waiting",
  "--project=together",
  `--workers=${workers}`,
])
run("browser tests that measure", bin("playwright"), ["test", "--project=alone"])

function vectorFiles(folder) {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".json"))
    .map((name) => join(folder, name))
}
