/** The inner nonce: a hash of stream, epoch and chunk_seq, never sent (av-mesh 2.2). */
import { sha256Sync } from "../../crypto/index.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"

const LABEL = new TextEncoder().encode("CIRIS-AV-INNER-V1")

/** Computes nonces for one stream over a preimage that is laid out once. */
export class InnerNonces {
  readonly #preimage: Bytes = new Uint8Array(LABEL.length + 48)
  readonly #view: DataView

  constructor(streamId: Bytes) {
    if (streamId.length !== 32) throw new AvError("UsageError", { why: "stream id length", got: streamId.length })
    this.#preimage.set(LABEL)
    this.#preimage.set(streamId, LABEL.length)
    this.#view = new DataView(this.#preimage.buffer)
  }

  /** The 12-byte nonce of one chunk. */
  at(epoch: U64, chunkSeq: U64): Bytes {
    this.#view.setBigUint64(LABEL.length + 32, epoch)
    this.#view.setBigUint64(LABEL.length + 40, chunkSeq)
    return sha256Sync(this.#preimage).slice(0, 12)
  }
}

/** The 12-byte inner nonce (av-mesh 2.2). Codec and layer are not inputs: every chunk needs its own `chunkSeq`. */
export function deriveInnerNonce(streamId: Bytes, epoch: U64, chunkSeq: U64): Bytes {
  return new InnerNonces(streamId).at(epoch, chunkSeq)
}
