/** Logs of another thread: the same promises as at home, and nobody waits for ever. HND-R4. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, describe, expect, it } from "vitest"
import { type LogPort, type LogQuestion, serveLogs } from "./log-service.ts"
import { openNodeLog } from "./node.ts"
import { openLog } from "./remote-log.ts"

const folder = mkdtempSync(join(tmpdir(), "holomesh-remote-log-"))
const ports: MessagePort[] = []
afterEach(() => {
  for (const port of ports.splice(0)) port.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A worker whose files are those of this machine. */
function logWorker(delay?: (question: LogQuestion) => Promise<void>) {
  const { port1, port2 } = new MessageChannel()
  ports.push(port1, port2)
  const port: LogPort = { postMessage: (message) => port2.postMessage(message), onmessage: null }
  serveLogs(port, (name, options) => openNodeLog(folder, name, options))
  port2.onmessage = async ({ data }: MessageEvent<LogQuestion>) => {
    await delay?.(data)
    port.onmessage?.({ data })
  }
  port1.start()
  return port1
}

const text = (value: string) => new TextEncoder().encode(value)
const NAME = "00000000000000a1"

describe("a log in a worker", () => {
  it("numbers what is appended, reads it back, and goes on after it was closed", async () => {
    const worker = logWorker()
    const log = await openLog(worker, NAME, { durability: { everyN: 2 } })
    expect(await log.append([text("a"), text("b")])).toBe(0n)
    expect(await log.append([])).toBeNull()
    expect(await log.append([text("c")], { durable: true })).toBe(2n)
    await log.close()
    const again = await openLog(worker, NAME)
    const records = await again.read(1n)
    expect(records.map(({ seq, payload }) => [seq, new TextDecoder().decode(payload)])).toEqual([
      [1n, "b"],
      [2n, "c"],
    ])
    expect(await again.read(0n, 1)).toHaveLength(1)
    await again[Symbol.asyncDispose]()
  })

  it("has one writer, and says so by name", async () => {
    const worker = logWorker()
    const log = await openLog(worker, NAME)
    await expect(openLog(logWorker(), NAME)).rejects.toMatchObject({ code: "StoreError", details: { what: "locked" } })
    await expect(openLog(worker, "../etc")).rejects.toMatchObject({ code: "UsageError" })
    await log.close()
    await (await openLog(worker, NAME)).close()
  })

  it("closing waits for what is being appended; afterwards everything is HandleClosed, twice closed is closed", async () => {
    const log = await openLog(logWorker(), NAME)
    const appending = log.append([text("last")])
    const closing = Promise.all([log.close(), log.close()])
    await expect(log.append([text("late")])).rejects.toMatchObject({ code: "HandleClosed" })
    await closing
    expect(await appending).toBe(0n)
    await expect(log.sync()).rejects.toMatchObject({ code: "HandleClosed" })
  })

  it("HND-R4: an answer that comes after the end finds nobody, and nobody else gets it", async () => {
    const worker = logWorker()
    const first = await openLog(worker, NAME)
    await first.close()
    const other = await openLog(worker, "00000000000000b2")
    const [, far] = ports
    // Answers for the closed handle, for a call that was never made, and for the living one under the dead one's id.
    for (let call = 1; call < 20; call++) far?.postMessage({ handle: 1, call, value: 999n })
    const answer = other.append([text("x")])
    expect(await answer).toBe(0n)
    await other.close()
  })
})
