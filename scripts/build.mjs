// Builds everything into dist/: workers, the ES and script-tag libraries, types, the server and the demo site.
import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { builtinModules } from "node:module"
import { join } from "node:path"
import { build } from "vite"
import { bin, root } from "./lib.mjs"

const dist = join(root, "dist")
const WORKERS = ["mesh", "keys", "publish", "receive", "memory", "audio-worklet"]
/** Built beside them, and in no page's way: only who needs one loads it. */
const MORE_WORKERS = ["relay", "log", "av1"]
const common = {
  configFile: false,
  root,
  logLevel: "warn",
  define: { "process.env.NODE_ENV": JSON.stringify("production") },
}

/** The WASM of raptorq is put into the mesh worker as bytes, so its own URL would ship the file a second time. */
const raptorqWithoutUrl = {
  name: "raptorq-without-url",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("node_modules/raptorq/") || !id.endsWith(".js")) return null
    return { code: code.replace(/new URL\([^)]*import\.meta\.url\)/g, "undefined"), map: null }
  },
}

/** Keeps `new Worker(new URL("./workers/…", import.meta.url))` as written: the consumer's bundler resolves it. */
const keepWorkerUrls = {
  name: "keep-worker-urls",
  enforce: "pre",
  transform(code, id) {
    if (!id.includes("/src/room/worker-source")) return null
    return { code: code.replaceAll("import.meta.url", "__HOLOMESH_MODULE_URL__"), map: null }
  },
  renderChunk: (code) => ({ code: code.replaceAll("__HOLOMESH_MODULE_URL__", "import.meta.url"), map: null }),
}

/** `virtual:worker-sources`: the built worker files as strings, for the one-file build. */
const workerSources = {
  name: "worker-sources",
  enforce: "pre",
  resolveId(id) {
    if (id === "virtual:worker-sources") return "\0worker-sources"
    return id.endsWith("/worker-source.ts") ? join(root, "src/room/worker-source.inline.ts") : null
  },
  load(id) {
    if (id !== "\0worker-sources") return null
    const entries = WORKERS.map((name) => [name, readFileSync(join(dist, "workers", `${name}.js`), "utf8")])
    return `export default ${JSON.stringify(Object.fromEntries(entries))}`
  },
}

async function buildWorkers() {
  for (const name of [...WORKERS, ...MORE_WORKERS]) {
    await build({
      ...common,
      plugins: [raptorqWithoutUrl],
      build: {
        outDir: join(dist, "workers"),
        emptyOutDir: false,
        copyPublicDir: false,
        target: "es2022",
        assetsInlineLimit: 10_000_000,
        lib: { entry: join(root, "workers", `${name}.ts`), formats: ["es"], fileName: () => `${name}.js` },
        rollupOptions: { output: { codeSplitting: false } },
      },
    })
  }
}

/** Optional peer dependencies: loaded by the page when they are used, never part of the library. */
const OPTIONAL = ["mediabunny"]

async function buildLibrary() {
  const entry = join(root, "src/index.ts")
  await build({
    ...common,
    plugins: [keepWorkerUrls],
    build: {
      outDir: dist,
      emptyOutDir: false,
      copyPublicDir: false,
      target: "es2022",
      sourcemap: true,
      lib: { entry, formats: ["es"], fileName: () => "holomesh.js" },
      rollupOptions: { external: OPTIONAL, output: { codeSplitting: false } },
    },
  })
  await build({
    ...common,
    plugins: [workerSources],
    build: {
      outDir: dist,
      emptyOutDir: false,
      copyPublicDir: false,
      target: "es2022",
      lib: { entry: join(root, "src/script-tag.ts"), name: "holomesh", formats: ["iife"], fileName: () => "holomesh.iife.js" },
      rollupOptions: { external: OPTIONAL, output: { codeSplitting: false, exports: "named" } },
    },
  })
}

async function buildServer() {
  const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const packages = Object.keys({ ...dependencies, ...peerDependencies })
  const isPackage = (id) => packages.some((name) => id === name || id.startsWith(`${name}/`))
  const builtins = new Set(builtinModules)
  await build({
    ...common,
    plugins: [keepWorkerUrls],
    build: {
      ssr: true,
      outDir: join(dist, "server"),
      emptyOutDir: false,
      copyPublicDir: false,
      target: "node20",
      rollupOptions: {
        external: (id) => id.startsWith("node:") || builtins.has(id) || isPackage(id),
        input: {
          main: join(root, "server/main.ts"),
          rendezvous: join(root, "server/rendezvous.ts"),
          node: join(root, "src/node/index.ts"),
        },
        output: { entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" },
      },
    },
  })
  chmodSync(join(dist, "server", "main.js"), 0o755)
}

async function buildSite() {
  const site = join(dist, "site")
  await build({
    ...common,
    root: join(root, "examples/call"),
    base: "./",
    resolve: { alias: { holomesh: join(dist, "holomesh.js") } },
    // Workers and worklets must stay files: the page's policy allows no data: URLs.
    build: { outDir: site, emptyOutDir: true, target: "es2022", assetsInlineLimit: 0 },
    worker: { format: "es" },
  })
  await build({
    ...common,
    root: join(root, "examples/capacity"),
    base: "./",
    build: { outDir: join(site, "capacity"), emptyOutDir: true, target: "es2022", assetsInlineLimit: 0 },
  })
  mkdirSync(join(site, "script-tag"), { recursive: true })
  cpSync(join(root, "examples/script-tag"), join(site, "script-tag"), { recursive: true })
  cpSync(join(dist, "holomesh.iife.js"), join(site, "script-tag", "holomesh.js"))
}

function buildTypes() {
  const result = spawnSync(bin("tsc"), ["-p", "tsconfig.types.json"], { cwd: root, stdio: "inherit" })
  if (result.status !== 0) process.exit(result.status ?? 1)
}

/** Installed with the package, and not part of its files. */
const SERVER_ONLY = ["commander", "pino", "sirv", "ws"]

/** What is put into the files of `dist/` keeps its terms beside it. */
function writeLicenses() {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"))
  const bundled = [...Object.keys(dependencies).filter((name) => !SERVER_ONLY.includes(name)), "ogv"]
  const texts = bundled.map((name) => {
    const folder = join(root, "node_modules", name)
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    // `ogv` has the terms of the codecs that it is made of beside their modules.
    const places = [folder, ...(name === "ogv" ? [join(folder, "dist")] : [])].filter(existsSync)
    const files = places.flatMap((place) => readdirSync(place).map((file) => join(place, file)))
    const terms = files.filter((file) => /[\\/](licen[cs]e|copying)(\.md|\.txt|-dav1d\.txt)?$/i.test(file))
    if (terms.length === 0) throw new Error(`no license text in ${name}`)
    return [`${name} ${version} (${license})`, ...new Set(terms.map((file) => readFileSync(file, "utf8").trim()))].join("\n\n")
  })
  writeFileSync(join(dist, "THIRD-PARTY-LICENSES.txt"), `${texts.join(`\n\n${"-".repeat(78)}\n\n`)}\n`)
}

const steps = {
  workers: buildWorkers,
  library: buildLibrary,
  types: buildTypes,
  server: buildServer,
  site: buildSite,
  licenses: writeLicenses,
}
const only = process.argv
  .find((argument) => argument.startsWith("--only="))
  ?.slice("--only=".length)
  .split(",")
const skip = process.argv.includes("--no-types") ? ["types"] : []
if (only === undefined) rmSync(dist, { recursive: true, force: true })
for (const [name, step] of Object.entries(steps)) {
  if (skip.includes(name) || (only !== undefined && !only.includes(name))) continue
  const started = Date.now()
  await step()
  console.log(`  ${name} ${((Date.now() - started) / 1000).toFixed(1)} s`)
}
