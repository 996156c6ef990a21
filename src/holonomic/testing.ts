/** For tests of this floor: peers with keys, and storage that stops at any write. Not part of the product. */
import { type IdentitySigner, signerFromSeeds } from "../identity/index.ts"
import { MemoryHoloStorage } from "../store/holo/memory.ts"
import type { HoloStorage, StorageOp } from "../store/holo/storage.ts"
import type { Bytes } from "../wire/types.ts"

export { codeOfRejection } from "../store/holo/storage-suite.ts"

const peers = new Map<number, Promise<IdentitySigner>>()

/** Peer number `n` (0..255), the same in every test. */
export function testPeer(n: number): Promise<IdentitySigner> {
  const known = peers.get(n) ?? signerFromSeeds(new Uint8Array(32).fill(n + 1), new Uint8Array(32).fill(n + 101))
  peers.set(n, known)
  return known
}

/** Any number of peers, by number. */
export function peerFromSeed(n: number): Promise<IdentitySigner> {
  const seed = (kind: number) => {
    const bytes = new Uint8Array(32).fill(kind)
    new DataView(bytes.buffer).setUint32(0, n)
    return bytes
  }
  return signerFromSeeds(seed(1), seed(2))
}

export const keysOf = (peer: IdentitySigner) => ({ ed25519: peer.entityId, mlDsa65: peer.mlDsaPublicKey })

/** Storage whose process ends at batch number `failAt` (from 1): before it is written, or right after. */
export class CrashingStorage implements HoloStorage {
  readonly inner: MemoryHoloStorage
  #batches = 0
  readonly #failAt: number
  readonly #written: boolean

  constructor(contents: ReadonlyMap<string, Bytes>, failAt = Number.POSITIVE_INFINITY, written = false) {
    this.inner = new MemoryHoloStorage({ contents })
    this.#failAt = failAt
    this.#written = written
  }

  /** Batches asked for so far. */
  get batches(): number {
    return this.#batches
  }

  async batch(ops: readonly StorageOp[]): Promise<void> {
    this.#batches += 1
    if (this.#batches >= this.#failAt) {
      if (this.#batches === this.#failAt && this.#written) await this.inner.batch(ops)
      throw new Error("the process ended")
    }
    await this.inner.batch(ops)
  }

  get(key: string): Promise<Bytes | undefined> {
    return this.inner.get(key)
  }
  list(prefix: string, options?: { after?: string; limit?: number }): Promise<string[]> {
    return this.inner.list(prefix, options)
  }
  estimate(): Promise<{ quotaBytes: number; usageBytes: number }> {
    return this.inner.estimate()
  }
  close(): Promise<void> {
    return this.inner.close()
  }
}
