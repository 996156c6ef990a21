/** Tries an encoder setting by encoding a few frames: does it work, how long does it take, which temporal layers come out. */
import { layerAt } from "../../media/temporal-pattern.ts"

/** Enough for the speed to settle after the keyframe. */
const FRAMES = 10
const TIMEOUT_MS = 3_000
const FRAME_US = 33_333
/** The test picture moves by this many pixels per frame. */
const MOTION = 6

export interface EncoderTrial {
  /** Temporal layers that really came out, and can be left out from the top. */
  layers: number
  /** Mean time per frame after the keyframe. */
  msPerFrame: number
}

interface Output {
  chunk: EncodedVideoChunk
  layer: number
  atMs: number
}

/**
 * Undefined when the setting does not work at all.
 *
 * @param patienceMs an encoder that takes longer for all frames is stopped; what it has done so far tells its speed
 */
export async function tryEncoder(config: VideoEncoderConfig, patienceMs: number): Promise<EncoderTrial | undefined> {
  const support = await VideoEncoder.isConfigSupported(config).catch(() => undefined)
  if (support?.supported !== true) return undefined
  const outputs: Output[] = []
  let failed = false
  let firstCame = () => {}
  const first = new Promise<void>((resolve) => {
    firstCame = resolve
  })
  const encoder = new VideoEncoder({
    output: (chunk, metadata) => {
      outputs.push({ chunk, layer: temporalLayerOf(metadata), atMs: performance.now() })
      firstCame()
    },
    error: () => {
      failed = true
    },
  })
  const startedMs = performance.now()
  try {
    encoder.configure(config)
    for (const [index, frame] of testPictures(config.width, config.height)) {
      encoder.encode(frame, { keyFrame: index === 0 })
      frame.close()
    }
    const flushed = encoder.flush()
    // Closing the encoder early rejects it.
    flushed.catch(() => undefined)
    await within(TIMEOUT_MS, Promise.race([flushed, Promise.all([first, delay(patienceMs)])]))
  } catch {
    failed = true
  }
  if (encoder.state !== "closed") encoder.close()
  if (failed || outputs[0]?.chunk.type !== "key") return undefined
  return { layers: await provenLayers(config.codec, outputs), msPerFrame: speedOf(outputs, startedMs, performance.now()) }
}

function speedOf(outputs: readonly Output[], startedMs: number, stoppedMs: number): number {
  if (outputs.length < FRAMES) return (stoppedMs - startedMs) / outputs.length
  const [firstMs, lastMs] = [outputs[0]!.atMs, outputs.at(-1)!.atMs]
  // An encoder that gives everything at once at the end would look infinitely fast.
  return Math.max((lastMs - firstMs) / (outputs.length - 1), (lastMs - startedMs) / outputs.length / 2)
}

/** The temporal layer an encoder reports for a chunk, 0 when it reports none. */
export function temporalLayerOf(metadata: EncodedVideoChunkMetadata | undefined): number {
  const svc = metadata !== undefined && "svc" in metadata ? metadata.svc : undefined
  if (typeof svc !== "object" || svc === null || !("temporalLayerId" in svc)) return 0
  return typeof svc.temporalLayerId === "number" ? svc.temporalLayerId : 0
}

/** Layers that follow the dyadic order and whose base frames can be decoded by themselves; 1 when either is not so. */
async function provenLayers(codec: string, outputs: readonly Output[]): Promise<number> {
  const layers = 1 + Math.max(...outputs.map(({ layer }) => layer))
  if (layers === 1 || outputs.some(({ layer }, index) => layer !== layerAt(index, layers))) return 1
  if (typeof VideoDecoder === "undefined") return layers
  const base = outputs.filter(({ layer }) => layer === 0)
  let decoded = 0
  let failed = false
  const decoder = new VideoDecoder({
    output: (picture) => {
      decoded++
      picture.close()
    },
    error: () => {
      failed = true
    },
  })
  try {
    decoder.configure({ codec, optimizeForLatency: true })
    for (const { chunk } of base) decoder.decode(chunk)
    await within(TIMEOUT_MS, decoder.flush())
  } catch {
    failed = true
  }
  if (decoder.state !== "closed") decoder.close()
  return failed || decoded < base.length ? 1 : layers
}

/** A soft pattern with some grain that moves sideways: about as much work as a person in front of a camera. */
function* testPictures(width: number, height: number): Generator<[number, VideoFrame]> {
  const luma = width * height
  const pixels = new Uint8Array((luma * 3) / 2 + FRAMES * MOTION).fill(128)
  const row = Float32Array.from({ length: width }, (_, x) => Math.sin(x * 0.06) + Math.sin(x * 0.019))
  let grain = 1
  for (let y = 0; y < height; y++) {
    const amplitude = 28 * Math.cos(y * 0.045) + 12
    for (let x = 0; x < width; x++) {
      grain = (grain * 75) % 65_537
      pixels[y * width + x] = 128 + row[x]! * amplitude + (grain & 7)
    }
  }
  for (let index = 0; index < FRAMES; index++) {
    const data = pixels.subarray(index * MOTION, index * MOTION + (luma * 3) / 2)
    const about = { format: "I420" as const, codedWidth: width, codedHeight: height, timestamp: index * FRAME_US }
    yield [index, new VideoFrame(data, about)]
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error("The codec does not answer.")), ms)
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    clearTimeout(timer)
  }
}
