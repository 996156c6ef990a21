/** The KeyPackages this peer has handed out and not used yet; their private halves stay here. */
import { wipe } from "../crypto/layout.ts"
import { xwingForget } from "../crypto/xwing.ts"
import { toHex } from "../wire/bytes.ts"
import type { Bytes } from "../wire/types.ts"
import type { OwnKeyPackage } from "./key-package.ts"

/** A newcomer that asks again makes a new package each time; the answers to earlier ones may still be on their way. */
const MAX_OWN_PACKAGES = 4

export class OwnPackages {
  readonly #packages = new Map<string, OwnKeyPackage>()

  add(own: OwnKeyPackage): void {
    this.#packages.set(toHex(own.ref), own)
    while (this.#packages.size > MAX_OWN_PACKAGES) {
      const [oldest] = this.#packages.values()
      if (oldest !== undefined) this.forget(oldest.ref)
    }
  }

  get(ref: Bytes): OwnKeyPackage | undefined {
    return this.#packages.get(toHex(ref))
  }

  /** After use only the init key goes: leaf and signature key live on in the group. */
  consume(ref: Bytes): void {
    const own = this.#packages.get(toHex(ref))
    if (own === undefined) return
    this.#packages.delete(toHex(ref))
    xwingForget(own.privateKeys.initPrivateKey)
    wipe(own.privateKeys.initPrivateKey)
  }

  /** Erases a package that will not be used. */
  forget(ref: Bytes): void {
    const own = this.#packages.get(toHex(ref))
    if (own === undefined) return
    this.consume(ref)
    wipe(own.privateKeys.hpkePrivateKey, own.privateKeys.signaturePrivateKey)
  }

  clear(): void {
    for (const { ref } of [...this.#packages.values()]) this.forget(ref)
  }
}
