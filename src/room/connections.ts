/** How everybody is reached and what is done when that fails: drives {@link LinkCare}, keeps the states that people see. */
import type { CloseReason, ControlSession, PeerLink } from "../link/index.ts"
import type { RpcNode } from "../rpc/index.ts"
import type { PeerKeyId } from "../wire/types.ts"
import { monotonicNow } from "./clock.ts"
import { type CareAction, LinkCare, type ReconnectBudget } from "./link-care.ts"
import { LinkWishes } from "./link-wishes.ts"
import type { MachineDriver } from "./machine-driver.ts"
import type { MediaPlane } from "./media-plane.ts"
import { watchNetwork } from "./network-watch.ts"
import type { PeerHub } from "./peer-hub.ts"
import type { People } from "./people.ts"
import type { ConnectionState } from "./types.ts"

const TICK_MS = 250
/** A timer that comes later than this says that the page or the machine stood still, ms. */
const STOOD_STILL_MS = 1_500

/** The parts of a room that this looks after. */
interface ConnectionsHost {
  hub: Pick<PeerHub, "sessions" | "link" | "restart">
  driver: Pick<MachineDriver, "machine" | "feed">
  control: { rpc: Pick<RpcNode, "partners"> }
  /** Made after this. */
  media: { subscriptions: { upstreams: Pick<MediaPlane["subscriptions"]["upstreams"], "all"> } } | undefined
  server: { connected: boolean; client: { retryNow(): void } }
  nat: { networkChanged(): void }
  direct: { networkChanged(): void }
  people: Pick<People, "connection"> & { remote: ReadonlyMap<PeerKeyId, unknown> }
  /** {@link Connections.state} may have changed. */
  stateChanged(reason: string): void
  /** Nobody was reachable for as long as the application allows. */
  giveUp(): void
}

export class Connections {
  readonly #host: ConnectionsHost
  readonly #budget: ReconnectBudget
  readonly #care: LinkCare
  readonly #wishes = new LinkWishes()
  /** What the room protocol says: heard, or reported as lost. */
  readonly #lost = new Set<PeerKeyId>()
  readonly #met = new Set<PeerKeyId>()
  readonly #shown = new Map<PeerKeyId, ConnectionState>()
  readonly #stopWatching: () => void
  readonly #timer: ReturnType<typeof setInterval>
  #tickedAt = monotonicNow()
  #aloneSince: number | undefined

  constructor(host: ConnectionsHost, budget: ReconnectBudget) {
    this.#host = host
    this.#budget = budget
    this.#care = new LinkCare(this.#budget)
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
    this.#stopWatching = watchNetwork({
      changed: () => this.networkChanged(),
      look: () => this.#look(),
      offline: () => host.stateChanged("offline"),
    })
  }

  close(): void {
    clearInterval(this.#timer)
    this.#stopWatching()
    this.#wishes.close()
  }

  /**
   * Has a direct link made to a member that this page has none to: in a large room only neighbours are linked (RM-20). A stream that is
   * asked of the member keeps the link; without one it is let go of after a while.
   *
   * @throws AvError `LinkFailed` when there is none after 15 s
   */
  ensureLink(keyId: PeerKeyId): Promise<void> {
    if (this.#direct(keyId).length > 0) return Promise.resolve()
    const opened = this.#wishes.want(keyId, monotonicNow())
    this.#tellWishes()
    return opened
  }

  /** A member began to take a stream from this page, or left it: the link is needed, or not. */
  child(keyId: PeerKeyId, streamKey: string, request: string, takes: boolean): void {
    this.#wishes.child(keyId, streamKey, request, takes)
  }

  /** How the call as a whole is; only asked while this page is a member. */
  get state(): "connected" | "reconnecting" | "offline" {
    const offline = globalThis.navigator?.onLine === false && !this.#host.server.connected
    const states = [...this.#host.people.remote.keys()].map((keyId) => this.#shown.get(keyId) ?? "connecting")
    const reached = this.#anybody() && states.some((state) => state === "direct" || state === "routed")
    if (reached) return "connected"
    if (offline) return "offline"
    return states.length === 0 || states.includes("connecting") ? "connected" : "reconnecting"
  }

  sessionOpen(session: ControlSession): void {
    this.#lost.delete(session.peer.keyId)
    this.#met.add(session.peer.keyId)
    if (session.kind === "direct") {
      this.#wishes.opened(session.peer.keyId)
      this.#care.opened(session.id, this.#host.hub.link(session.id)?.role === "offerer", monotonicNow())
    }
    this.#show(session.peer.keyId, "")
  }

  sessionClosed(session: ControlSession, reason: CloseReason | undefined): void {
    this.#care.closed(session.id)
    if (this.#direct(session.peer.keyId).length === 0) this.#wishes.lost(session.peer.keyId)
    this.#show(session.peer.keyId, reason ?? "session-closed")
  }

  heard(session: ControlSession, kind: "media" | "control"): void {
    if (session.kind === "direct") this.#do(this.#care.heard(session.id, kind, monotonicNow()))
  }

  linkIce(link: PeerLink, state: RTCPeerConnectionState): void {
    this.#do(this.#care.ice(link.id, state, monotonicNow()))
  }

  /** The mesh worker got no answer on any lane (`path-silent`), or on none of the video lanes (`lanes-suspect`). */
  alarm(link: string, type: "path-silent" | "lanes-suspect"): void {
    const now = monotonicNow()
    this.#do(type === "path-silent" ? this.#care.pathSilent(link, now) : this.#care.restartWanted(link, now))
  }

  /** Whether a lane that died may be replaced: while the whole path is in doubt it is not the lane's fault. */
  healthy(link: string): boolean {
    return this.#care.healthy(link)
  }

  serverChanged(connected: boolean): void {
    if (connected) this.#do(this.#care.signalBack(monotonicNow()))
    this.#host.stateChanged(connected ? "server" : "server-lost")
  }

  /** This machine is in another network: the server is asked again, and every link gets new addresses. */
  networkChanged(): void {
    this.#host.server.client.retryNow()
    this.#host.nat.networkChanged()
    this.#host.direct.networkChanged()
    this.#do(this.#care.networkChanged(monotonicNow()))
    this.#host.stateChanged("network-changed")
  }

  /** The room protocol's word about a member. */
  member(keyId: PeerKeyId, connection: "connecting" | "connected" | "lost"): void {
    if (connection === "lost") this.#lost.add(keyId)
    else this.#lost.delete(keyId)
    // It may have been reached before it was a member, when nobody could be told.
    this.#shown.delete(keyId)
    this.#show(keyId, connection === "lost" ? "reported-lost" : "")
  }

  /** The member left. */
  forget(keyId: PeerKeyId): void {
    this.#lost.delete(keyId)
    this.#wishes.forget(keyId)
    this.#met.delete(keyId)
    this.#shown.delete(keyId)
    this.#host.stateChanged("")
  }

  #tick(): void {
    const now = monotonicNow()
    const late = now - this.#tickedAt - TICK_MS
    this.#tickedAt = now
    if (late > STOOD_STILL_MS) this.#look()
    this.#do(this.#care.tick(now))
    this.#tellWishes()
    if (this.state === "connected") this.#aloneSince = undefined
    else this.#aloneSince ??= now
    if (this.#aloneSince !== undefined && now - this.#aloneSince >= this.#budget.giveUpMs) this.#host.giveUp()
  }

  /** Direct links are needed to whom streams are asked of. */
  #tellWishes(): void {
    const parents = (this.#host.media?.subscriptions.upstreams.all ?? []).flatMap(({ asked }) => asked)
    const { partners } = this.#host.control.rpc
    const busy = this.#host.hub.sessions.flatMap(({ peer, closed }) => (!closed && partners.has(peer.nodeId) ? [peer.keyId] : []))
    const use = this.#wishes.tick(parents, monotonicNow(), busy)
    if (use !== undefined) this.#host.driver.feed({ type: "linkUse", ...use })
  }

  #direct(keyId: PeerKeyId): ControlSession[] {
    return this.#host.hub.sessions.filter(({ kind, peer, closed }) => kind === "direct" && peer.keyId === keyId && !closed)
  }

  /** Somebody can be reached at all. */
  #anybody(): boolean {
    return this.#host.hub.sessions.some(({ id, kind, closed }) => !closed && (kind === "routed" || this.#care.healthy(id)))
  }

  /** The page was away or came to the front: whatever was missed says nothing, but is asked for at once. */
  #look(): void {
    this.#host.server.client.retryNow()
    this.#do(this.#care.look(monotonicNow()))
  }

  #do(actions: readonly CareAction[]): void {
    for (const action of actions) {
      const link = this.#host.hub.link(action.link)
      if (link === undefined) continue
      switch (action.type) {
        case "check":
          link.check()
          break
        case "restart":
          if (this.#host.hub.restart(link)) this.#host.nat.networkChanged()
          else this.#care.noWay(action.link)
          break
        case "giveUp":
          link.abandon(action.why === "ice-failed" ? "ice-failed" : "silence")
          break
        case "health":
          link.hold(!action.healthy)
          if (link.session !== undefined) this.#show(link.session.peer.keyId, action.why)
          break
      }
    }
  }

  #show(keyId: PeerKeyId, reason: string): void {
    const state = this.#stateOf(keyId)
    if (this.#shown.get(keyId) === state) return
    this.#shown.set(keyId, state)
    this.#host.people.connection(keyId, state, reason)
    this.#host.stateChanged(reason)
  }

  #stateOf(keyId: PeerKeyId): ConnectionState {
    const sessions = this.#host.hub.sessions.filter(({ peer, closed }) => peer.keyId === keyId && !closed)
    const direct = this.#direct(keyId)
    if (direct.some(({ id }) => this.#care.healthy(id))) return "direct"
    if (this.#lost.has(keyId)) return "lost"
    if (direct.length > 0) return "reconnecting"
    if (sessions.length > 0) return "routed"
    // In a large room most members are not linked: what they say comes through others.
    if (!this.#host.driver.machine.wantsLink(keyId) && this.#anybody()) return "routed"
    return this.#met.has(keyId) ? "reconnecting" : "connecting"
  }
}
