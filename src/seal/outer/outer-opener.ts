/** The receiving end of one stream on one hop: replay check, outer open, commit (av-mesh 4.2 steps 1-4, D-7). */
import { aeadOpen, importAeadKey } from "../../crypto/index.ts"
import { CHUNK_HEADER_LENGTH, MAX_CHUNK_LENGTH, MIN_CHUNK_LENGTH } from "../../wire/chunk.ts"
import type { ErrorCode } from "../../wire/errors.ts"
import { decodeLinkFrame, KEEP_ALIVE_FRAME_LENGTH, LINK_FRAME_HEADER_LENGTH, type LinkFrame } from "../../wire/link-frame.ts"
import type { Bytes, SealProfile, U64 } from "../../wire/types.ts"
import { outerAssociatedData } from "./associated-data.ts"
import { opensKeepAlive } from "./keep-alive.ts"
import { OuterNonces } from "./outer-nonce.ts"
import { REPLAY_WIDTH_LANES, type ReplayOutcome, ReplayWindow } from "./replay-window.ts"

interface OuterOpenerOptions {
  /** 32 bytes. May be wiped after `create` returned. */
  transitKey: Bytes
  /** UTF-8 bytes of our own key id (D-5.1). */
  linkId: Bytes
  /** Default 1. */
  profile?: SealProfile
  /** Width of the replay window; default 4096, for links with lanes. */
  window?: number
}

/** What became of one frame. Drops are values, not exceptions: a flood of garbage must stay cheap. */
export type OuterResult =
  /** `innerChunk`: 52 header bytes and inner ciphertext in a buffer of its own, ready to be sealed for the next hop. */
  | { kind: "chunk"; linkSeq: U64; innerChunk: Bytes }
  | { kind: "keep-alive"; linkSeq: U64 }
  /** `outcome` is set with `LinkReplay`. */
  | { kind: "dropped"; error: ErrorCode; outcome?: ReplayOutcome }

/** The stream id of a link frame, where both frame types have it: a view, or `undefined` when the frame is too short. */
export function streamIdOfFrame(frame: Bytes): Bytes | undefined {
  return frame.length < KEEP_ALIVE_FRAME_LENGTH
    ? undefined
    : frame.subarray(LINK_FRAME_HEADER_LENGTH, LINK_FRAME_HEADER_LENGTH + 32)
}

/** One per (direction, stream, subscription). The caller picks it by {@link streamIdOfFrame}. */
export class OuterOpener {
  readonly #key: CryptoKey
  readonly #nonces: OuterNonces
  readonly #window: ReplayWindow
  readonly #profile: SealProfile

  private constructor(key: CryptoKey, nonces: OuterNonces, window: ReplayWindow, profile: SealProfile) {
    this.#key = key
    this.#nonces = nonces
    this.#window = window
    this.#profile = profile
  }

  static async create(options: OuterOpenerOptions): Promise<OuterOpener> {
    const nonces = new OuterNonces(options.linkId)
    const window = new ReplayWindow(options.window ?? REPLAY_WIDTH_LANES)
    return new OuterOpener(await importAeadKey(options.transitKey), nonces, window, options.profile ?? 1)
  }

  /** Opens one frame; never throws on its content. `frame` may be reused once the promise is settled. */
  async open(frame: Bytes): Promise<OuterResult> {
    const parsed = parse(frame)
    if (typeof parsed === "string") return { kind: "dropped", error: parsed }
    const early = this.#window.check(parsed.linkSeq)
    if (early !== "Fresh") return { kind: "dropped", error: "LinkReplay", outcome: early }
    const opened =
      parsed.type === "chunk" ? await this.#openChunk(parsed.linkSeq, parsed.chunk) : await this.#openKeepAlive(parsed)
    if (opened === undefined) return { kind: "dropped", error: "OuterAead" }
    // A copy of the same frame may have been opened while we waited.
    const late = this.#window.admit(parsed.linkSeq)
    return late === "Fresh" ? opened : { kind: "dropped", error: "LinkReplay", outcome: late }
  }

  async #openChunk(linkSeq: U64, chunk: Bytes): Promise<OuterResult | undefined> {
    const header = chunk.slice(0, CHUNK_HEADER_LENGTH)
    const aad = outerAssociatedData(this.#profile, header)
    const inner = await aeadOpen(this.#key, this.#nonces.at(linkSeq), aad, chunk.subarray(CHUNK_HEADER_LENGTH))
    if (inner === null) return undefined
    const innerChunk = new Uint8Array(CHUNK_HEADER_LENGTH + inner.length)
    innerChunk.set(header)
    innerChunk.set(inner, CHUNK_HEADER_LENGTH)
    return { kind: "chunk", linkSeq, innerChunk }
  }

  async #openKeepAlive(frame: Extract<LinkFrame, { type: "keep-alive" }>): Promise<OuterResult | undefined> {
    const genuine = await opensKeepAlive(this.#key, this.#nonces.at(frame.linkSeq), frame.streamId, frame.tag)
    return genuine ? { kind: "keep-alive", linkSeq: frame.linkSeq } : undefined
  }
}

/** Frame and sizes (D-1, D-2), or the code of the first rule it breaks. */
function parse(frame: Bytes): LinkFrame | ErrorCode {
  if (frame.length < LINK_FRAME_HEADER_LENGTH) return "WireTooShort"
  if (frame.length > LINK_FRAME_HEADER_LENGTH + MAX_CHUNK_LENGTH) return "WireTooLong"
  if (frame[0] !== 1 && (frame[0] !== 2 || frame.length !== KEEP_ALIVE_FRAME_LENGTH)) return "LinkFrameInvalid"
  if (frame[0] === 1 && frame.length < LINK_FRAME_HEADER_LENGTH + CHUNK_HEADER_LENGTH) return "WireTooShort"
  if (frame[0] === 1 && frame.length < LINK_FRAME_HEADER_LENGTH + MIN_CHUNK_LENGTH) return "OuterAead"
  return decodeLinkFrame(frame)
}
