/** Answers requests for chunks (control-plane 7.6): a few at a time for each peer, no faster than its session takes them. */
import { type BlobFrame, encodeBlobFrame } from "../wire/blob-frame.ts"
import { MAX_FRAME_PAYLOAD } from "../wire/frame.ts"
import type { Bytes, NodeId } from "../wire/types.ts"

/** Requests of one peer that may wait; the next one is told `busy`. */
const MAX_GETS_PER_PEER = 16
/** Peers that are served at once. Each holds one chunk in memory. */
const MAX_PEERS = 64
/** Kind, reserved byte, request, offset and total. */
const DATA_HEADER = 12
/** A part fits into one frame, so that nothing is split and put together again. */
const BLOB_PART = MAX_FRAME_PAYLOAD - DATA_HEADER

interface BlobServerHost {
  /** Whether this node serves chunks to that one (`nrpc:blob`). Asked for every request. */
  admits(peer: NodeId): boolean
  /** Undefined: nothing that is shared has this chunk (any more). */
  read(chunkId: Bytes): Promise<Bytes | undefined>
  send(peer: NodeId, payload: Bytes): void
  /** Resolves when so many bytes may be sent; false when the peer is gone. */
  room(peer: NodeId, bytes: number): Promise<boolean>
}

interface Request {
  requestId: number
  chunkId: Bytes
}

interface Line {
  waiting: Request[]
  /** The one that is being answered; what comes next may be asked for before its last part is seen here as sent. */
  running: Request | undefined
}

export class BlobServer {
  readonly #host: BlobServerHost
  readonly #lines = new Map<NodeId, Line>()
  /** Bytes of chunks sent so far. */
  sentBytes = 0
  /** Requests refused, by reason. */
  readonly refused = { busy: 0, refused: 0, "not-found": 0 }

  constructor(host: BlobServerHost) {
    this.#host = host
  }

  get(peer: NodeId, { requestId, chunkId }: Extract<BlobFrame, { kind: "get" }>): void {
    if (!this.#host.admits(peer)) {
      this.#refuse(peer, requestId, "refused")
      return
    }
    const line: Line = this.#lines.get(peer) ?? { waiting: [], running: undefined }
    const full = line.waiting.length >= MAX_GETS_PER_PEER || (!this.#lines.has(peer) && this.#lines.size >= MAX_PEERS)
    if (full || [line.running, ...line.waiting].some((other) => other?.requestId === requestId)) {
      this.#refuse(peer, requestId, "busy")
      return
    }
    this.#lines.set(peer, line)
    // The frame is a view of what was received.
    line.waiting.push({ requestId, chunkId: chunkId.slice() })
    if (line.running === undefined) void this.#run(peer, line)
  }

  peerGone(peer: NodeId): void {
    const line = this.#lines.get(peer)
    if (line === undefined) return
    line.waiting = []
    this.#lines.delete(peer)
  }

  async #run(peer: NodeId, line: Line): Promise<void> {
    for (let next = line.waiting.shift(); next !== undefined; next = line.waiting.shift()) {
      line.running = next
      await this.#answer(peer, line, next)
    }
    line.running = undefined
    if (this.#lines.get(peer) === line) this.#lines.delete(peer)
  }

  async #answer(peer: NodeId, line: Line, { requestId, chunkId }: Request): Promise<void> {
    const chunk = await this.#host.read(chunkId).catch(() => undefined)
    if (chunk === undefined || chunk.length === 0) {
      this.#refuse(peer, requestId, "not-found")
      return
    }
    for (let offset = 0; offset < chunk.length; offset += BLOB_PART) {
      const bytes = chunk.subarray(offset, offset + BLOB_PART)
      const mayGo = await this.#host.room(peer, bytes.length)
      if (!mayGo || this.#lines.get(peer) !== line) return
      this.#host.send(peer, encodeBlobFrame({ kind: "data", requestId, offset, total: chunk.length, bytes }))
      this.sentBytes += bytes.length
    }
  }

  #refuse(peer: NodeId, requestId: number, error: keyof BlobServer["refused"]): void {
    this.refused[error]++
    this.#host.send(peer, encodeBlobFrame({ kind: "error", requestId, error }))
  }
}
