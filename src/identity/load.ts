/** Which identity this tab uses: the stored one if no other tab does, else a fresh one in memory (room.md RM-5). */
import { secureRandom, wipe } from "../crypto/index.ts"
import { openIndexedDbStore, type Store } from "../store/index.ts"
import type { RandomBytes } from "../wire/types.ts"
import { type IdentitySigner, signerFromSeeds } from "./signer.ts"
import { createStored, IDENTITY_KEY, openStored, type StoredIdentity, signsCorrectly } from "./stored.ts"

/** A page that is being reloaded gives its lock back a moment after the new page asks for it. */
const LOCK_WAIT_MS = 300

export interface LoadIdentityOptions {
  /** `false`: do not look at the stored identity at all. Default `true`. */
  persistent?: boolean
  /** Where the identity is kept. Default: this origin's IndexedDB. */
  store?: Store<StoredIdentity>
  /** Default: the browser's Web Locks; without them only an identity in memory is used. */
  locks?: LockManager
  random?: RandomBytes
}

export interface LoadedIdentity {
  signer: IdentitySigner
  /** True when this is the stored identity, which survives a reload. */
  persistent: boolean
  /** Lets another tab use the stored identity. Idempotent; closing the page does the same. */
  release(): void
}

/** A fresh identity that lives in memory only. */
export async function createIdentity(random: RandomBytes = secureRandom): Promise<IdentitySigner> {
  const edSeed = random(32)
  const pqSeed = random(32)
  try {
    return await signerFromSeeds(edSeed, pqSeed)
  } finally {
    wipe(edSeed, pqSeed)
  }
}

/**
 * The stored identity when this tab gets its lock `mesh-identity:<node id>`, made on first use; otherwise a fresh one in memory.
 * Storage that is missing or broken is no error: a call must still be possible.
 */
export async function loadIdentity(options: LoadIdentityOptions = {}): Promise<LoadedIdentity> {
  const random = options.random ?? secureRandom
  if (options.persistent !== false) {
    const stored = await useStored(options, random)
    if (stored !== undefined) return stored
  }
  return { signer: await createIdentity(random), persistent: false, release: () => {} }
}

async function useStored(options: LoadIdentityOptions, random: RandomBytes): Promise<LoadedIdentity | undefined> {
  const locks = options.locks ?? globalThis.navigator?.locks
  if (locks === undefined) return undefined
  try {
    const store = options.store ?? (await openIndexedDbStore<StoredIdentity>("identity"))
    try {
      const signer = await openStored(await usable(store, random))
      const release = await tryLock(locks, `mesh-identity:${signer.nodeId}`)
      return release === undefined ? undefined : { signer, persistent: true, release }
    } finally {
      if (options.store === undefined) store.close()
    }
  } catch {
    return undefined
  }
}

/** The stored record, replaced when it is damaged: a key that cannot sign is worth nothing to anybody. */
async function usable(store: Store<StoredIdentity>, random: RandomBytes): Promise<StoredIdentity> {
  const stored = await store.get(IDENTITY_KEY)
  if (stored !== undefined) {
    if (await signsCorrectly(stored)) return stored
    await store.delete(IDENTITY_KEY)
  }
  return createStored(store, random)
}

/** Takes a lock for as long as the returned function is not called; `undefined` when somebody else keeps it. */
function tryLock(locks: LockManager, name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve) => {
    locks
      .request(name, { signal: AbortSignal.timeout(LOCK_WAIT_MS) }, () => new Promise<void>((release) => resolve(release)))
      // Timed out, or locks are not allowed here (an opaque origin).
      .catch(() => resolve(undefined))
  })
}
