/** Key files and outputs of the operator's commands. */

import { randomBytes } from "node:crypto"
import { readFile, rename, stat, unlink, writeFile } from "node:fs/promises"
import { type IdentitySigner, signerFromSeeds } from "../../src/identity/signer.ts"
import { fromHex } from "../../src/wire/bytes.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type IdentityRecord, readIdentity } from "../identity-file.ts"
import { CliError, EXIT } from "./failure.ts"

/** Largest file that holds an announcement, a chain or a certificate, bytes. */
const MAX_INPUT = 262_144
const OUTPUT_MODE = 0o644

export interface KeyFlags {
  key?: string
  insecurePermissions?: boolean
}

interface OperatorKey {
  path: string
  record: IdentityRecord
  signer: IdentitySigner
}

/** The key that a command signs with. What the file holds is never printed. */
export async function openKey({ key, insecurePermissions = false }: KeyFlags): Promise<OperatorKey> {
  const path = key?.trim() ?? ""
  if (path === "") throw new CliError("missing-key", "--key names the identity file to sign with")
  if (process.platform === "win32") warn(`the access rights of ${path} are not checked on this system`)
  const record = await readIdentity(path, { insecurePermissions }).catch((error: unknown) => {
    if (isAvError(error)) throw error
    throw new CliError("unreadable-key", `cannot read ${path}`, EXIT.generic)
  })
  if (insecurePermissions && (await isReadableByOthers(path))) warn(`${path} can be read by others`)
  return { path, record, signer: await signerFromSeeds(record.seed) }
}

/** A secret of a configuration that others can read: the program starts all the same, but says so first (control-plane 9.3). */
export async function warnIfPermissive(path: string): Promise<void> {
  if (process.platform === "win32") warn(`the access rights of ${path} are not checked on this system (config-permissions)`)
  else if (await isReadableByOthers(path)) warn(`${path} can be read by others (config-permissions)`)
}

async function isReadableByOthers(path: string): Promise<boolean> {
  const info = await stat(path).catch(() => undefined)
  return info !== undefined && (info.mode & 0o077) !== 0
}

export function warn(text: string): void {
  process.stderr.write(`warning: ${text}\n`)
}

/** To the file, which is replaced as a whole, or to stdout: the same bytes in both places. */
export async function output(bytes: Bytes | string, out: string | undefined): Promise<void> {
  const path = out?.trim()
  if (path === undefined || path === "") {
    await new Promise<void>((resolve, reject) => process.stdout.write(bytes, (error) => (error ? reject(error) : resolve())))
    return
  }
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString("hex")}.new`
  try {
    await writeFile(temporary, bytes, { flag: "wx", mode: OUTPUT_MODE })
    await rename(temporary, path)
  } catch {
    await unlink(temporary).catch(() => undefined)
    throw new CliError("unwritable-output", `cannot write ${path}`, EXIT.generic)
  }
}

/** A file as it is, or the bytes whose hex it holds. */
export async function inputBytes(path: string, what: string): Promise<Bytes> {
  const bytes = await input(path, what)
  const text = new TextDecoder().decode(bytes).trim()
  return text.length > 0 && text.length % 2 === 0 && /^[0-9a-f]+$/i.test(text) ? fromHex(text.toLowerCase()) : bytes
}

export async function input(path: string, what: string): Promise<Bytes> {
  const trimmed = path.trim()
  try {
    const { size } = await stat(trimmed)
    if (size <= MAX_INPUT) return new Uint8Array(await readFile(trimmed))
  } catch {
    throw new CliError(`unreadable-${what}`, `cannot read ${trimmed}`, EXIT.generic)
  }
  throw new CliError(`bad-${what}`, `${trimmed} is too large to be a ${what}`)
}
