/**
 * A Chromium that is driven by the bare DevTools protocol. Playwright keeps every page "visible" and gives it a user's gesture with
 * each evaluation; tests about hidden tabs and blocked sound need a page that nobody looks at and nobody has touched.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Page } from "@playwright/test"
import { WebSocket } from "ws"
import { toneOf } from "./browsers.ts"
import { makeClip } from "./clips.ts"
import { hearTones } from "./hear-tones.ts"

const DEBIAN_CHROMIUM = "/usr/bin/chromium"

interface BarePage {
  /** As far as `observe.ts` and `room-page.ts` use a page: `evaluate` with a function and one plain argument. */
  page: Page
  /** Another tab in front of it. */
  hide(): Promise<void>
  show(): Promise<void>
  /** A real click, with everything that browsers conclude from it. */
  click(x: number, y: number): Promise<void>
  /** Ends the browser. */
  close(): Promise<void>
}

interface Answer {
  id?: number
  result?: Record<string, unknown>
  error?: { message: string }
}

/** Opens `url` with a camera and a microphone that may be used, or with none. */
export async function openBare(url: string, code: number, options: { devices: boolean; flags?: string[] }): Promise<BarePage> {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-bare-"))
  const clip = makeClip(folder, code, toneOf(code))
  const browser = spawn(
    existsSync(DEBIAN_CHROMIUM) ? DEBIAN_CHROMIUM : "chromium",
    [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--no-first-run",
      "--remote-debugging-port=0",
      `--user-data-dir=${join(folder, "profile")}`,
      "--use-fake-device-for-media-stream",
      `--use-fake-ui-for-media-stream${options.devices ? "" : "=deny"}`,
      `--use-file-for-fake-video-capture=${clip.video}`,
      `--use-file-for-fake-audio-capture=${clip.audio}`,
      "--allow-loopback-in-peer-connection",
      ...(options.flags ?? []),
      "about:blank",
    ],
    // A group of its own, so that its helper processes end with it.
    { stdio: ["ignore", "ignore", "pipe"], detached: true },
  )
  const address = await new Promise<string>((resolve, reject) => {
    let text = ""
    browser.once("exit", () => reject(new Error(`Chromium did not start: ${text}`)))
    browser.stderr.on("data", (data) => {
      text += data
      const found = /ws:\/\/\S+/.exec(text)
      if (found !== null) resolve(found[0])
    })
  })
  const socket = new WebSocket(address)
  await new Promise((resolve) => socket.once("open", resolve))
  const waiting = new Map<number, (answer: Answer) => void>()
  socket.on("message", (data) => {
    const answer = JSON.parse(String(data)) as Answer
    if (answer.id !== undefined) waiting.get(answer.id)?.(answer)
  })
  let count = 0
  const send = async (method: string, params: object = {}, sessionId?: string): Promise<Record<string, unknown>> => {
    const id = ++count
    const answered = new Promise<Answer>((resolve) => waiting.set(id, resolve))
    socket.send(JSON.stringify({ id, method, params, sessionId }))
    const { result, error } = await answered
    waiting.delete(id)
    if (error !== undefined) throw new Error(`${method}: ${error.message}`)
    return result ?? {}
  }
  const { targetId } = await send("Target.createTarget", { url: "about:blank" })
  const session = String((await send("Target.attachToTarget", { targetId, flatten: true })).sessionId)
  await send("Page.enable", {}, session)
  if (options.devices) await send("Page.addScriptToEvaluateOnNewDocument", { source: `(${hearTones})()` }, session)
  await send("Page.navigate", { url }, session)
  const evaluate = async (work: (argument: unknown) => unknown, argument?: unknown): Promise<unknown> => {
    const expression = `(${work})(${JSON.stringify(argument) ?? "undefined"})`
    const answer = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }, session)
    if (answer.exceptionDetails !== undefined) throw new Error(JSON.stringify(answer.exceptionDetails))
    return (answer.result as { value?: unknown }).value
  }
  let other: string | undefined
  return {
    page: { evaluate } as unknown as Page,
    async hide() {
      other = String((await send("Target.createTarget", { url: "about:blank" })).targetId)
    },
    async show() {
      await send("Target.activateTarget", { targetId })
      if (other !== undefined) await send("Target.closeTarget", { targetId: other })
      other = undefined
    },
    async click(x, y) {
      for (const type of ["mousePressed", "mouseReleased"]) {
        await send("Input.dispatchMouseEvent", { type, x, y, button: "left", clickCount: 1 }, session)
      }
    },
    async close() {
      const ended = new Promise((resolve) => browser.once("exit", resolve))
      const patience = setTimeout(() => browser.pid !== undefined && process.kill(-browser.pid, "SIGKILL"), 3_000)
      socket.send(JSON.stringify({ id: ++count, method: "Browser.close" }))
      await ended
      clearTimeout(patience)
      socket.close()
      rmSync(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 250 })
    },
  }
}
