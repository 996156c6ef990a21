/** `holomesh identity`: key files. */
import { access } from "node:fs/promises"
import type { Command } from "commander"
import { signFloorRecord } from "../../src/identity/floor-record.ts"
import { signerFromSeeds } from "../../src/identity/signer.ts"
import { toHex } from "../../src/wire/bytes.ts"
import { freshRecord, type IdentityRecord, writeIdentity } from "../identity-file.ts"
import { CliError } from "./failure.ts"
import { openKey, output } from "./io.ts"

interface Flags {
  insecurePermissions?: boolean
}

const FINAL_GENERATION = 0xffff_ffff

export function addIdentityCommands(parent: Command): void {
  const identity = parent.command("identity").description("key files of servers, relays and operators")
  identity
    .command("new")
    .description("make a key file, readable by its owner only; an existing file is left alone")
    .argument("<file>")
    .action(async (file: string) => {
      const path = file.trim()
      const exists = await access(path).then(
        () => true,
        () => false,
      )
      if (exists) throw new CliError("already-exists", `${path} is there already`)
      const record = freshRecord()
      await writeIdentity(path, record)
      await show(record)
    })
  identity
    .command("show")
    .description("the names of a key, never the key")
    .argument("<file>")
    .option("--insecure-permissions", "only warn about a file that others can read")
    .action(async (file: string, flags: Flags) => show((await openKey({ ...flags, key: file })).record))
  identity
    .command("bump-generation")
    .description("kill every token that this key has signed, wherever the printed record is heard")
    .argument("<file>")
    .option("--insecure-permissions", "only warn about a file that others can read")
    .action(async (file: string, flags: Flags) => {
      const { path, record, signer } = await openKey({ ...flags, key: file })
      if (record.generation >= FINAL_GENERATION) throw new CliError("retired-key", "this key has reached its last generation")
      const next = { ...record, generation: record.generation + 1 }
      // First kept, then said: a number must never be used for less than it was announced for.
      await writeIdentity(path, next)
      await show(next, { floor_record: toHex(await signFloorRecord(signer, next.generation, Date.now())) })
    })
}

async function show(record: IdentityRecord, more: Record<string, string> = {}): Promise<void> {
  const { entityId, nodeId } = await signerFromSeeds(record.seed)
  const { generation, lastVersion, created } = record
  const facts = { entity_id: toHex(entityId), node_id: nodeId, generation, last_version: String(lastVersion), created, ...more }
  await output(`${JSON.stringify(facts)}\n`, undefined)
}
