import type { GroupView, PeerKeys } from "../group/types.ts"
import { isAvError } from "../wire/errors.ts"
import { encodeRoomMessage } from "../wire/room-message.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId } from "../wire/types.ts"
import { earliest } from "./core.ts"
import { Inbox } from "./inbox.ts"
import { LEAVE_MS, leaveSteps } from "./leave-steps.ts"
import { Life } from "./life.ts"
import { acceptsFrom } from "./peer-class.ts"
import { MAX_OUTSIDERS, STRANGER_MS } from "./sessions.ts"
import type { RoomAction, RoomCommand, RoomEvent, RoomMachineFace, RoomMachineOptions, RoomPhase, SessionId } from "./types.ts"

const ALIVE_MS = 5_000
const OVERDUE_MS = 20
/** GOAWAY codes of control-plane 0.5. */
const GOAWAY_UNSPECIFIED = 0
const GOAWAY_LEAVING = 1
const GOAWAY_POLICY = 6
const GOAWAY_LIMIT = 7
/** What children are told about the time they have to find another parent. */
const LEAVING_IN_MS = 300

/**
 * One peer's part in one room. Feed it every event in order; do every action in order. After `finished` it does nothing any more.
 *
 * ```ts
 * const machine = new RoomMachine({ name, self, inviteKey, random })
 * perform(machine.handle({ type: "start" }, now()))
 * ```
 */
export class RoomMachine implements RoomMachineFace {
  readonly #life: Life
  readonly #inbox: Inbox
  #aliveAt: Milliseconds = 0
  #started = false
  #finished = false
  #leaveBy: Milliseconds | undefined

  constructor(options: RoomMachineOptions) {
    this.#life = new Life({ ...options })
    this.#inbox = new Inbox(this.#life)
  }

  get phase(): RoomPhase {
    return this.#life.core.phase
  }
  get roomId(): Bytes | undefined {
    return this.#life.core.room?.roomId
  }
  /** Entity id of the room's root (RM-4). */
  get root(): Bytes | undefined {
    return this.#life.core.room?.root
  }
  get view(): GroupView | undefined {
    return this.#life.core.view
  }
  get committer(): PeerKeyId | undefined {
    return this.#life.core.view === undefined ? undefined : this.#life.committer()?.keyId
  }
  get isHost(): boolean {
    return this.#life.host.isHost
  }
  get counters(): Readonly<Record<string, number>> {
    return this.#life.core.counters
  }
  sessionOf(keyId: PeerKeyId): SessionId | undefined {
    return this.#life.core.sessions.ofKey(keyId)?.id
  }
  nodeOf(keyId: PeerKeyId): NodeId | undefined {
    return this.#life.leaves.nodeOf(keyId)
  }
  wantsLink(keyId: PeerKeyId): boolean {
    return this.#life.links.wants(keyId)
  }
  routeTo(node: NodeId, from: NodeId): SessionId | undefined {
    return this.#life.routes.next(node, from)?.id
  }
  keysOf(keyId: PeerKeyId): PeerKeys | undefined {
    return this.#life.leaves.keysOf(keyId)
  }

  accepts(session: SessionId, frame: string): boolean {
    const open = this.#life.core.sessions.get(session)
    return open !== undefined && acceptsFrom(this.#inbox.classOf(open), this.#life.core.view === undefined, frame)
  }

  handle(event: RoomEvent, now: Milliseconds): RoomAction[] {
    const { core } = this.#life
    core.now = Math.max(core.now, now)
    if (this.#finished) return []
    this.#dispatch(event)
    if (event.type !== "heard") this.#settle()
    return core.takeActions()
  }

  nextWake(): Milliseconds | undefined {
    if (this.#finished || !this.#started) return undefined
    const life = this.#life
    const time = earliest(
      life.newcomer.wake(),
      life.track.wake(),
      life.leaves.wake(),
      life.links.wake(),
      life.catchUp.wake(),
      life.merge.wake(),
      life.sequencer.wake(),
      life.ownState.wake(),
      life.sync.wake(),
      life.selfUpdate.wake(),
      ...life.wake(),
      life.core.view === undefined ? undefined : this.#aliveAt + ALIVE_MS,
      this.#strangerWake(),
      this.#leaveBy,
    )
    // What is overdue waits for something else; it is looked at again, but never in a busy loop.
    return time === undefined || time > life.core.now ? time : life.core.now + OVERDUE_MS
  }

  #dispatch(event: RoomEvent): void {
    const { core, newcomer, ownState } = this.#life
    switch (event.type) {
      case "start":
        if (this.#started) return
        this.#started = true
        core.emit({ type: "phase", phase: core.phase, detail: "" })
        newcomer.begin(false)
        return
      case "serverState":
        if (core.serverConnected !== event.connected) core.emit({ type: "server", connected: event.connected })
        core.serverConnected = event.connected
        return
      case "roster":
        core.serverConnected = true
        core.roster = new Set(event.nodes)
        core.rosterVersion++
        return
      case "rosterDelta":
        core.roster ??= new Set()
        core.rosterVersion++
        for (const node of event.left) core.roster.delete(node)
        for (const node of event.joined) if (core.roster.size < 10_000) core.roster.add(node)
        return
      case "sessionOpen":
        this.#sessionOpen(event)
        return
      case "sessionClosed":
        this.#sessionClosed(event.session)
        return
      case "heard": {
        const session = core.sessions.get(event.session)
        if (session !== undefined) this.#life.heardOn(session)
        return
      }
      case "goaway":
        this.#goaway(event.session, event.code)
        return
      case "connectFailed":
      case "routedFailed":
        if (event.type === "connectFailed") this.#life.links.failed(event.node)
        newcomer.unreachable(event.node)
        return
      case "message": {
        const session = core.sessions.get(event.session)
        if (session !== undefined) this.#inbox.take(session, event.message)
        return
      }
      case "opResult":
        core.finishOp(event)
        return
      case "epochSeen":
        this.#life.catchUp.behind(event.session, event.epoch)
        return
      case "tick":
        return
      case "setState":
        ownState.set(event.state, event.urgent ?? false)
        return
      case "linkRtt":
        ownState.rtt(event.rttMs)
        return
      case "linkUse":
        this.#life.links.use(event.call, event.keep)
        return
      default:
        this.#commanded(event)
        return
    }
  }

  /** A command that cannot be carried out is the application's mistake: it hears about it, and the room goes on. */
  #commanded(command: Exclude<RoomCommand, { type: "setState" | "linkRtt" | "linkUse" }>): void {
    try {
      this.#command(command)
    } catch (error) {
      if (!isAvError(error)) throw error
      this.#life.core.emit({ type: "warning", error })
    }
  }

  #command(command: Exclude<RoomCommand, { type: "setState" | "linkRtt" | "linkUse" }>): void {
    const { talk, host } = this.#life
    switch (command.type) {
      case "chat":
        talk.say(encodeRoomMessage({ t: "room.chat", id: command.id, text: command.text }), true)
        return
      case "data":
        talk.say(encodeRoomMessage({ t: "room.data", topic: command.topic, bytes: command.bytes }), false)
        return
      case "remove":
        host.remove(command.keyId, command.keepInvitation ?? false)
        return
      case "mute":
        host.mute(command.keyId)
        return
      case "hostChain":
        host.chain = command.chain
        return
      case "settings":
        host.set(command.settings)
        return
      case "changeSettings":
        host.change(command.change)
        return
      case "decide":
        host.decide(command.keyId, command.admit)
        return
      case "rejoin":
        if (this.#life.core.view !== undefined && !this.#life.leaving) this.#life.comeback.soon()
        return
      case "leave":
        this.#leave()
        return
      case "pageHide":
        this.#finish(true)
        return
    }
  }

  #sessionOpen({ session: id, kind, peer, bind }: Extract<RoomEvent, { type: "sessionOpen" }>): void {
    const life = this.#life
    const { core } = life
    let outsiders = 0
    for (const { peerClass } of core.sessions.all()) if (peerClass === "stranger" || peerClass === "joiner") outsiders++
    const member = core.members.has(peer.keyId)
    if (peer.keyId === core.me || (!member && outsiders >= MAX_OUTSIDERS)) {
      core.count("session-refused")
      core.act({ type: "goaway", session: id, code: GOAWAY_LIMIT })
      return
    }
    const session = core.sessions.open(id, kind, peer, bind, core.now)
    core.run("learnKeys", { keys: [{ entityId: peer.entityId, mlDsa65: peer.mlDsaPublicKey }] }, () => {})
    life.merge.opened(session)
    life.ownState.linksChanged()
    if (!member || core.view === undefined) return
    life.heardOn(session)
    life.alive(session)
    if (life.ready) life.sync.met(session)
    core.emit({ type: "connection", keyId: peer.keyId, connection: "connected" })
  }

  #sessionClosed(id: SessionId): void {
    const life = this.#life
    const session = life.core.sessions.close(id)
    if (session === undefined) return
    life.carrier.forget(id)
    life.door.closed(id)
    life.leaves.closed(id)
    life.catchUp.closed(id)
    life.merge.closed(id)
    life.sync.closed(id)
    if (life.newcomer.active) life.newcomer.closed(id)
    life.ownState.linksChanged()
    const { keyId } = session.peer
    for (const other of life.core.sessions.all()) {
      // What it says goes this way from now on: that nothing came here so far means nothing.
      if (other.peer.keyId === keyId && session.spoke) other.spokeAt = life.core.now
    }
    if (life.core.sessions.ofKey(keyId) !== undefined) return
    // Those that belong to this peer's ring stay watched, whatever ended their link.
    if (session.parted && !life.links.ideal.includes(keyId)) life.presence.parted(keyId)
    life.links.lost(keyId)
  }

  #goaway(id: SessionId, code: number): void {
    const life = this.#life
    const session = life.core.sessions.get(id)
    if (session === undefined || !life.core.members.has(session.peer.keyId)) return
    if (code === GOAWAY_UNSPECIFIED) session.parted = true
    if (code !== GOAWAY_LEAVING) return
    life.report(session.peer.keyId, true)
  }

  /** Everything that follows from the new situation and the time. */
  #settle(): void {
    const life = this.#life
    const { core } = life
    if (!this.#started) return
    life.newcomer.advance()
    life.leaves.tick()
    life.track.tick()
    life.catchUp.tick()
    life.merge.tick()
    life.tick()
    life.sequencer.tick()
    life.links.tick()
    life.ownState.tick()
    life.sync.tick()
    life.selfUpdate.tick()
    life.door.tick()
    life.host.tick()
    if (core.view !== undefined && core.now - this.#aliveAt >= ALIVE_MS) {
      this.#aliveAt = core.now
      life.alive()
    }
    this.#classes()
    if (this.#leaveBy !== undefined && core.now >= this.#leaveBy) this.#finish(false)
    if (life.ended !== undefined && !this.#finished) this.#finish(false)
  }

  /** Tells the driver about changed classes, and closes strangers that have shown nothing for 15 s. */
  #classes(): void {
    const { core } = this.#life
    for (const session of core.sessions.all()) {
      const peerClass = this.#inbox.classOf(session)
      if (peerClass !== session.peerClass) {
        session.peerClass = peerClass
        session.classSince = core.now
        core.act({ type: "peerClass", session: session.id, keyId: session.peer.keyId, peerClass })
      }
      if (peerClass === "stranger" && core.view !== undefined && core.now - session.classSince >= STRANGER_MS) {
        session.classSince = core.now
        core.act({ type: "goaway", session: session.id, code: GOAWAY_POLICY })
      }
    }
  }

  #strangerWake(): Milliseconds | undefined {
    let time: Milliseconds | undefined
    if (this.#life.core.view === undefined) return time
    for (const { peerClass, classSince } of this.#life.core.sessions.all()) {
      if (peerClass === "stranger") time = earliest(time, classSince + STRANGER_MS)
    }
    return time
  }

  #leave(): void {
    const life = this.#life
    const { core, carrier } = life
    if (this.#leaveBy !== undefined) return
    if (!life.ready || core.members.size < 2) {
      this.#finish(false)
      return
    }
    life.leaving = true
    this.#leaveBy = core.now + LEAVE_MS
    core.setPhase("leaving")
    const done = () => this.#finish(false)
    life.ownState.farewell(() => {
      carrier.toLinks({ t: "av.leaving", inMs: LEAVING_IN_MS })
      core.run(
        "proposeLeave",
        {},
        (bytes) => {
          carrier.flood("proposal", bytes)
          done()
        },
        done,
      )
    })
  }

  /** The last steps of leaving; of a page that is being closed the only ones (RM-15). */
  #finish(pageClosing: boolean): void {
    if (this.#finished) return
    const { core } = this.#life
    const best = [...core.sessions.all()].filter(({ id, peer }) => core.sessions.ofKey(peer.keyId)?.id === id)
    const links = best.map(({ id }) => id)
    for (const step of leaveSteps({ pageClosing, links, server: core.serverConnected })) {
      if (step.step === "GOAWAY") core.act({ type: "goaway", session: step.link, code: GOAWAY_LEAVING })
      if (step.step === "GOAWAY server") core.act({ type: "serverGoaway" })
      if (step.step === "UNREGISTER") core.act({ type: "unregister" })
    }
    // A goodbye on a second session could overtake what was said on the first.
    for (const { id } of core.sessions.all()) if (!links.includes(id)) core.act({ type: "goaway", session: id, code: 0 })
    this.#life.end()
    core.setPhase("left")
    core.act({ type: "finished" })
    this.#finished = true
  }
}
