/** The links of a node: their lanes, keys and rates, and which one a subscription runs over. */
import type { LaneChannel, LaneHandlers, MediaLaneRole } from "../../../link/lane-port.ts"
import { LastRates } from "../../../link/last-rates.ts"
import type { Bytes, PeerKeyId } from "../../../wire/types.ts"
import type { MeshEvent, MeshLinkId } from "../types.ts"
import { MeshLink } from "./link.ts"
import { TransitKeys } from "./transit.ts"

interface MeshLinksOptions {
  ownKeyId: PeerKeyId
  /** First rate of a link to an unknown peer, bit/s. */
  startRate?: number
  now(): number
  emit(event: MeshEvent): void
  message(link: MeshLink, laneId: number, bytes: Bytes): void
}

export class MeshLinks {
  readonly transit: TransitKeys
  readonly #options: MeshLinksOptions
  readonly #links = new Map<MeshLinkId, MeshLink>()
  /** The link that new subscriptions with a peer use: the one whose key came last. */
  readonly #linkOf = new Map<PeerKeyId, MeshLink>()
  readonly #lastRates = new LastRates()

  constructor(options: MeshLinksOptions) {
    this.#options = options
    this.transit = new TransitKeys(options.ownKeyId)
  }

  all(): MeshLink[] {
    return [...this.#links.values()]
  }

  /** `open` makes the channel and is called at once: a transferred channel must get its handlers in the same task. */
  addLane(linkId: MeshLinkId, laneId: number, role: MediaLaneRole, open: (handlers: LaneHandlers) => LaneChannel): void {
    const link = this.#link(linkId)
    const channel = open({
      onMessage: (bytes) => this.#options.message(link, laneId, bytes),
      onState: (state) => {
        this.#options.emit({ type: "lane", link: linkId, laneId, state })
        if (state === "open") link.pump()
      },
      onLow: () => link.pump(),
    })
    link.addLane(laneId, role, channel)
  }

  removeLane(linkId: MeshLinkId, laneId: number): void {
    this.#links.get(linkId)?.removeLane(laneId)
  }

  /** Takes the link out; the caller ends its subscriptions and closes it. */
  remove(linkId: MeshLinkId): MeshLink | undefined {
    const link = this.#links.get(linkId)
    if (link === undefined) return undefined
    this.#links.delete(linkId)
    if (link.peer !== undefined) this.#lastRates.remember(link.peer, link.sender.rate, this.#options.now())
    if (link.peer !== undefined && this.#linkOf.get(link.peer) === link) this.#linkOf.delete(link.peer)
    this.transit.forget(linkId)
    return link
  }

  setKey(linkId: MeshLinkId, peer: PeerKeyId, sessionKey: Bytes): void {
    const link = this.#link(linkId)
    if (link.peer === undefined) link.sender.rate.startAt(this.#lastRates.recall(peer, this.#options.now()))
    link.peer = peer
    this.#linkOf.set(peer, link)
    this.transit.setSessionKey(linkId, sessionKey)
  }

  pathChanged(linkId: MeshLinkId): void {
    this.#links.get(linkId)?.pathChanged()
  }

  /**
   * The link a subscription belongs to. While a link replaces another one, the two sides may disagree about which is the newest;
   * the one that carried the request is the same for both, and so is its key.
   */
  for(peer: PeerKeyId, named: MeshLinkId | undefined): MeshLink | undefined {
    if (named === undefined) return this.#linkOf.get(peer)
    const link = this.#links.get(named)
    return link?.peer === peer ? link : undefined
  }

  #link(linkId: MeshLinkId): MeshLink {
    const known = this.#links.get(linkId)
    if (known !== undefined) return known
    const { startRate, now, emit } = this.#options
    const link = new MeshLink(linkId, {
      now,
      ...(startRate === undefined ? {} : { startRate }),
      mediaLinks: () => this.#links.size,
      wish: (wish) => emit({ type: "lanes-wanted", link: linkId, ...wish }),
      alarm: (alarm) => emit({ ...alarm, link: linkId }),
    })
    this.#links.set(linkId, link)
    return link
  }
}
