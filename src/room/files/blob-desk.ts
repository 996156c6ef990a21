/** Chunks over the sessions of a room: who may ask this page, how fast it answers, and what it asks others. */
import { mayExecute, serviceTag } from "../../capability/index.ts"
import { BlobClient, BlobServer } from "../../transfer/index.ts"
import { decodeBlobFrame } from "../../wire/blob-frame.ts"
import { FRAME_BLOB } from "../../wire/frame.ts"
import type { Bytes, NodeId } from "../../wire/types.ts"
import type { ControlPlane } from "../rpc/control-plane.ts"
import type { UploadPace } from "./upload-pace.ts"

const SERVICE = "blob"
/** Bytes of files that may wait in a session. */
const WAITING_BYTES = 262_144
const [SHORTEST_WAIT, LONGEST_WAIT] = [4, 200]
/** Frames with parts of a chunk arrive in the order they were sent. */
const BLOB_ORDER = 2n

export class BlobDesk {
  readonly client: BlobClient
  readonly server: BlobServer
  readonly #plane: ControlPlane
  readonly #pace: UploadPace
  #serving = false

  constructor(plane: ControlPlane, pace: UploadPace, read: (chunkId: Bytes) => Promise<Bytes | undefined>) {
    this.#plane = plane
    this.#pace = pace
    const send = (peer: NodeId, payload: Bytes) => this.#send(peer, payload)
    this.client = new BlobClient({
      send,
      after(ms, action) {
        const timer = setTimeout(action, ms)
        return () => clearTimeout(timer)
      },
    })
    this.server = new BlobServer({
      send,
      read,
      room: (peer, bytes) => this.#room(peer, bytes),
      admits: (peer) => {
        const { gossip, host } = plane
        const known = plane.participant(peer) !== undefined
        return known && mayExecute(gossip.index, host.signer.nodeId, serviceTag(SERVICE), peer, host.now())
      },
    })
    plane.blobs = this
  }

  /** Chunks are offered from now on, or not any more: the announcement says so, and its policy decides who gets them. */
  serve(on: boolean): void {
    if (on === this.#serving) return
    this.#serving = on
    const { announcer } = this.#plane.gossip
    const now = this.#plane.host.now()
    if (on) announcer.serve(SERVICE, now)
    else announcer.unserve(SERVICE, now)
    this.#plane.wake()
  }

  /** @throws AvError `Malformed` */
  receive(peer: NodeId, payload: Bytes): void {
    const frame = decodeBlobFrame(payload)
    if (frame.kind === "get") this.server.get(peer, frame)
    else this.client.receive(peer, frame)
  }

  peerGone(peer: NodeId): void {
    this.server.peerGone(peer)
    this.client.peerGone(peer)
  }

  #send(peer: NodeId, payload: Bytes): void {
    const session = this.#plane.session(peer)
    if (session === undefined) return
    try {
      session.sendFrame(FRAME_BLOB, payload, BLOB_ORDER)
    } catch (error) {
      this.#plane.fault(error)
    }
  }

  async #room(peer: NodeId, bytes: number): Promise<boolean> {
    for (;;) {
      const session = this.#plane.session(peer)
      if (session === undefined || this.#plane.closed) return false
      const full = session.buffered(FRAME_BLOB) > WAITING_BYTES
      const wait = full ? SHORTEST_WAIT : this.#pace.take(bytes, session.kind === "routed", performance.now())
      if (wait === 0) return true
      await new Promise((resolve) => setTimeout(resolve, Math.min(LONGEST_WAIT, Math.max(SHORTEST_WAIT, wait))))
    }
  }
}
