/** The server's entity key in a file, readable by its owner only (control-plane 9.3). */
import { randomBytes } from "node:crypto"
import { mkdir, open, readFile, rename, stat, unlink } from "node:fs/promises"
import { dirname } from "node:path"
import { type IdentitySigner, signerFromSeeds } from "../src/identity/signer.ts"
import { fromHex, toHex } from "../src/wire/bytes.ts"
import { AvError } from "../src/wire/errors.ts"
import type { Bytes } from "../src/wire/types.ts"

const SEED_LINE = /^\s*seed_hex\s*=\s*"([0-9a-fA-F]{64})"\s*$/m
const MAX_FILE_BYTES = 4096

/** A key that lives as long as the process. A server signs no records, so it has no ML-DSA half. */
export function freshSigner(): Promise<IdentitySigner> {
  return signerFromSeeds(randomBytes(32))
}

/**
 * Reads the identity, or makes the file when it does not exist. A file that others may read is refused (`StoreError` with
 * `kind: "permissive-mode"`) unless `insecurePermissions`; so is one that is not an identity file.
 */
export async function loadSigner(path: string, options: { insecurePermissions?: boolean } = {}): Promise<IdentitySigner> {
  try {
    return await readSigner(path, options.insecurePermissions === true)
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
  }
  const seed = randomBytes(32)
  await writeIdentity(path, seed)
  return signerFromSeeds(seed)
}

async function readSigner(path: string, insecure: boolean): Promise<IdentitySigner> {
  const { mode, size } = await stat(path)
  if (process.platform !== "win32" && (mode & 0o077) !== 0 && !insecure) {
    throw new AvError("StoreError", { kind: "permissive-mode", path }, { message: `${path} can be read by others: chmod 600 it` })
  }
  const text = size > MAX_FILE_BYTES ? "" : await readFile(path, "utf8")
  const seed = SEED_LINE.exec(text)?.[1]
  if (seed === undefined) {
    throw new AvError("StoreError", { kind: "not-an-identity", path }, { message: `${path} is not an identity file` })
  }
  return signerFromSeeds(fromHex(seed))
}

/** Written beside its place and moved there, so that a crash leaves the old file or the new one and never half of one. */
async function writeIdentity(path: string, seed: Bytes): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.new`
  const file = await open(temporary, "wx", 0o600)
  try {
    const created = new Date().toISOString()
    await file.writeFile(`seed_hex = "${toHex(seed)}"\ngeneration = 0\nlast_version = 0\ncreated = "${created}"\n`)
    await file.sync()
  } catch (error) {
    await unlink(temporary)
    throw error
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
