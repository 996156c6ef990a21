/** Decodes AV1 with dav1d as WASM, where the browser has no decoder of its own. */
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"

/** A picture of the module. The planes are the module's until it is given back. */
interface ModulePicture {
  readonly format: {
    readonly width: number
    readonly height: number
    readonly chromaWidth: number
    readonly chromaHeight: number
    readonly cropLeft: number
    readonly cropTop: number
    readonly cropWidth: number
    readonly cropHeight: number
  }
  readonly y: ModulePlane
  readonly u: ModulePlane
  readonly v: ModulePlane
}
interface ModulePlane {
  readonly bytes: Uint8Array
  readonly stride: number
}

/** What we use of the AV1 decoder of `ogv` 1.9. Everything it does is synchronous. */
export interface Av1Module {
  frameBuffer: ModulePicture | null
  init(done: () => void): void
  processFrame(data: ArrayBuffer, done: (ok: number) => void): void
  recycleFrame(picture: ModulePicture): void
}
export interface Av1ModuleOptions {
  wasmBinary: Bytes
  /** The module reads its fields with every picture and does not check that it is there. */
  videoFormat: object
  print(line: string): void
  printErr(line: string): void
}
export type Av1ModuleFactory = (options: Av1ModuleOptions) => Promise<Av1Module>

/** The three planes of a 4:2:0 picture, one behind the other. */
export interface Av1Picture {
  data: Uint8Array<ArrayBuffer>
  /** Where each plane begins and the length of its rows, bytes. */
  layout: { offset: number; stride: number }[]
  width: number
  height: number
  /** The part that is shown. */
  visible: { x: number; y: number; width: number; height: number }
}

/** A picture of the largest level that is ever sent has fewer pixels (4096 x 2304); more is not media of ours. */
const MAX_PIXELS = 9_437_184

export class Av1Decoder {
  #module: Av1Module | undefined

  private constructor(module: Av1Module) {
    this.#module = module
  }

  /**
   * A decoder with a memory of its own.
   *
   * @param wasm `ogv-decoder-video-av1-simd-wasm.wasm` of `ogv` 1.9
   * @throws AvError `MediaUnsupported` without WebAssembly, or without its SIMD instructions
   */
  static async load(create: Av1ModuleFactory, wasm: Bytes): Promise<Av1Decoder> {
    try {
      const module = await create({ wasmBinary: wasm, videoFormat: {}, print: ignore, printErr: ignore })
      module.init(ignore)
      return new Av1Decoder(module)
    } catch (cause) {
      throw new AvError("MediaUnsupported", { missing: "WebAssembly SIMD" }, { cause })
    }
  }

  /**
   * Decodes one temporal unit.
   *
   * @returns undefined where the unit shows nothing
   * @throws AvError `MediaDecodeFailed`: no AV1, a reference is missing, or not 8 bit 4:2:0. The next keyframe mends it, but for a picture
   * of another format, after which the module is at its end: make a new decoder.
   */
  decode(unit: Bytes): Av1Picture | undefined {
    const module = this.#module
    if (module === undefined) throw new AvError("HandleClosedError", { handle: "AV1 decoder" })
    let ok = 0
    module.frameBuffer = null
    try {
      module.processFrame(unit.slice().buffer, (result) => {
        ok = result
      })
    } catch (cause) {
      this.#module = undefined
      throw new AvError("MediaDecodeFailed", { codec: "av1" }, { cause })
    }
    const picture: ModulePicture | null = module.frameBuffer
    if (picture === null) {
      if (ok !== 1) throw new AvError("MediaDecodeFailed", { codec: "av1" })
      return undefined
    }
    try {
      return copyOf(picture)
    } finally {
      module.recycleFrame(picture)
    }
  }

  /** The memory goes with the last reference to it: the module has no end of its own. */
  close(): void {
    this.#module = undefined
  }
}

function copyOf({ format, y, u, v }: ModulePicture): Av1Picture {
  const { width, height, chromaWidth, chromaHeight, cropLeft, cropTop, cropWidth, cropHeight } = format
  const halved = chromaWidth === Math.ceil(width / 2) && chromaHeight === Math.ceil(height / 2)
  if (!halved || width * height > MAX_PIXELS) throw new AvError("MediaDecodeFailed", { codec: "av1", width, height })
  const data = new Uint8Array(y.bytes.length + u.bytes.length + v.bytes.length)
  const layout: Av1Picture["layout"] = []
  let offset = 0
  for (const { bytes, stride } of [y, u, v]) {
    data.set(bytes, offset)
    layout.push({ offset, stride })
    offset += bytes.length
  }
  return { data, layout, width, height, visible: { x: cropLeft, y: cropTop, width: cropWidth, height: cropHeight } }
}

function ignore(): void {
  // The module speaks to the console; what failed is in the result.
}
