import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, expect, test } from "vitest"
import { hybridVerify } from "../src/crypto/hybrid.ts"
import { freshSigner, loadMember, loadSigner } from "./identity-file.ts"

const folder = mkdtempSync(join(tmpdir(), "holomesh-identity-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

test("the first start makes the file, the second reads the same key from it", async () => {
  const path = join(folder, "deep", "server.toml")
  const first = await loadSigner(path)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(readFileSync(path, "utf8")).toMatch(/^seed_hex = "[0-9a-f]{64}"\ngeneration = 0\nlast_version = 0\ncreated = "20/)
  expect((await loadSigner(path)).entityId).toEqual(first.entityId)
  expect((await freshSigner()).entityId).not.toEqual(first.entityId)
})

test("a file that others can read is refused unless the person insists", async () => {
  const path = join(folder, "open.toml")
  await loadSigner(path)
  chmodSync(path, 0o640)
  await expect(loadSigner(path)).rejects.toMatchObject({ code: "StoreError", details: { kind: "permissive-mode" } })
  await expect(loadSigner(path, { insecurePermissions: true })).resolves.toBeDefined()
})

test("something else in its place is refused and left alone", async () => {
  const path = join(folder, "other.toml")
  writeFileSync(path, 'seed_hex = "12"\n', { mode: 0o600 })
  await expect(loadSigner(path)).rejects.toMatchObject({ code: "StoreError", details: { kind: "not-an-identity" } })
  expect(readFileSync(path, "utf8")).toBe('seed_hex = "12"\n')
  expect(existsSync(`${path}.new`)).toBe(false)
})

test("a member's identity is the same each time, and has both keys", async () => {
  const path = join(folder, "relay.toml")
  const first = await loadMember(path)
  const again = await loadMember(path)
  expect([again.keyId, again.entityId]).toEqual([first.keyId, (await loadSigner(path)).entityId])
  expect(first.mlDsaPublicKey).toHaveLength(1_952)
  const message = new Uint8Array([1, 2, 3])
  const keys = { ed25519: first.entityId, mlDsa65: first.mlDsaPublicKey }
  expect(await hybridVerify(keys, message, await again.signHybrid(message))).toBe(true)
})
