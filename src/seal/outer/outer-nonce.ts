/** The outer nonce: a hash of link id and link_seq, never sent (av-mesh 2.3). */
import { sha256Sync } from "../../crypto/index.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"

const LABEL = new TextEncoder().encode("CIRIS-AV-OUTER-V1")

/** Computes nonces for one link id over a preimage that is laid out once. */
export class OuterNonces {
  readonly #preimage: Bytes
  readonly #view: DataView
  readonly #at: number

  /** `linkId` must have 1..255 bytes (`LinkIdInvalid`, D-5.1). */
  constructor(linkId: Bytes) {
    if (linkId.length < 1 || linkId.length > 255) throw new AvError("LinkIdInvalid", { length: linkId.length })
    this.#at = LABEL.length + linkId.length
    this.#preimage = new Uint8Array(this.#at + 8)
    this.#preimage.set(LABEL)
    this.#preimage.set(linkId, LABEL.length)
    this.#view = new DataView(this.#preimage.buffer)
  }

  /** The 12-byte nonce of one `link_seq`. */
  at(linkSeq: U64): Bytes {
    this.#view.setBigUint64(this.#at, linkSeq)
    return sha256Sync(this.#preimage).slice(0, 12)
  }
}

/** The 12-byte outer nonce (av-mesh 2.3). */
export function deriveOuterNonce(linkId: Bytes, linkSeq: U64): Bytes {
  return new OuterNonces(linkId).at(linkSeq)
}
