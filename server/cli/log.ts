/** `holomesh log`: looks into an append log without opening it for writing. */
import { open } from "node:fs/promises"
import { join } from "node:path"
import type { Command } from "commander"
import { crc32 } from "../../src/store/log/crc32.ts"
import { scanRecords } from "../../src/store/log/scan.ts"
import { CliError, EXIT } from "./failure.ts"
import { output } from "./io.ts"

export function addLogCommands(parent: Command): void {
  parent
    .command("log")
    .description("append logs")
    .command("inspect")
    .description("how many records a log has, and whether its end is torn; changes nothing")
    .argument("<folder>", "the log's own folder, named by 16 hex digits")
    .action((folder: string) => inspect(folder.trim()))
}

async function inspect(folder: string): Promise<void> {
  const file = await open(join(folder, "log.dat"), "r").catch(() => {
    throw new CliError("unreadable-log", `there is no log in ${folder}`, EXIT.generic)
  })
  try {
    const { size } = await file.stat()
    const read = async (offset: number, length: number) => {
      const buffer = new Uint8Array(length)
      const { bytesRead } = await file.read(buffer, 0, length, offset)
      return buffer.subarray(0, bytesRead)
    }
    let records = 0
    let payloadBytes = 0
    const scan = scanRecords({ read }, { seq: 0n, offset: 0 }, size, crc32)
    let step = await scan.next()
    for (; step.done !== true; step = await scan.next()) {
      records++
      payloadBytes += step.value.payload.length
    }
    const facts = { records, payload_bytes: payloadBytes, next_seq: String(step.value.seq), torn_bytes: size - step.value.offset }
    await output(`${JSON.stringify(facts)}\n`, undefined)
  } finally {
    await file.close()
  }
}
