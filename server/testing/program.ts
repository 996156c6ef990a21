/** The program as somebody runs it, built for a test. */
import { type ChildProcess, spawn } from "node:child_process"
import { rmSync } from "node:fs"
import { builtinModules } from "node:module"
import { join } from "node:path"

const ROOT = new URL("../..", import.meta.url).pathname
/** A program that does not end is ended: its status is then null. */
const PATIENCE_MS = 90_000

export interface Outcome {
  status: number | null
  out: string
  bytes: Buffer
  error: string
}

export class Program {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** Below the repository, where the packages are found. */
  static async build(name: string): Promise<Program> {
    const folder = join(ROOT, ".tmp", `${name}-${process.pid}`)
    const isOutside = (id: string) =>
      id.startsWith("node:") || builtinModules.includes(id) || (!id.startsWith(".") && !id.startsWith("/"))
    const { build } = await import("vite")
    await build({
      configFile: false,
      root: ROOT,
      logLevel: "error",
      build: {
        ssr: true,
        outDir: folder,
        copyPublicDir: false,
        target: "node20",
        rollupOptions: {
          external: isOutside,
          input: { main: join(ROOT, "server/main.ts") },
          output: { entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" },
        },
      },
    })
    return new Program(folder)
  }

  run(...args: string[]): Promise<Outcome> {
    return this.start(...args).ended
  }

  start(...args: string[]): RunningProgram {
    return new RunningProgram(join(this.#folder, "main.js"), args)
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export class RunningProgram {
  readonly ended: Promise<Outcome>
  readonly #process: ChildProcess
  readonly #out: Buffer[] = []
  readonly #error: Buffer[] = []
  #look: () => void = () => {}

  constructor(main: string, args: readonly string[]) {
    const child = spawn(process.execPath, [main, ...args], { stdio: ["ignore", "pipe", "pipe"], timeout: PATIENCE_MS })
    this.#process = child
    child.stdout.on("data", (part: Buffer) => {
      this.#out.push(part)
      this.#look()
    })
    child.stderr.on("data", (part: Buffer) => this.#error.push(part))
    this.ended = new Promise((resolve, reject) => {
      child.once("error", reject)
      child.once("close", (status) => {
        const bytes = Buffer.concat(this.#out)
        resolve({ status, bytes, out: bytes.toString(), error: Buffer.concat(this.#error).toString() })
      })
    })
  }

  /** The first line on stdout. Rejects when there is none before the end. */
  firstLine(): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#look = () => {
        const [line, ...more] = Buffer.concat(this.#out).toString().split("\n")
        if (more.length > 0) resolve(line as string)
      }
      this.#look()
      this.ended.then(({ status, error }) => reject(new Error(`ended with ${status}: ${error}`)), reject)
    })
  }

  stop(signal: NodeJS.Signals): Promise<Outcome> {
    this.#process.kill(signal)
    return this.ended
  }
}

/** The kind of the error that ended it. */
function kindOf({ error }: Outcome): string | undefined {
  return /^error: .+ \(kind: ([a-z-]+)\)$/m.exec(error)?.[1]
}

/** Status, kind, and what was printed. */
export function refusal(outcome: Outcome): [number | null, string | undefined, string] {
  return [outcome.status, kindOf(outcome), outcome.out]
}
