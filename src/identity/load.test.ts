import { describe, expect, it } from "vitest"
import { hybridVerify } from "../crypto/index.ts"
import { MemoryStore, type Store } from "../store/index.ts"
import { createIdentity, loadIdentity } from "./load.ts"
import { signerFromSeeds } from "./signer.ts"
import { IDENTITY_KEY, type StoredIdentity } from "./stored.ts"

/** Web Locks of one browser: exclusive by name, waiting until the signal fires. */
function fakeLocks(): LockManager {
  const held = new Map<string, Promise<unknown>>()
  const request = async (name: string, options: LockOptions, run: (lock: Lock | null) => unknown) => {
    const aborted = new Promise<never>((_, reject) => {
      options.signal?.addEventListener("abort", () => reject(options.signal?.reason))
    })
    aborted.catch(() => undefined)
    while (held.has(name)) await Promise.race([held.get(name), aborted])
    const done = Promise.resolve(run({ name, mode: "exclusive" })).finally(() => held.delete(name))
    held.set(name, done)
    return done
  }
  return { request, query: async () => ({}) } as unknown as LockManager
}

const tick = () => new Promise((resolve) => setTimeout(resolve, 0))

/** A store that cannot keep native signing keys, like a browser that does not clone them. */
class NoNativeKeys extends MemoryStore<StoredIdentity> {
  override async add(key: string, value: StoredIdentity): Promise<boolean> {
    if ("native" in value.ed || "native" in value.pq) throw new DOMException("not cloneable", "DataCloneError")
    return super.add(key, value)
  }
}

async function signs(signer: {
  entityId: Uint8Array
  mlDsaPublicKey: Uint8Array
  signHybrid(m: Uint8Array): Promise<{ ed: Uint8Array; pq: Uint8Array }>
}) {
  const message = new Uint8Array([1, 2])
  return hybridVerify({ ed25519: signer.entityId, mlDsa65: signer.mlDsaPublicKey }, message, await signer.signHybrid(message))
}

describe("loadIdentity (RM-5)", () => {
  it.each([
    ["native keys", () => new MemoryStore<StoredIdentity>()],
    ["sealed seeds", () => new NoNativeKeys()],
  ])("comes back after a reload: %s", async (_name, makeStore) => {
    const [store, locks]: [Store<StoredIdentity>, LockManager] = [makeStore(), fakeLocks()]
    const first = await loadIdentity({ store, locks })
    expect(first.persistent).toBe(true)
    expect(await signs(first.signer)).toBe(true)
    // A reload: the old page's lock goes a moment after the new page asked.
    setTimeout(() => first.release(), 20)
    const second = await loadIdentity({ store, locks })
    expect([second.signer.keyId, second.persistent]).toEqual([first.signer.keyId, true])
    expect(await signs(second.signer)).toBe(true)
  })

  it("ID-R6: a second tab gets an identity of its own, in memory", async () => {
    const [store, locks] = [new MemoryStore<StoredIdentity>(), fakeLocks()]
    const [a, b] = await Promise.all([loadIdentity({ store, locks }), loadIdentity({ store, locks })])
    expect([a.persistent, b.persistent].sort()).toEqual([false, true])
    expect(a.signer.nodeId).not.toBe(b.signer.nodeId)
    expect(await store.keys()).toEqual([IDENTITY_KEY])
  })

  it("does not touch the store when told not to, and lives without one", async () => {
    const store = new MemoryStore<StoredIdentity>()
    expect((await loadIdentity({ persistent: false, store, locks: fakeLocks() })).persistent).toBe(false)
    expect(await store.keys()).toEqual([])
    expect((await loadIdentity({ locks: fakeLocks() })).persistent).toBe(false)
    expect((await loadIdentity({ store })).persistent).toBe(false)
  })

  it("replaces a damaged record", async () => {
    const [store, locks] = [new NoNativeKeys(), fakeLocks()]
    const first = await loadIdentity({ store, locks })
    first.release()
    await tick()
    const record = await store.get(IDENTITY_KEY)
    if (record === undefined || !("sealed" in record.ed)) throw new Error("not sealed")
    record.ed.sealed[0] = (record.ed.sealed[0] ?? 0) ^ 1
    const second = await loadIdentity({ store, locks })
    expect(second.persistent).toBe(true)
    expect(second.signer.keyId).not.toBe(first.signer.keyId)
    expect(await signs(second.signer)).toBe(true)
  })

  it("what is stored does not contain a seed", async () => {
    const seeds: Uint8Array[] = []
    const random = (length: number) => {
      const bytes = crypto.getRandomValues(new Uint8Array(length))
      if (length === 32) seeds.push(bytes.slice())
      return bytes
    }
    const store = new NoNativeKeys()
    await loadIdentity({ store, locks: fakeLocks(), random })
    const record = await store.get(IDENTITY_KEY)
    expect(record?.wrapping.extractable).toBe(false)
    const texts = [record?.ed, record?.pq].map((key) => JSON.stringify(key))
    for (const seed of seeds) for (const text of texts) expect(text).not.toContain(JSON.stringify(seed).slice(1, 60))
  })
})

describe("signers", () => {
  it("a server's identity has no ML-DSA key and says so", async () => {
    const server = await signerFromSeeds(new Uint8Array(32).fill(1))
    expect([server.mlDsaPublicKey.length, server.pqHash.every((byte) => byte === 0)]).toEqual([0, true])
    await expect(server.signHybrid(new Uint8Array(1))).rejects.toMatchObject({ code: "SignerLacksPqc" })
  })

  it("fresh identities differ, and printing one shows no secret", async () => {
    const [a, b] = [await createIdentity(), await createIdentity()]
    expect(a.keyId).not.toBe(b.keyId)
    expect(JSON.stringify(Object.keys(a))).not.toMatch(/seed|private|secret/i)
  })
})
