/** The parent's side of subscriptions: who may take a stream from this page, and what it is answered (D-19, D-45). */
import { streamKeyOf } from "../pipeline/index.ts"
import type { MeshAnswer, MeshSubscriber } from "../pipeline/mesh/types.ts"
import type { ControlMessageOf, KnownControlMessage } from "../wire/control-json.ts"
import { toHex } from "../wire/index.ts"
import type { Bytes, PeerKeyId, ReceiverLayerPolicy } from "../wire/types.ts"

/** Requests that were taken back are remembered so that they are not granted afterwards: messages of two links overtake each other. */
const MAX_TAKEN_BACK = 512

export interface SubscriberDeskHost {
  mesh: {
    addSubscriber(subscriber: MeshSubscriber): Promise<MeshAnswer>
    setSubscriberPolicy(streamId: Bytes, peer: PeerKeyId, policy: ReceiverLayerPolicy, subNonce: Bytes): Promise<MeshAnswer>
    removeSubscriber(streamId: Bytes, peer: PeerKeyId, subNonce: Bytes): Promise<MeshAnswer>
    requestKeyframe(streamId: Bytes, peer: PeerKeyId): Promise<void>
  }
  /** Sends over the member's direct session; false when there is none. */
  send(keyId: PeerKeyId, message: KnownControlMessage): boolean
  /** Whether this page may hand this stream to others. */
  mayServe(streamId: Bytes): boolean
  /** Somebody was refused for want of room: whether there is a place now. */
  makePlace(streamId: Bytes, asker: PeerKeyId): Promise<boolean>
  /** Whether what room there is is kept for somebody else than this asker. */
  isKept(streamId: Bytes, asker: PeerKeyId): boolean
  /** A member takes a stream from this page, by this request, or does so no more. */
  child(keyId: PeerKeyId, streamKey: string, request: string, takes: boolean): void
}

export class SubscriberDesk {
  readonly #host: SubscriberDeskHost
  readonly #takenBack = new Set<string>()

  constructor(host: SubscriberDeskHost) {
    this.#host = host
  }

  /** A message of a child, or of one that wants to be; `link` brought it. False: not for a parent. */
  async take(link: string, keyId: PeerKeyId, message: KnownControlMessage): Promise<boolean> {
    const { mesh, child, send } = this.#host
    switch (message.t) {
      case "av.subscribe":
        await this.#subscribe(link, keyId, message)
        return true
      case "av.unsubscribe": {
        const { streamId, subNonce } = message
        this.#takeBack(keyId, subNonce)
        child(keyId, streamKeyOf(streamId), toHex(subNonce), false)
        await mesh.removeSubscriber(streamId, keyId, subNonce)
        return true
      }
      case "av.policy": {
        const { streamId, subNonce } = message
        const { ok } = await mesh.setSubscriberPolicy(streamId, keyId, message.policy, subNonce)
        // The member believes that it is served: it has to ask again.
        if (!ok) send(keyId, { t: "av.refused", streamId, subNonce, error: "SubscriberNotFound" })
        return true
      }
      case "av.keyframe":
        await mesh.requestKeyframe(message.streamId, keyId)
        return true
      default:
        return false
    }
  }

  async #subscribe(link: string, keyId: PeerKeyId, message: ControlMessageOf<"av.subscribe">): Promise<void> {
    const { mesh, mayServe, isKept, makePlace, child, send } = this.#host
    const { streamId, subNonce, policy, symbolRange, via } = message
    const about = { streamId, subNonce }
    const isTakenBack = () => this.#takenBack.has(keyId + toHex(subNonce))
    if (isTakenBack()) return
    const refuse = (error: string) => void send(keyId, { t: "av.refused", ...about, error })
    if (!mayServe(streamId)) return refuse("NotAllowed")
    if (isKept(streamId, keyId)) return refuse("CapacityExceeded")
    const more = { ...(symbolRange === undefined ? {} : { symbolRange }), ...(via === undefined ? {} : { via }) }
    const subscriber = { streamId, peer: keyId, subNonce, policy, link, ...more }
    let answer = await mesh.addSubscriber(subscriber)
    const full = !answer.ok && answer.error === "CapacityExceeded"
    if (full && (await makePlace(streamId, keyId)) && !isTakenBack()) answer = await mesh.addSubscriber(subscriber)
    if (!answer.ok) return refuse(answer.error)
    if (isTakenBack()) {
      await mesh.removeSubscriber(streamId, keyId, subNonce)
      return
    }
    child(keyId, streamKeyOf(streamId), toHex(subNonce), true)
    send(keyId, { t: "av.subscribed", ...about })
  }

  #takeBack(keyId: PeerKeyId, subNonce: Bytes): void {
    this.#takenBack.add(keyId + toHex(subNonce))
    const [oldest] = this.#takenBack
    if (this.#takenBack.size > MAX_TAKEN_BACK && oldest !== undefined) this.#takenBack.delete(oldest)
  }
}
