/** Starts the server and separate browser processes, each with its own camera and microphone file. */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Browser, chromium, type Page } from "@playwright/test"
import { type Clip, makeClip } from "./clips.ts"
import { hearTones } from "./hear-tones.ts"
import { serveSite } from "./page-site.ts"

const DEBIAN_CHROMIUM = "/usr/bin/chromium"

export interface Person {
  browser: Browser
  page: Page
  clip: Clip
  name: string
  /** What the page printed as errors. */
  errors: string[]
  close(): Promise<void>
  /** Process id of the browser. */
  pid: number
  /** Ends the browser without letting it say anything. */
  kill(): void
}

export interface Stage {
  url: string
  /** A new browser process of its own, on `path` of the server. */
  open(name: string, code: number, path: string, options?: OpenOptions): Promise<Person>
  server: TestServer
  close(): Promise<void>
}

interface OpenOptions {
  init?: () => void
  /** The browser refuses cameras and microphones. */
  refuseDevices?: boolean
  viewport?: { width: number; height: number }
  colorScheme?: "dark" | "light"
  /** Changes how the browser is started: gets the usual flags, returns those to use. */
  flags?: (usual: string[]) => string[]
}

interface TestServer {
  port: number
  close(): Promise<void>
  /** Starts it again on the same port. */
  restart(): Promise<void>
}

/** Tone of the person with that code, far enough apart to tell them in a spectrum. */
export const toneOf = (code: number): number => 300 + code * 20

/** A server that serves the built site, and a folder for the clips. */
export async function setStage(): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-e2e-"))
  const server = await startServer()
  const people: Person[] = []
  return {
    url: `http://localhost:${server.port}`,
    server,
    async open(name, code, path, options = {}) {
      const clip = makeClip(folder, code, toneOf(code))
      const person = await openBrowser(name, clip, `http://localhost:${server.port}${path}`, options)
      people.push(person)
      return person
    },
    async close() {
      await Promise.all(people.map((person) => person.close()))
      await server.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function startServer(): Promise<TestServer> {
  const site = new URL("../dist/site", import.meta.url).pathname
  const start = (port: number) => serveSite(site, { port })
  let running: Awaited<ReturnType<typeof start>> | undefined = await start(0)
  const port = running.port
  return {
    port,
    async close() {
      await running?.close()
      running = undefined
    },
    async restart() {
      running = await start(port)
    },
  }
}

async function openBrowser(name: string, clip: Clip, url: string, options: OpenOptions): Promise<Person> {
  const usual = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-background-timer-throttling",
    "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream",
    `--use-fake-ui-for-media-stream${options.refuseDevices ? "=deny" : ""}`,
    "--allow-loopback-in-peer-connection",
    `--use-file-for-fake-video-capture=${clip.video}`,
    `--use-file-for-fake-audio-capture=${clip.audio}`,
  ]
  const launched = await chromium.launchServer({
    ...(existsSync(DEBIAN_CHROMIUM) ? { executablePath: DEBIAN_CHROMIUM } : {}),
    headless: true,
    args: options.flags?.(usual) ?? usual,
  })
  const browser = await chromium.connect(launched.wsEndpoint())
  const context = await browser.newContext({
    permissions: options.refuseDevices ? [] : ["camera", "microphone"],
    viewport: options.viewport ?? { width: 1000, height: 700 },
    ...(options.colorScheme === undefined ? {} : { colorScheme: options.colorScheme }),
  })
  const page = await context.newPage()
  const errors: string[] = []
  page.on("pageerror", (error) => errors.push(`page: ${error.message}`))
  page.on("console", (message) => {
    if (message.type() === "error") errors.push(`console: ${message.text()}`)
    if (process.env.HOLOMESH_E2E_LOG) console.log(`[${name}] ${message.type()} ${message.text()}`)
  })
  await page.addInitScript(hearTones)
  if (options.init) await page.addInitScript(options.init)
  await page.goto(url)
  return {
    browser,
    page,
    clip,
    name,
    errors,
    pid: launched.process().pid ?? 0,
    kill: () => launched.process().kill("SIGKILL"),
    close: () => launched.close().catch(() => undefined),
  }
}
