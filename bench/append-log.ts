/** Append logs by policy: the same measurement for every place where their files can be. */
import type { AppendLog } from "../src/store/log/append-log.ts"
import type { Durability } from "../src/store/log/sync-policy.ts"
import { type Effort, microseconds, round } from "./measure.ts"
import type { BenchRow } from "./subject.ts"

const BATCH = 64
const POLICIES: [string, Durability, boolean][] = [
  ["never", "never", false],
  ["every record", { everyN: 1 }, false],
  ["every 64 records", { everyN: 64 }, false],
  ["every 50 ms", { intervalMs: 50 }, false],
  ["every 50 ms or 1 MiB", { intervalMs: 50, maxBytes: 1_048_576 }, false],
  ["each batch waits for the disk", "never", true],
]

export const LOG_NOTE =
  "One batch of 64 records per operation. Except in the last line of each size, syncs run in the background and the figure is what the appender waits for."

interface LogPlace {
  /** A fresh log of that name, 16 hex digits. */
  open(name: string, durability: Durability): Promise<AppendLog>
  remove(name: string): Promise<void>
}

export async function measureLogs(effort: Effort, { open, remove }: LogPlace): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const size of [64, 1_024]) {
    const batch = Array.from({ length: BATCH }, (_, i) => new Uint8Array(size).fill(i))
    for (const [policy, durability, durable] of POLICIES) {
      const name = rows.length.toString(16).padStart(16, "0")
      const log = await open(name, durability)
      const us = await microseconds(effort, { operations: 1, run: () => log.appendBatch(batch, { durable }) })
      await log.close()
      await remove(name)
      rows.push({ record_bytes: size, synced: policy, batch_us: round(us), records_per_second: round((BATCH * 1e6) / us) })
    }
  }
  return rows
}
