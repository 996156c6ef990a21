/** A log of what an application wants to keep, written by a worker and read again after a reload. */
import { openLog } from "holomesh"

/** Appends a line and gives all there are. Two tabs cannot have it open at once. */
export async function remember(line: string): Promise<string[]> {
  const worker = new Worker(new URL("holomesh/workers/log.js", import.meta.url), { type: "module" })
  const log = await openLog(worker, "00000000000000a1", { durability: { intervalMs: 50 } })
  try {
    // Resolves when the disk has it: without `durable` the system has, which a crash of the page does not change.
    await log.append([new TextEncoder().encode(line)], { durable: true })
    const records = await log.read(0n)
    return records.map(({ payload }) => new TextDecoder().decode(payload))
  } finally {
    await log.close()
    worker.terminate()
  }
}
