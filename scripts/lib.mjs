// What the start, test and build scripts share. Plain Node without packages: they run before anything is installed.
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, statSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = join(dirname(fileURLToPath(import.meta.url)), "..")

/** Runs a command in the project's folder, prints its name and time, and ends this process when it fails. */
export function run(label, command, args, options = {}) {
  const started = Date.now()
  console.log(`\n▸ ${label}`)
  const result = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options })
  const seconds = ((Date.now() - started) / 1000).toFixed(1)
  if (result.status !== 0) {
    console.error(`✗ ${label} failed after ${seconds} s${result.error ? `: ${result.error.message}` : ""}`)
    process.exit(result.status ?? 1)
  }
  console.log(`✓ ${label} (${seconds} s)`)
}

/** Installs the packages of the lock file unless they are already there in that version. */
export function installPackages() {
  const marker = join(root, "node_modules", ".package-lock.json")
  const lock = join(root, "package-lock.json")
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return
  if (existsSync(marker) && sameVersions(marker, lock)) return
  // Not `npm ci`: it refuses a lock file written where the registry lacks the packages of other platforms.
  run("install packages", "npm", ["install", "--no-save", "--no-audit", "--no-fund"])
}

function sameVersions(markerFile, lockFile) {
  const installed = JSON.parse(readFileSync(markerFile, "utf8")).packages
  const wanted = JSON.parse(readFileSync(lockFile, "utf8")).packages
  return Object.entries(wanted).every(
    ([path, entry]) => path === "" || entry.optional || installed[path]?.version === entry.version,
  )
}

/** Path of a package's command line program. */
export const bin = (name) => join(root, "node_modules", ".bin", name)

const DEBIAN_CHROMIUM = "/usr/bin/chromium"

/** Makes sure that a Chromium for the browser tests is there: Debian's where apt works, Playwright's own elsewhere. */
export function ensureBrowser() {
  if (existsSync(DEBIAN_CHROMIUM)) return
  const apt = spawnSync("apt-get", ["--version"], { stdio: "ignore" })
  const isRoot = process.getuid?.() === 0
  if (apt.status === 0 && isRoot) {
    spawnSync("apt-get", ["update"], { stdio: "inherit" })
    const got = spawnSync("apt-get", ["install", "-y", "--no-install-recommends", "chromium"], { stdio: "inherit" })
    if (got.status === 0 && existsSync(DEBIAN_CHROMIUM)) return
  }
  run("install a browser for the tests", bin("playwright"), ["install", "chromium"])
}
