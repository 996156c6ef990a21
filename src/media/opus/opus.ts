/** Loads libopus as WASM and decodes with it: unlike `AudioDecoder` it conceals lost packets and recovers them by in-band FEC. */
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import { AUDIO_SAMPLE_RATE } from "../types.ts"

/** What we use of the module; pointers and sizes are in bytes of its memory. */
interface OpusExports {
  readonly memory: WebAssembly.Memory
  malloc(size: number): number
  free(pointer: number): void
  opus_decoder_get_size(channels: number): number
  opus_decoder_init(decoder: number, sampleRate: number, channels: number): number
  opus_decode(decoder: number, packet: number, length: number, pcm: number, samples: number, fec: number): number
}

/** Far above the 4 000 bytes any encoder uses (av-mesh 9.3). */
const MAX_PACKET = 8_192
/** 120 ms per channel, the longest packet of RFC 6716. */
const MAX_SAMPLES = 5_760
/** PCM comes out as 16 bit. */
const SAMPLE_BYTES = 2
const SCALE = 1 / 32_768

/** One array per channel, -1..1. */
export type SoundPlanes = Float32Array<ArrayBuffer>[]

/** The module in memory. One serves all decoders of a thread. */
export class Opus {
  readonly #exports: OpusExports
  readonly #packet: number
  readonly #pcm: number

  private constructor(exports: OpusExports) {
    this.#exports = exports
    this.#packet = exports.malloc(MAX_PACKET)
    this.#pcm = exports.malloc(MAX_SAMPLES * 2 * SAMPLE_BYTES)
  }

  /**
   * @param wasm `simd.wasm` of `@evan/opus` 1.0.3
   * @throws AvError `MediaUnsupported` where WebAssembly is refused or lacks SIMD
   */
  static async load(wasm: Bytes): Promise<Opus> {
    try {
      const nothing = () => 0
      const imports = {
        wasi_snapshot_preview1: { fd_seek: nothing, fd_write: nothing, fd_close: nothing, proc_exit: nothing },
        env: { emscripten_notify_memory_growth: nothing },
      }
      const { instance } = await WebAssembly.instantiate(wasm.slice().buffer, imports)
      return new Opus(instance.exports as unknown as OpusExports)
    } catch (cause) {
      throw new AvError("MediaUnsupported", { missing: "WebAssembly for opus" }, { cause })
    }
  }

  /** @throws AvError `MediaDecodeFailed` when the module is out of memory */
  decoder(channels: 1 | 2): OpusDecoder {
    const { malloc, free, opus_decoder_get_size, opus_decoder_init } = this.#exports
    const pointer = malloc(opus_decoder_get_size(channels))
    if (pointer === 0 || opus_decoder_init(pointer, AUDIO_SAMPLE_RATE, channels) !== 0) {
      if (pointer !== 0) free(pointer)
      throw new AvError("MediaDecodeFailed", { codec: "opus" })
    }
    return new OpusDecoder(
      (packet, samples, fec) => this.#decode(pointer, channels, packet, samples, fec),
      () => free(pointer),
    )
  }

  #decode(pointer: number, channels: number, packet: Uint8Array | undefined, samples: number, fec: boolean): SoundPlanes {
    const { memory, opus_decode } = this.#exports
    const length = packet?.byteLength ?? 0
    // An empty packet would be taken for a lost one.
    if (length > MAX_PACKET || (packet !== undefined && length === 0)) throw new AvError("MediaDecodeFailed", { bytes: length })
    if (packet !== undefined) new Uint8Array(memory.buffer, this.#packet, length).set(packet)
    const from = packet === undefined ? 0 : this.#packet
    const count = opus_decode(pointer, from, length, this.#pcm, Math.min(samples, MAX_SAMPLES), fec ? 1 : 0)
    if (count <= 0) throw new AvError("MediaDecodeFailed", { codec: "opus", opus: count })
    // Decoding may have grown the memory and so replaced its buffer.
    const pcm = new Int16Array(memory.buffer, this.#pcm, count * channels)
    const planes: SoundPlanes = []
    for (let channel = 0; channel < channels; channel++) {
      const plane = new Float32Array(count)
      for (let i = 0; i < count; i++) plane[i] = pcm[i * channels + channel]! * SCALE
      planes.push(plane)
    }
    return planes
  }
}

/** One stream. Packets must come in order; for each lost one call {@link recover} or {@link conceal} before the next. */
export class OpusDecoder {
  readonly #run: (packet: Uint8Array | undefined, samples: number, fec: boolean) => SoundPlanes
  readonly #free: () => void
  #closed = false

  /** Made by {@link Opus.decoder}. */
  constructor(run: (packet: Uint8Array | undefined, samples: number, fec: boolean) => SoundPlanes, free: () => void) {
    this.#run = run
    this.#free = free
  }

  /** @throws AvError `MediaDecodeFailed` for a packet that is none; the decoder stays usable */
  decode(packet: Uint8Array): SoundPlanes {
    this.#check()
    return this.#run(packet, MAX_SAMPLES, false)
  }

  /**
   * The packet before `next` was lost: what `next` says about it. Without FEC data in it this is {@link conceal}.
   *
   * @param samples per channel of the lost packet, a multiple of 120
   */
  recover(next: Uint8Array, samples: number): SoundPlanes {
    this.#check()
    return this.#run(next, samples, true)
  }

  /** Goes on from what was decoded last, softer each time. `samples` as in {@link recover}. */
  conceal(samples: number): SoundPlanes {
    this.#check()
    return this.#run(undefined, samples, false)
  }

  /** Frees the memory. Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#free()
  }

  #check(): void {
    if (this.#closed) throw new AvError("HandleClosedError", { handle: "opus decoder" })
  }
}

/**
 * True when the packet carries a low-bitrate copy of the one before it (RFC 6716 4.2.4): only then recovering is more than
 * concealing. Reads the header only; a malformed packet has none.
 */
export function carriesFec(packet: Uint8Array): boolean {
  const toc = packet[0]
  if (toc === undefined || packet.length < 2) return false
  const config = toc >> 3
  // Configurations from 16 on are CELT, which has no such copy.
  if (config >= 16) return false
  const code = toc & 3
  // Several frames per packet: our senders make one, and foreign ones may be concealed.
  if (code !== 0) return false
  const silkFrames = config < 12 && (config & 3) === 2 ? 2 : config < 12 && (config & 3) === 3 ? 3 : 1
  // The first bits of the range coder are raw: one voice bit per SILK frame, then the flag, for the first channel.
  return ((packet[1]! >> (7 - silkFrames)) & 1) === 1
}
