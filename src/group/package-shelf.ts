/** KeyPackages for a directory (av-mesh D-18.1): records to publish, and their private halves, encrypted, until somebody used them. */
import { aeadOpen, aeadSeal } from "../crypto/aead.ts"
import { wipe } from "../crypto/layout.ts"
import { secureRandom } from "../crypto/random.ts"
import type { Store } from "../store/index.ts"
import { concatBytes, fromHex, toHex } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds } from "../wire/types.ts"
import type { MlsEngine } from "./engine.ts"
import { type OwnKeyPackage, readKeyPackage } from "./key-package.ts"
import { makeKeyPackageRecord, type RecordSigner } from "./records.ts"

/** One-time packages kept published. */
export const PUBLISHED_ONE_TIME = 8
/** How long a published package is good for; D-18 allows 30 days in all. */
export const PUBLISHED_FOR_MS = 29 * 24 * 60 * 60 * 1000
/** Replaced this long before it ends, so that nobody fetches one that is about to expire. */
const REPLACE_BEFORE_MS = 3 * 24 * 60 * 60 * 1000

/** What is stored of a package. The key cannot be read out of the browser, only used. */
export interface ShelvedPackage {
  keyPackage: Bytes
  /** Nonce, then the three private keys under `key`. */
  sealed: Bytes
  key: CryptoKey
  lastResort: boolean
  /** Unix milliseconds. */
  notAfter: Milliseconds
}

export class PackageShelf {
  readonly #store: Store<ShelvedPackage>
  readonly #engine: MlsEngine
  readonly #signer: RecordSigner

  constructor(store: Store<ShelvedPackage>, engine: MlsEngine, signer: RecordSigner) {
    this.#store = store
    this.#engine = engine
    this.#signer = signer
  }

  /** Mints what is missing, {@link PUBLISHED_ONE_TIME} one-time packages and one last resort, and returns the new records to publish. */
  async refill(now: Milliseconds): Promise<Bytes[]> {
    let oneTime = 0
    let lastResort = 0
    for (const ref of await this.#store.keys()) {
      const entry = await this.#store.get(ref)
      if (entry === undefined) continue
      if (entry.notAfter <= now) await this.#store.delete(ref)
      else if (entry.notAfter - now < REPLACE_BEFORE_MS) continue
      else if (entry.lastResort) lastResort++
      else oneTime++
    }
    const records: Bytes[] = []
    for (; oneTime < PUBLISHED_ONE_TIME; oneTime++) records.push(await this.#mint(false, now))
    if (lastResort === 0) records.push(await this.#mint(true, now))
    return records
  }

  /** The package with this reference; a one-time package stays until {@link use}. @throws AvError `KeyPackageUnknown` */
  async find(ref: Bytes): Promise<OwnKeyPackage> {
    const entry = await this.#store.get(toHex(ref))
    if (entry === undefined) throw new AvError("KeyPackageUnknown")
    const secret = await aeadOpen(entry.key, entry.sealed.slice(0, 12), ref, entry.sealed.slice(12))
    if (secret === null || secret.length !== 96) throw new AvError("KeyPackageUnknown", { why: "damaged" })
    const privateKeys = {
      initPrivateKey: secret.slice(0, 32),
      hpkePrivateKey: secret.slice(32, 64),
      signaturePrivateKey: secret.slice(64),
    }
    wipe(secret)
    return { keyPackage: readKeyPackage(entry.keyPackage), privateKeys, bytes: entry.keyPackage, ref }
  }

  /** The package brought its owner into a group: a one-time package is gone for good, the last resort stays. */
  async use(ref: Bytes): Promise<void> {
    const entry = await this.#store.get(toHex(ref))
    if (entry !== undefined && !entry.lastResort) await this.#store.delete(toHex(ref))
  }

  /** References of everything on the shelf. */
  async refs(): Promise<Bytes[]> {
    return (await this.#store.keys()).map((ref) => fromHex(ref))
  }

  async #mint(lastResort: boolean, now: Milliseconds): Promise<Bytes> {
    const own = await this.#engine.mint(this.#signer.keyId, now, PUBLISHED_FOR_MS)
    const record = await makeKeyPackageRecord(own, this.#signer, now, { lastResort, validMs: PUBLISHED_FOR_MS })
    const { initPrivateKey, hpkePrivateKey, signaturePrivateKey } = own.privateKeys
    const secret = concatBytes(initPrivateKey, hpkePrivateKey, signaturePrivateKey)
    const key = await globalThis.crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"])
    const nonce = secureRandom(12)
    const sealed = concatBytes(nonce, await aeadSeal(key, nonce, own.ref, secret))
    wipe(secret, initPrivateKey, hpkePrivateKey, signaturePrivateKey)
    await this.#store.put(toHex(own.ref), { keyPackage: own.bytes, sealed, key, lastResort, notAfter: now + PUBLISHED_FOR_MS })
    return record
  }
}
