/** Ready-made publishers, relays and receivers for the sealing benchmarks, as the mesh worker builds them. */
import { secureRandom } from "../../src/crypto/index.ts"
import { ContentKeys, InnerOpener, StreamSealer } from "../../src/seal/inner/index.ts"
import { OuterOpener, OuterSealer, TransitKeyRegistry } from "../../src/seal/outer/index.ts"
import { utf8Encode } from "../../src/wire/bytes.ts"
import { CODEC_FOUNTAIN, LAYER_BASE } from "../../src/wire/layers.ts"
import type { Bytes } from "../../src/wire/types.ts"

export const LINK_ID: Bytes = utf8Encode(`mk1${"ab".repeat(32)}`)
export const STREAM_ID: Bytes = secureRandom(32)

/** A publisher's key store, stream sealer, and what opens its chunks. */
export class Publisher {
  readonly keys = new ContentKeys()
  readonly sealer: StreamSealer

  constructor() {
    this.keys.install(1n, secureRandom(32), 0)
    this.sealer = new StreamSealer({ streamId: STREAM_ID, keys: this.keys })
  }

  seal(plaintext: Bytes): Promise<Bytes> {
    return this.sealer.seal(plaintext, CODEC_FOUNTAIN, LAYER_BASE)
  }

  /** A subscriber that has seen nothing yet. */
  opener(): InnerOpener {
    return new InnerOpener({ streamId: STREAM_ID, keys: this.keys })
  }
}

/** One hop: the sending end, and receiving ends that have seen nothing yet. */
export class Hop {
  readonly sealer: OuterSealer
  readonly #transitKey: Bytes

  private constructor(sealer: OuterSealer, transitKey: Bytes) {
    this.sealer = sealer
    this.#transitKey = transitKey
  }

  static async create(): Promise<Hop> {
    const transitKey = secureRandom(32)
    const registry = new TransitKeyRegistry()
    return new Hop(await OuterSealer.create({ transitKey, linkId: LINK_ID, registry }), transitKey)
  }

  opener(): Promise<OuterOpener> {
    return OuterOpener.create({ transitKey: this.#transitKey, linkId: LINK_ID })
  }
}

/** Opens one link frame or fails: a dropped frame must never pass as a fast one. */
export async function openFrame(opener: OuterOpener, frame: Bytes): Promise<Bytes> {
  const result = await opener.open(frame)
  if (result.kind !== "chunk") throw new Error(`the frame was not opened: ${result.kind}`)
  return result.innerChunk
}

/** Opens one inner chunk or fails. */
export async function openInnerChunk(opener: InnerOpener, chunk: Bytes): Promise<Bytes> {
  const result = await opener.open(chunk)
  if (result.kind !== "opened") throw new Error(`the chunk was not opened: ${result.kind}`)
  return result.plaintext
}
