/** The live profile's receiving side: symbols in any order become frames again (av-mesh D-31, D-36). */

import { concatBytes } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeFountainBody, FOUNTAIN_BODY_HEADER_LENGTH, type FountainBody } from "../wire/fountain-body.ts"
import type { MediaPayload } from "../wire/media-payload.ts"
import type { Bytes, U64 } from "../wire/types.ts"
import type { CodedSymbol } from "./codec.ts"
import { recoverBlock } from "./object.ts"

/** Frames under assembly at a time (av-mesh D-30). */
const MAX_FRAMES = 64
/** An unfinished frame this far behind the newest is given up. */
const MAX_BEHIND = 32
/** Objects per frame: 12 MB of video in one frame would need more. */
const MAX_OBJECTS = 64
/** Source symbols per object: far more than the 192 of the live profile, and little enough that decoding never blocks for long. */
const MAX_OBJECT_SYMBOLS = 1_024
/** Decoding is tried again with each further symbol; honest ones succeed by the third. */
const MAX_ATTEMPTS = 8
/** Bytes of symbols and recovered objects held for all frames together; a publisher that never completes a frame must not fill the memory. */
const MAX_HELD_BYTES = 16 * 1024 * 1024

interface AssembledFrame {
  frameId: number
  ptsUs: U64
  keyframe: boolean
  discontinuity: boolean
  aux: number
  /** 1 video, 2 Opus, 4 MDC description. */
  contentKind: number
  content: Bytes
  /** Source symbols that had to be rebuilt from repair symbols. */
  repaired: number
}

/** Counters since the start, for statistics. */
interface AssemblerStats {
  symbols: number
  /** Symbols of frames that were complete, given up or known already. */
  surplus: number
  /** Symbols refused for parameters that make no sense or contradict their object. */
  refused: number
  frames: number
  repairedSymbols: number
  /** Frames given up incomplete. */
  lostFrames: number
}

interface PendingObject {
  parameters: FountainBody
  symbols: Map<number, CodedSymbol>
  content: Bytes | undefined
  attempts: number
  repaired: number
}

interface PendingFrame {
  first: MediaPayload
  contentKind: number
  objects: Map<number, PendingObject>
  bytes: number
}

/** One per subscribed stream. Feed it authenticated payloads only: a wrong symbol would spoil its frame unnoticed. */
export class FountainAssembler {
  readonly stats: AssemblerStats = { symbols: 0, surplus: 0, refused: 0, frames: 0, repairedSymbols: 0, lostFrames: 0 }
  readonly #pending = new Map<number, PendingFrame>()
  /** Finished or given-up frames that late symbols may still name. */
  readonly #closed = new Set<number>()
  #newest: number | undefined
  #heldBytes = 0

  /** Frames that are begun and not complete. */
  get pendingFrames(): number {
    return this.#pending.size
  }

  /** A payload of kind 3; the frame when this symbol completes it. Malformed bodies are counted, never thrown. */
  add(payload: MediaPayload): AssembledFrame | undefined {
    this.stats.symbols++
    const body = readBody(payload)
    if (body === undefined) return this.#refuse()
    if (this.#closed.has(payload.frameId) || this.#isTooOld(payload.frameId)) {
      this.stats.surplus++
      return undefined
    }
    const frame = this.#pending.get(payload.frameId) ?? this.#begin(payload, body)
    const object = this.#objectOf(frame, payload, body)
    if (object === undefined) return this.#refuse()
    if (object.content !== undefined || object.symbols.has(body.symbolId)) {
      this.stats.surplus++
      return undefined
    }
    object.symbols.set(body.symbolId, { symbolId: body.symbolId, bytes: body.symbol })
    this.#hold(frame, body.symbol.length)
    if (!this.#pending.has(payload.frameId)) return undefined
    this.#recover(frame, object)
    return this.#finish(payload.frameId, frame)
  }

  /** Forgets everything, as after a change of publisher. */
  reset(): void {
    this.#pending.clear()
    this.#closed.clear()
    this.#newest = undefined
    this.#heldBytes = 0
  }

  #begin(payload: MediaPayload, body: FountainBody): PendingFrame {
    if (this.#newest === undefined || distance(this.#newest, payload.frameId) > 0) {
      this.#newest = payload.frameId
      for (const id of this.#pending.keys()) if (this.#isTooOld(id)) this.#giveUp(id)
      for (const id of this.#closed) if (this.#isTooOld(id)) this.#closed.delete(id)
    }
    if (this.#pending.size >= MAX_FRAMES) this.#giveUpOldest()
    const frame: PendingFrame = { first: payload, contentKind: body.contentKind, objects: new Map(), bytes: 0 }
    this.#pending.set(payload.frameId, frame)
    return frame
  }

  /** The object of a symbol; `undefined` when it contradicts the frame or the object's first symbol. */
  #objectOf(frame: PendingFrame, payload: MediaPayload, body: FountainBody): PendingObject | undefined {
    if (payload.fragCount !== frame.first.fragCount || body.contentKind !== frame.contentKind) return undefined
    if (payload.ptsUs !== frame.first.ptsUs || payload.keyframe !== frame.first.keyframe || payload.aux !== frame.first.aux)
      return undefined
    const known = frame.objects.get(payload.fragIndex)
    if (known !== undefined) return agrees(known.parameters, body) ? known : undefined
    const object: PendingObject = { parameters: body, symbols: new Map(), content: undefined, attempts: 0, repaired: 0 }
    frame.objects.set(payload.fragIndex, object)
    return object
  }

  #hold(frame: PendingFrame, bytes: number): void {
    frame.bytes += bytes
    this.#heldBytes += bytes
    while (this.#heldBytes > MAX_HELD_BYTES) this.#giveUpOldest()
  }

  #recover(frame: PendingFrame, object: PendingObject): void {
    const { nSource, symbolSize, contentLength } = object.parameters
    if (object.symbols.size < nSource || object.attempts >= MAX_ATTEMPTS) return
    object.attempts++
    const block = nSource === 1 ? object.symbols.values().next().value?.bytes : tryRecover(object)
    if (block === undefined) return
    for (let id = 0; id < nSource && nSource > 1; id++) if (!object.symbols.has(id)) object.repaired++
    object.content = block.subarray(0, contentLength)
    // The whole block stays in memory until its frame is complete or given up.
    const freed = object.symbols.size * symbolSize - block.length
    frame.bytes -= freed
    this.#heldBytes -= freed
    object.symbols.clear()
  }

  #finish(frameId: number, frame: PendingFrame): AssembledFrame | undefined {
    const { fragCount, ptsUs, keyframe, discontinuity, aux } = frame.first
    const contents: Bytes[] = []
    let repaired = 0
    for (let i = 0; i < fragCount; i++) {
      const object = frame.objects.get(i)
      if (object?.content === undefined) return undefined
      contents.push(object.content)
      repaired += object.repaired
    }
    this.#close(frameId)
    this.stats.frames++
    this.stats.repairedSymbols += repaired
    const [only] = contents
    const content = contents.length === 1 && only !== undefined ? only : concatBytes(...contents)
    return { frameId, ptsUs, keyframe, discontinuity, aux, contentKind: frame.contentKind, content, repaired }
  }

  #isTooOld(frameId: number): boolean {
    return this.#newest !== undefined && distance(this.#newest, frameId) < -MAX_BEHIND
  }

  #giveUpOldest(): void {
    let oldest: number | undefined
    for (const id of this.#pending.keys()) if (oldest === undefined || distance(oldest, id) < 0) oldest = id
    if (oldest !== undefined) this.#giveUp(oldest)
  }

  #giveUp(frameId: number): void {
    this.stats.lostFrames++
    this.#close(frameId)
  }

  #close(frameId: number): void {
    this.#heldBytes -= this.#pending.get(frameId)?.bytes ?? 0
    this.#pending.delete(frameId)
    if (!this.#isTooOld(frameId)) this.#closed.add(frameId)
  }

  #refuse(): undefined {
    this.stats.refused++
    return undefined
  }
}

/** How far `to` is ahead of `from` on the circle of 2^32 frame ids; negative when behind. */
function distance(from: number, to: number): number {
  return (to - from) | 0
}

/** The body, if its numbers make sense together: everything that could hurt the codec is refused here. */
function readBody(payload: MediaPayload): FountainBody | undefined {
  if (payload.body.length < FOUNTAIN_BODY_HEADER_LENGTH) return undefined
  if (payload.fragCount < 1 || payload.fragCount > MAX_OBJECTS || payload.fragIndex >= payload.fragCount) return undefined
  let body: FountainBody
  try {
    body = decodeFountainBody(payload.body)
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
  const { nSource, kRepair, symbolSize, symbolId, contentLength } = body
  if (nSource < 1 || nSource > MAX_OBJECT_SYMBOLS || symbolSize < 1 || symbolId >= nSource + kRepair) return undefined
  if (contentLength > nSource * symbolSize) return undefined
  if (nSource > 1 && (symbolSize < 64 || symbolSize % 8 !== 0)) return undefined
  return body
}

function agrees(a: FountainBody, b: FountainBody): boolean {
  return (
    a.nSource === b.nSource && a.kRepair === b.kRepair && a.symbolSize === b.symbolSize && a.contentLength === b.contentLength
  )
}

/** `undefined` when one more symbol is needed: exactly K symbols fail in about 0.4 % of cases. */
function tryRecover(object: PendingObject): Bytes | undefined {
  const { nSource, symbolSize } = object.parameters
  try {
    return recoverBlock(object.symbols, nSource, symbolSize)
  } catch (error) {
    // A size the codec does not take (over 10 MB): such an object can only complete from its source symbols.
    if (isAvError(error) && error.code !== "UsageError") return undefined
    throw error
  }
}
