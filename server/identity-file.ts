/** The server's entity key in a file, readable by its owner only (control-plane 9.3). */
import { randomBytes } from "node:crypto"
import { mkdir, open, readFile, rename, stat, unlink } from "node:fs/promises"
import { dirname } from "node:path"
import { hkdfSync } from "../src/crypto/hash.ts"
import { type IdentitySigner, signerFromSeeds } from "../src/identity/signer.ts"
import { fromHex, toHex } from "../src/wire/bytes.ts"
import { AvError } from "../src/wire/errors.ts"
import type { Bytes } from "../src/wire/types.ts"

const SEED_LINE = /^\s*seed_hex\s*=\s*"([0-9a-fA-F]{64})"\s*$/m
const GENERATION_LINE = /^\s*generation\s*=\s*(\d{1,10})\s*$/m
const VERSION_LINE = /^\s*last_version\s*=\s*(\d{1,19})\s*$/m
const CREATED_LINE = /^\s*created\s*=\s*"([^"\n]{1,64})"\s*$/m
const MAX_FILE_BYTES = 4096
/** Binds what is derived from the seed to its use. */
const ML_DSA_INFO = new TextEncoder().encode("holomesh identity file ml-dsa-65")

interface LoadOptions {
  insecurePermissions?: boolean
}

/** What an identity file holds. */
export interface IdentityRecord {
  seed: Bytes
  /** Tokens of earlier generations are dead. */
  generation: number
  /** The newest announcement has this version. */
  lastVersion: bigint
  created: string
}

/** A key that lives as long as the process. A server signs no records, so it has no ML-DSA half. */
export function freshSigner(): Promise<IdentitySigner> {
  return signerFromSeeds(randomBytes(32))
}

/**
 * Reads the identity, or makes the file when it does not exist. A file that others may read is refused (`StoreError` with
 * `kind: "permissive-mode"`) unless `insecurePermissions`; so is one that is not an identity file.
 */
export async function loadSigner(path: string, options: LoadOptions = {}): Promise<IdentitySigner> {
  return signerFromSeeds(await loadSeed(path, options))
}

/** The same for a member of rooms, which needs an ML-DSA-65 key as well: it is derived from the seed, so the file names one identity. */
export async function loadMember(path: string, options: LoadOptions = {}): Promise<IdentitySigner> {
  const seed = await loadSeed(path, options)
  return signerFromSeeds(seed, hkdfSync(seed, new Uint8Array(32), ML_DSA_INFO, 32))
}

async function loadSeed(path: string, options: LoadOptions): Promise<Bytes> {
  try {
    return (await readIdentity(path, options)).seed
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error
  }
  const seed = randomBytes(32)
  await writeIdentity(path, freshRecord(seed))
  return seed
}

export function freshRecord(seed: Bytes = randomBytes(32)): IdentityRecord {
  return { seed, generation: 0, lastVersion: 0n, created: new Date().toISOString() }
}

/** @throws AvError `StoreError` of kind `permissive-mode` or `not-an-identity`; the errors of Node where there is no file */
export async function readIdentity(path: string, { insecurePermissions = false }: LoadOptions = {}): Promise<IdentityRecord> {
  const { mode, size } = await stat(path)
  if (process.platform !== "win32" && (mode & 0o077) !== 0 && !insecurePermissions) {
    throw new AvError("StoreError", { kind: "permissive-mode", path }, { message: `${path} can be read by others: chmod 600 it` })
  }
  const text = size > MAX_FILE_BYTES ? "" : await readFile(path, "utf8")
  const seed = SEED_LINE.exec(text)?.[1]
  if (seed === undefined) {
    throw new AvError("StoreError", { kind: "not-an-identity", path }, { message: `${path} is not an identity file` })
  }
  const generation = Number(GENERATION_LINE.exec(text)?.[1] ?? 0)
  if (generation > 0xffff_ffff) {
    throw new AvError("StoreError", { kind: "not-an-identity", path }, { message: `${path} has a generation that is too large` })
  }
  const lastVersion = BigInt(VERSION_LINE.exec(text)?.[1] ?? 0)
  return { seed: fromHex(seed), generation, lastVersion, created: CREATED_LINE.exec(text)?.[1] ?? "" }
}

/** Written beside its place and moved there, so that a crash leaves the old file or the new one and never half of one. */
export async function writeIdentity(path: string, record: IdentityRecord): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.${process.pid}.new`
  const file = await open(temporary, "wx", 0o600)
  try {
    const { seed, generation, lastVersion, created } = record
    const lines = [`seed_hex = "${toHex(seed)}"`, `generation = ${generation}`, `last_version = ${lastVersion}`]
    await file.writeFile(`${[...lines, `created = "${created}"`].join("\n")}\n`)
    await file.sync()
  } catch (error) {
    await unlink(temporary)
    throw error
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}
