/** Subscriptions whose key is still being derived: of one stream and peer the newest counts, and none that was taken back. */
import type { PeerKeyId } from "../../wire/types.ts"

export class PendingRequests<T extends object> {
  readonly #newest = new Map<string, Map<PeerKeyId, T>>()

  /** Takes the place of an earlier request. */
  begin(streamKey: string, peer: PeerKeyId, request: T): void {
    const peers = this.#newest.get(streamKey) ?? new Map<PeerKeyId, T>()
    peers.set(peer, request)
    this.#newest.set(streamKey, peers)
  }

  get(streamKey: string, peer: PeerKeyId): T | undefined {
    return this.#newest.get(streamKey)?.get(peer)
  }

  /** Takes back the request of this peer, or of all. */
  cancel(streamKey: string, peer?: PeerKeyId): void {
    const peers = this.#newest.get(streamKey)
    if (peer !== undefined) peers?.delete(peer)
    if (peer === undefined || peers?.size === 0) this.#newest.delete(streamKey)
  }

  /** The key is there, or never will be. `true`: the request still counts. */
  end(streamKey: string, peer: PeerKeyId, request: T): boolean {
    if (this.get(streamKey, peer) !== request) return false
    this.cancel(streamKey, peer)
    return true
  }
}
