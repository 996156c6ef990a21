/** From the link's session key to the keys of single subscriptions (D-5). The session key never leaves this object. */
import { deriveTransitKey, OuterOpener, OuterSealer, TransitKeyRegistry } from "../../../seal/outer/index.ts"
import { utf8Encode } from "../../../wire/bytes.ts"
import { isAvError } from "../../../wire/errors.ts"
import { LANE_HEADER_LENGTH } from "../../../wire/lane-message.ts"
import type { Bytes, PeerKeyId, SealProfile } from "../../../wire/types.ts"
import type { MeshLinkId, MeshRefusal } from "../types.ts"
import type { HopOpener } from "./inbound.ts"
import type { HopSealer } from "./sender.ts"

/** One subscription as both ends name it. */
interface Subscription {
  link: MeshLinkId
  peer: PeerKeyId
  streamId: Bytes
  subNonce: Bytes
  sealProfile: SealProfile
}

export class TransitKeys {
  readonly #own: PeerKeyId
  readonly #sessionKeys = new Map<MeshLinkId, Bytes>()
  readonly #registry = new TransitKeyRegistry()

  constructor(own: PeerKeyId) {
    this.#own = own
  }

  /** Takes the key of a new or renewed handshake; an older one is overwritten. Keys made from it stay good (D-42). */
  setSessionKey(link: MeshLinkId, sessionKey: Bytes): void {
    this.forget(link)
    this.#sessionKeys.set(link, sessionKey)
  }

  forget(link: MeshLinkId): void {
    this.#sessionKeys.get(link)?.fill(0)
    this.#sessionKeys.delete(link)
  }

  /** Key for what we send. `onFailed` hears of messages that could not be sealed. */
  async sealer(about: Subscription, onFailed: (error: unknown) => void): Promise<HopSealer | MeshRefusal> {
    const { link, peer, streamId, sealProfile: profile } = about
    const sessionKey = this.#sessionKeys.get(link)
    if (sessionKey === undefined) return "SessionClosed"
    const transitKey = await deriveTransitKey(sessionKey, streamId, this.#own, peer, about.subNonce)
    try {
      const sealer = await OuterSealer.create({ transitKey, linkId: utf8Encode(peer), registry: this.#registry, profile })
      return {
        seal: (innerChunk) => sealer.seal(innerChunk, LANE_HEADER_LENGTH),
        keepAlive: () => sealer.keepAlive(streamId, LANE_HEADER_LENGTH),
        failed: onFailed,
      }
    } catch (error) {
      return refusalOf(error)
    } finally {
      transitKey.fill(0)
    }
  }

  /** Key for what we receive. */
  async opener({ link, peer, streamId, subNonce, sealProfile: profile }: Subscription): Promise<HopOpener | MeshRefusal> {
    const sessionKey = this.#sessionKeys.get(link)
    if (sessionKey === undefined) return "SessionClosed"
    const transitKey = await deriveTransitKey(sessionKey, streamId, peer, this.#own, subNonce)
    try {
      return await OuterOpener.create({ transitKey, linkId: utf8Encode(this.#own), profile })
    } catch (error) {
      return refusalOf(error)
    } finally {
      transitKey.fill(0)
    }
  }
}

function refusalOf(error: unknown): MeshRefusal {
  if (isAvError(error, "TransitKeyReuse") || isAvError(error, "LinkIdInvalid")) return error.code as MeshRefusal
  if (isAvError(error, "LimitExceeded")) return "CapacityExceeded"
  throw error
}
