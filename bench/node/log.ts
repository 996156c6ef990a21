/** What appending to a log costs, by how soon it must be safe. On the disk of the system's temporary folder. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openNodeLog } from "../../src/store/log/node.ts"
import type { Durability } from "../../src/store/log/sync-policy.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const BATCH = 64
const POLICIES: [string, Durability, boolean][] = [
  ["never", "never", false],
  ["every record", { everyN: 1 }, false],
  ["every 64 records", { everyN: 64 }, false],
  ["every 50 ms", { intervalMs: 50 }, false],
  ["every 50 ms or 1 MiB", { intervalMs: 50, maxBytes: 1_048_576 }, false],
  ["each batch waits for the disk", "never", true],
]

async function run(effort: Effort): Promise<BenchRow[]> {
  const root = await mkdtemp(join(tmpdir(), "holomesh-bench-log-"))
  const rows: BenchRow[] = []
  try {
    for (const size of [64, 1_024]) {
      const batch = Array.from({ length: BATCH }, (_, i) => new Uint8Array(size).fill(i))
      for (const [policy, durability, durable] of POLICIES) {
        const name = rows.length.toString(16).padStart(16, "0")
        const log = await openNodeLog(root, name, { durability })
        const us = await microseconds(effort, { operations: 1, run: () => log.appendBatch(batch, { durable }) })
        await log.close()
        await rm(join(root, name), { recursive: true })
        rows.push({ record_bytes: size, synced: policy, batch_us: round(us), records_per_second: round((BATCH * 1e6) / us) })
      }
    }
  } finally {
    await rm(root, { recursive: true })
  }
  return rows
}

export const appendLog: Subject = {
  name: "append-log",
  title: "Append log",
  note: "One batch of 64 records per operation. Except in the last line of each size, syncs run in the background and the figure is what the appender waits for.",
  run,
}
