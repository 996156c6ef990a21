/** The append log on this machine's disk: what one batch of records costs, by the rule that says when it is synced. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openNodeLog } from "../../src/store/log/node.ts"
import { LOG_NOTE, measureLogs } from "../append-log.ts"
import type { Effort } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

async function run(effort: Effort): Promise<BenchRow[]> {
  const root = await mkdtemp(join(tmpdir(), "holomesh-bench-log-"))
  try {
    return await measureLogs(effort, {
      open: (name, durability) => openNodeLog(root, name, { durability }),
      remove: (name) => rm(join(root, name), { recursive: true }),
    })
  } finally {
    await rm(root, { recursive: true })
  }
}

export const appendLog: Subject = { name: "append-log", title: "Append log", note: LOG_NOTE, run }
