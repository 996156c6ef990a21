/** Puts the parts of a frame together and keeps account of frames, whether they come as fragments (D-30) or frames of the fountain assembler. */

/** A frame this far behind the newest one is given up (D-30). */
export const FRAME_WINDOW = 32
/** Most frames in work at a time (D-30). */
const MAX_OPEN_FRAMES = 64
/** Most parts of one frame: 1 MiB of payload in fragments of 1 000 bytes, rounded up. */
export const MAX_PARTS = 1_100
/** Losses told of one gap, the newest: somebody that jumps its numbers must not cause thousands of messages per packet. */
export const MAX_REPORTED = 64
/** A number this far off is no late frame but a publisher that counts anew. */
const RESTART_DISTANCE = 4_096

export interface FramePart {
  frameId: number
  index: number
  count: number
  bytes: Uint8Array
  ptsUs: bigint
  keyframe: boolean
  discontinuity: boolean
  /** Opus frame duration in ms, 0 = 2.5 ms (D-30). */
  aux: number
  temporalId: number
  /** Came out of the fountain decoder with the help of repair symbols. */
  repaired: boolean
}

export interface JoinedFrame extends Omit<FramePart, "index" | "count" | "bytes"> {
  /** An own buffer, ready to be transferred. */
  data: ArrayBuffer
}

type PartVerdict = "joined" | "waiting" | "done-before" | "too-late" | "mismatch"

interface OpenFrame {
  first: FramePart
  parts: (Uint8Array | undefined)[]
  missing: number
  bytes: number
  repaired: boolean
}

/** Options of a {@link FrameJoiner}. */
interface FrameJoinerOptions {
  /** Called once per frame that will never be complete. */
  onLost?: (frameId: number) => void
  /** More frames are lost than are worth a call each: this many besides those given to `onLost`. */
  onUnreported?: (count: number) => void
  /** Called when the numbers jumped and everything in work was given up. */
  onRestart?: () => void
  /** `true`: gaps in the numbers are normal, the subscription leaves layers out. Then only begun frames count as lost. */
  sparse?: boolean
  /** Larger frames are refused. */
  maxFrameBytes?: number
}

export class FrameJoiner {
  sparse: boolean
  readonly #onLost: (frameId: number) => void
  readonly #onUnreported: (count: number) => void
  readonly #onRestart: () => void
  readonly #maxFrameBytes: number
  readonly #open = new Map<number, OpenFrame>()
  readonly #begun = new Set<number>()
  readonly #done = new Set<number>()
  #newest: number | undefined
  /** Every number before this one was judged. */
  #floor = 0

  constructor(options: FrameJoinerOptions = {}) {
    this.sparse = options.sparse ?? false
    this.#onLost = options.onLost ?? (() => {})
    this.#onUnreported = options.onUnreported ?? (() => {})
    this.#onRestart = options.onRestart ?? (() => {})
    this.#maxFrameBytes = options.maxFrameBytes ?? 1_048_576
  }

  /** Highest frame number seen; undefined before the first. */
  get newest(): number | undefined {
    return this.#newest
  }

  /** `true` when a part of this frame can still be of use; spares the work of decoding what cannot. */
  wants(frameId: number): boolean {
    if (this.#done.has(frameId)) return false
    if (this.#newest === undefined) return true
    const behind = distance(frameId, this.#newest)
    return behind <= FRAME_WINDOW || behind > RESTART_DISTANCE
  }

  /** A part of this frame goes elsewhere (to the fountain assembler): without the rest the frame counts as lost. */
  begin(frameId: number): void {
    if (!this.#done.has(frameId) && this.#advance(frameId) && distance(this.#floor, frameId) <= FRAME_WINDOW) {
      this.#begun.add(frameId)
    }
  }

  /** Takes one part. `joined` comes with the frame; every other verdict without. */
  add(part: FramePart): { verdict: PartVerdict; frame?: JoinedFrame } {
    if (part.count < 1 || part.count > MAX_PARTS || part.index >= part.count) return { verdict: "mismatch" }
    if (this.#done.has(part.frameId)) return { verdict: "done-before" }
    if (!this.#advance(part.frameId)) return { verdict: "too-late" }
    if (part.count === 1) return this.#finish(part, part.bytes, part.repaired)

    const open = this.#open.get(part.frameId) ?? this.#begin(part)
    if (!sameFrame(open.first, part)) return { verdict: "mismatch" }
    if (open.parts[part.index] !== undefined) return { verdict: "waiting" }
    if (open.bytes + part.bytes.length > this.#maxFrameBytes) return { verdict: "mismatch" }
    open.parts[part.index] = part.bytes
    open.bytes += part.bytes.length
    open.repaired ||= part.repaired
    open.missing -= 1
    if (open.missing > 0) return { verdict: "waiting" }

    const data = new Uint8Array(open.bytes)
    let offset = 0
    for (const bytes of open.parts) {
      data.set(bytes!, offset)
      offset += bytes!.length
    }
    return this.#finish(part, data, open.repaired)
  }

  #begin(first: FramePart): OpenFrame {
    const open = { first, parts: new Array<undefined>(first.count), missing: first.count, bytes: 0, repaired: false }
    this.#open.set(first.frameId, open)
    if (this.#open.size > MAX_OPEN_FRAMES) this.#giveUp(this.#open.keys().next().value!)
    return open
  }

  #finish(part: FramePart, bytes: Uint8Array, repaired: boolean): { verdict: PartVerdict; frame: JoinedFrame } {
    this.#open.delete(part.frameId)
    this.#begun.delete(part.frameId)
    this.#done.add(part.frameId)
    const { frameId, ptsUs, keyframe, discontinuity, aux, temporalId } = part
    const data = ownBuffer(bytes)
    return { verdict: "joined", frame: { frameId, ptsUs, keyframe, discontinuity, aux, temporalId, repaired, data } }
  }

  /** Moves the window up to `frameId`; `false` when the frame lies below it. */
  #advance(frameId: number): boolean {
    if (this.#newest === undefined) return this.#restart(frameId)
    const ahead = distance(this.#newest, frameId)
    const behind = distance(frameId, this.#newest)
    if (Math.min(ahead, behind) > RESTART_DISTANCE) return this.#restart(frameId)
    if (ahead > behind) return behind <= FRAME_WINDOW
    this.#newest = frameId
    const below = distance(this.#floor, frameId) - FRAME_WINDOW
    if (below > MAX_REPORTED) this.#skip(below - MAX_REPORTED)
    while (distance(this.#floor, frameId) > FRAME_WINDOW) {
      if (!this.#done.delete(this.#floor)) this.#judge(this.#floor)
      this.#floor = (this.#floor + 1) >>> 0
    }
    return true
  }

  /** Moves the floor up by `count` numbers without looking at each: only what was begun is told by its number. */
  #skip(count: number): void {
    const passed = (id: number) => distance(this.#floor, id) < count
    let lost = count
    for (const id of this.#done) if (passed(id) && this.#done.delete(id)) lost -= 1
    for (const id of new Set([...this.#open.keys(), ...this.#begun])) {
      if (!passed(id)) continue
      this.#giveUp(id)
      lost -= 1
    }
    if (!this.sparse && lost > 0) this.#onUnreported(lost)
    this.#floor = (this.#floor + count) >>> 0
  }

  #restart(frameId: number): true {
    for (const open of [...this.#open.keys()]) this.#giveUp(open)
    for (const begun of [...this.#begun]) this.#giveUp(begun)
    this.#done.clear()
    this.#onRestart()
    this.#newest = frameId
    this.#floor = frameId
    return true
  }

  #judge(frameId: number): void {
    if (this.#open.has(frameId) || this.#begun.has(frameId)) this.#giveUp(frameId)
    else if (!this.sparse) this.#onLost(frameId)
  }

  #giveUp(frameId: number): void {
    this.#open.delete(frameId)
    this.#begun.delete(frameId)
    this.#onLost(frameId)
  }
}

/** Steps from `from` up to `to`, numbers wrapping at 2^32. */
function distance(from: number, to: number): number {
  return (to - from) >>> 0
}

function sameFrame(a: FramePart, b: FramePart): boolean {
  return a.count === b.count && a.ptsUs === b.ptsUs && a.keyframe === b.keyframe && a.aux === b.aux
}

function ownBuffer(bytes: Uint8Array): ArrayBuffer {
  const whole = bytes.byteOffset === 0 && bytes.byteLength === bytes.buffer.byteLength
  return whole && bytes.buffer instanceof ArrayBuffer ? bytes.buffer : (bytes.slice().buffer as ArrayBuffer)
}
