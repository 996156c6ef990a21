/** The content keys of a room: one root secret per epoch, one imported key per stream (av-mesh 6.2, D-8, D-16). */
import { importAeadKey, requireLength, wipe } from "../../crypto/index.ts"
import { toHex } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, SealProfile, U64 } from "../../wire/types.ts"
import { deriveStreamDek } from "./epoch-keys.ts"

/** How long the previous epoch's keys stay usable for opening, in milliseconds (D-16). */
export const PREVIOUS_EPOCH_MS = 10_000
/** Imported keys per epoch; beyond it the oldest is dropped and derived again when needed. */
const MAX_STREAM_KEYS = 4_096

interface EpochKeys {
  epoch: U64
  rootSecret: Bytes
  keys: Map<string, Promise<CryptoKey>>
}

/**
 * Holds the current epoch and at most one previous. Only the current one gives keys for sealing. Secrets stay in this object
 * and are overwritten when their epoch goes.
 */
export class ContentKeys {
  #current: EpochKeys | undefined
  #previous: EpochKeys | undefined
  #previousEndsAt = 0

  /** The epoch that is sealed with, or `undefined` before the first. */
  get epoch(): U64 | undefined {
    return this.#current?.epoch
  }

  /**
   * Makes an epoch the current one and keeps the one before for opening, until `now` + 10 s. The same epoch with another secret
   * (a fork was resolved) replaces it. `now` in milliseconds of a monotonic clock.
   */
  install(epoch: U64, rootSecret: Bytes, now: number): void {
    requireLength(rootSecret, 32, "root secret")
    const replaced = this.#current
    this.#current = { epoch, rootSecret: rootSecret.slice(), keys: new Map() }
    if (replaced === undefined) return
    if (replaced.epoch === epoch) {
      forget(replaced)
      return
    }
    forget(this.#previous)
    this.#previous = replaced
    this.#previousEndsAt = now + PREVIOUS_EPOCH_MS
  }

  /** Erases the previous epoch when its time is over. Call about once per second. */
  expire(now: number): void {
    if (this.#previous === undefined || now < this.#previousEndsAt) return
    forget(this.#previous)
    this.#previous = undefined
  }

  /** True when chunks of this epoch can be opened now. */
  has(epoch: U64): boolean {
    return this.#find(epoch) !== undefined
  }

  /** The key that opens a stream's chunks of an epoch; `undefined` for an unknown epoch. */
  openingKey(streamId: Bytes, epoch: U64, profile: SealProfile): Promise<CryptoKey> | undefined {
    const keys = this.#find(epoch)
    return keys === undefined ? undefined : keyOf(keys, streamId, profile)
  }

  /** Epoch and key to seal with now. `UnknownEpoch` before the first epoch. */
  sealingKey(streamId: Bytes, profile: SealProfile): { epoch: U64; key: Promise<CryptoKey> } {
    if (this.#current === undefined) throw new AvError("UnknownEpoch")
    return { epoch: this.#current.epoch, key: keyOf(this.#current, streamId, profile) }
  }

  /** Erases everything: on leaving, or when we were removed from the group. */
  clear(): void {
    forget(this.#current)
    forget(this.#previous)
    this.#current = undefined
    this.#previous = undefined
  }

  #find(epoch: U64): EpochKeys | undefined {
    if (this.#current?.epoch === epoch) return this.#current
    return this.#previous?.epoch === epoch ? this.#previous : undefined
  }
}

function keyOf(keys: EpochKeys, streamId: Bytes, profile: SealProfile): Promise<CryptoKey> {
  const id = profile === 0 ? "" : toHex(streamId)
  let key = keys.keys.get(id)
  if (key !== undefined) return key
  key = profile === 0 ? importAeadKey(keys.rootSecret) : importStreamKey(keys, streamId)
  keys.keys.set(id, key)
  const oldest = keys.keys.keys().next()
  if (keys.keys.size > MAX_STREAM_KEYS && !oldest.done) keys.keys.delete(oldest.value)
  return key
}

async function importStreamKey(keys: EpochKeys, streamId: Bytes): Promise<CryptoKey> {
  const dek = await deriveStreamDek(keys.rootSecret, streamId, keys.epoch)
  const key = await importAeadKey(dek)
  wipe(dek)
  return key
}

function forget(keys: EpochKeys | undefined): void {
  wipe(keys?.rootSecret)
  keys?.keys.clear()
}
