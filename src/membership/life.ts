/** The life of this peer in the room: puts the parts together, enters epochs, loses the group and comes back (RM-7 to RM-15). */
import type { EpochChange, GroupView } from "../group/types.ts"
import { equalBytes } from "../wire/bytes.ts"
import type { AvError } from "../wire/errors.ts"
import { encodeRoomMessage } from "../wire/room-message.ts"
import type { Bytes, Milliseconds, NodeId, PeerKeyId, U64 } from "../wire/types.ts"
import { Carrier } from "./carrier.ts"
import { CatchUp } from "./catch-up.ts"
import { Comeback } from "./comeback.ts"
import { reasonsByKey } from "./commit-reasons.ts"
import { RoomCore, type RoomIdentity } from "./core.ts"
import { Door } from "./door.ts"
import { GroupTrack } from "./group-track.ts"
import { Host } from "./host.ts"
import { Leaves } from "./leaves.ts"
import { Links } from "./links.ts"
import { Merge } from "./merge.ts"
import { Newcomer } from "./newcomer.ts"
import { Opener } from "./opener.ts"
import { OwnState } from "./own-state.ts"
import { Presence } from "./presence.ts"
import { Roll } from "./roll.ts"
import { Routes } from "./routes.ts"
import { SelfUpdate } from "./self-update.ts"
import { Sequencer } from "./sequencer.ts"
import type { RoomSession } from "./sessions.ts"
import { SettingsBook } from "./settings.ts"
import { StateBook } from "./state-book.ts"
import { StateSync } from "./sync.ts"
import { Talk } from "./talk.ts"
import type { RoomMachineOptions } from "./types.ts"

/** A commit that only adds waits this long for everybody to show the new epoch before it is sealed with (D-38). */
const SEAL_WAIT_MS = 250
/** GOAWAY code `policy` (control-plane 0.5). */
const GOAWAY_POLICY = 6

export class Life {
  readonly core: RoomCore
  readonly settings = new SettingsBook()
  readonly states = new StateBook()
  readonly presence: Presence
  readonly carrier: Carrier
  readonly track: GroupTrack
  readonly leaves: Leaves
  readonly links: Links
  readonly routes: Routes
  readonly catchUp: CatchUp
  readonly merge: Merge
  readonly door: Door
  readonly sequencer: Sequencer
  readonly newcomer: Newcomer
  readonly ownState: OwnState
  readonly talk: Talk
  readonly host: Host
  readonly sync: StateSync
  readonly roll: Roll
  readonly selfUpdate: SelfUpdate
  readonly opener = new Opener(this)
  readonly comeback = new Comeback(this)
  /** Set when nothing more is to be done, with the error that ended it. */
  ended: { error: AvError | undefined } | undefined
  #formerRoom: Bytes | undefined
  #seal: { epoch: U64; until: Milliseconds } | undefined
  leaving = false

  constructor(options: RoomMachineOptions) {
    const core = new RoomCore(options)
    const links = () => this.carrier.roomLinks()
    const ready = () => this.ready
    this.core = core
    this.presence = new Presence(core.me)
    this.carrier = new Carrier(core)
    this.track = new GroupTrack(core, this.carrier, {
      changed: (change, how) => this.#changed(change, how.rolledBack),
      removedMe: (data) => this.comeback.removed(data),
      broken: () => this.comeback.soon(),
      lostCommits: (commits) => this.#requeue(commits.flatMap(({ removes }) => removes)),
      foreign: (session) => this.catchUp.foreign(session),
      behind: (session, epoch) => this.catchUp.behind(session, epoch),
      needLeaves: (keyIds, session) => this.leaves.ask(keyIds, session),
      open: (item) => this.opener.open(item),
    })
    this.leaves = new Leaves(core, {
      learned: () => {
        this.track.leavesLearned()
        this.links.tick()
        this.opener.again()
      },
      verified: () => this.#verified(),
      failed: (error) => this.end(error),
      links,
    })
    this.roll = new Roll(core, this.presence, this.leaves, this.states)
    this.routes = new Routes(core, this.leaves, this.states)
    this.links = new Links(core, this.leaves, this.routes)
    this.catchUp = new CatchUp(core, {
      otherBranch: (id) => this.#otherBranch(id),
      tooOld: () => this.comeback.soon(),
      links,
      busy: () => this.track.busy,
    })
    this.merge = new Merge(core, this.leaves, this.catchUp, {
      iCommit: () => this.iCommit,
      move: (head) => this.comeback.move(head),
    })
    this.sequencer = new Sequencer(core, this.track, { iCommit: () => this.iCommit })
    this.door = new Door(core, this.settings, {
      committer: (without) => this.committer(without),
      inBatch: () => this.sequencer.queue.waitingAdds,
      enqueue: (request) => this.sequencer.queue.add(request, core.now),
      returning: (keyId) => this.report(keyId, true),
      order: (keyId) => this.host.decision(keyId),
      isHost: (entityId) => core.options.isHost?.(entityId) ?? false,
      asking: (keyId, name) => {
        core.emit({ type: "asking", keyId, name })
        this.talk.say(encodeRoomMessage({ t: "room.asking", keyId, name }), false)
      },
      classChanged: () => {},
    })
    this.newcomer = new Newcomer(core, {
      founded: (view, room) => this.#entered(view, room, undefined),
      welcomed: (view, room, session) => this.#entered(view, room, session),
      failed: (error) => this.end(error),
      waitingHere: () => this.door.waitingHere(),
      exclusive: (task) => this.track.exclusive(task),
    })
    this.ownState = new OwnState(core, this.carrier, this.states, ready)
    this.talk = new Talk(core, this.carrier, this.states, this.settings, {
      heard: (keyId, at) => this.heardFrom(keyId, at),
      lost: (keyId, left, reporter) => this.#lost(keyId, left, reporter),
      order: (order) => this.host.take(order),
      settings: () => this.door.settingsChanged(),
      moved: (message) => this.merge.moved(message),
      ready,
    })
    this.host = new Host(core, this.talk, this.settings, {
      remove: (keyId, order) => {
        // The next leaf commits at once: the target must not decide about its own removal.
        this.presence.going(keyId, Number.MIN_SAFE_INTEGER)
        this.sequencer.queue.remove({ keyId, reason: "removed", order, urgent: true }, core.now)
      },
      decided: (keyId) => this.door.decided(keyId),
    })
    this.selfUpdate = new SelfUpdate(core, this.track, {
      iCommit: () => this.iCommit,
      ready,
      committer: () => this.presence.verdict(core.now).committer,
    })
    this.sync = new StateSync(core, this.states, this.settings, links)
  }

  /** This peer is a member, knows whom it seals to, and stays. */
  get ready(): boolean {
    return this.core.view !== undefined && !this.leaves.verifying && this.ended === undefined
  }

  get iCommit(): boolean {
    return this.ready && !this.leaving && !this.comeback.moving && this.presence.verdict(this.core.now).iCommit
  }

  committer(without?: PeerKeyId): { keyId: PeerKeyId; nodeId: NodeId; iCommit: boolean } | undefined {
    const { committer, iCommit } = this.presence.verdict(this.core.now, without)
    const nodeId = committer === undefined ? undefined : this.leaves.nodeOf(committer)
    if (committer === undefined || nodeId === undefined) return undefined
    return { keyId: committer, nodeId, iCommit: iCommit && this.ready && !this.leaving }
  }

  /** Something came at `at` that only the member itself could have made. */
  heardFrom(keyId: PeerKeyId, at: Milliseconds): void {
    this.#heard(keyId, at)
  }

  /**
   * Something came on a session. It says nothing about a leaf whose peer has started anew, and it does not take back a goodbye: sessions
   * of one peer are not in step. A message of the group does.
   */
  heardOn(session: RoomSession): void {
    const { keyId } = session.peer
    if (session.returning || this.presence.saidGoodbye(keyId)) return
    this.presence.neighbour(keyId)
    this.#heard(keyId, this.core.now)
  }

  /** This peer's own report about a member: floods it as well. */
  report(keyId: PeerKeyId, left: boolean): void {
    const news = this.presence.report(keyId, left, this.core.me, this.core.now)
    if (news === undefined) return
    this.roll.lost(keyId, left)
    this.talk.say(encodeRoomMessage({ t: "room.lost", keyId, left }), false)
  }

  /** A member proposed its own removal. */
  wantsToLeave(keyId: PeerKeyId): void {
    this.#lost(keyId, true, keyId)
    this.presence.going(keyId, this.core.now)
    this.sequencer.queue.remove({ keyId, reason: "left", urgent: false }, this.core.now)
  }

  alive(session?: RoomSession): void {
    const { view, room } = this.core
    if (view === undefined || room === undefined) return
    const { epoch, tip } = view
    const message = { t: "room.alive", roomId: room.roomId, epoch, tip, settingsVersion: this.settings.version } as const
    if (session === undefined) this.carrier.toLinks(message)
    else this.carrier.send(session.id, message)
  }

  /** Silence, losses, sealing and coming back, as time goes by. */
  tick(): void {
    const { core } = this
    if (core.view !== undefined) {
      for (const keyId of this.presence.silent(core.now, this.links.ideal)) this.report(keyId, false)
      for (const { keyId, left } of this.presence.untold(core.now, () => core.randomBelow(2_000))) {
        this.talk.say(encodeRoomMessage({ t: "room.lost", keyId, left }), false)
      }
      if (this.iCommit) {
        for (const { keyId, reason } of this.presence.verdict(core.now).lost) {
          if (!this.sequencer.queue.hasRemove(keyId)) this.sequencer.queue.remove({ keyId, reason, urgent: false }, core.now)
        }
      }
    }
    const seal = this.#seal
    if (seal !== undefined && this.ready && (core.now >= seal.until || this.catchUp.allShow(seal.epoch))) {
      this.#seal = undefined
      core.act({ type: "seal", epoch: seal.epoch })
    }
    this.comeback.tick()
  }

  wake(): (Milliseconds | undefined)[] {
    return [
      this.core.view === undefined ? undefined : this.presence.wake(this.core.now, this.links.ideal),
      this.#seal === undefined || !this.ready ? undefined : this.#seal.until,
      this.comeback.wake(),
    ]
  }

  /** The group is lost to this peer: what belonged to it is forgotten, sessions stay. */
  forget(): void {
    const { core } = this
    if (core.view === undefined) return
    core.abandonOps()
    core.setView(undefined)
    this.#formerRoom = core.room?.roomId
    core.room = undefined
    this.#seal = undefined
    const { track, sequencer, leaves, links, catchUp, merge, talk, door, host, sync, selfUpdate, opener } = this
    for (const part of [track, sequencer, leaves, links, catchUp, merge, talk, door, host, sync, selfUpdate, opener]) part.reset()
    this.presence.clear()
    this.states.clear()
    this.ownState.again()
    for (const session of core.sessions.all()) {
      session.spoke = false
      session.returning = false
    }
    core.run("reset", {}, () => {})
    core.setPhase("reconnecting")
  }

  /** The end, in failure or peace. */
  end(error?: AvError): void {
    if (this.ended !== undefined) return
    this.ended = { error }
    this.newcomer.end()
    if (error !== undefined) this.core.emit({ type: "failed", error })
  }

  /** Founded, or welcomed on `session`. */
  #entered(view: GroupView, room: RoomIdentity, session: RoomSession | undefined): void {
    const { core } = this
    if (this.#formerRoom !== undefined && !equalBytes(this.#formerRoom, room.roomId)) this.settings.clear()
    core.room = room
    core.setView(view)
    this.catchUp.epochChanged()
    this.presence.setMembers(view.members, new Set(core.members.keys()), core.now)
    for (const open of core.sessions.all()) this.presence.neighbour(open.peer.keyId)
    this.roll.update(new Map())
    if (session !== undefined) this.leaves.begin(session.id)
    this.leaves.membersChanged()
    this.links.membersChanged(true)
    core.act({ type: "epoch", epoch: view.epoch, view })
    this.alive()
    this.door.opened()
    if (session === undefined) this.#verified()
    this.track.started()
    if (session === undefined) return
    this.sync.ask(session)
    this.selfUpdate.joined()
  }

  /** Every leaf is verified: this peer may speak and publish. */
  #verified(): void {
    const { core } = this
    if (core.view === undefined) return
    this.#seal = undefined
    core.act({ type: "seal", epoch: core.view.epoch })
    this.ownState.again()
    core.setPhase("connected")
    this.talk.ready()
    this.opener.again()
  }

  #changed(change: EpochChange, rolledBack: boolean): void {
    const { core } = this
    const before = new Map([...core.members].map(([keyId, { leafKey }]) => [keyId, leafKey]))
    core.setView(change.view)
    const added = [...core.members.keys()].filter((keyId) => !before.has(keyId))
    const removed = [...before.keys()].filter((keyId) => !core.members.has(keyId))
    const replaced = [...core.members.values()].filter(({ keyId, leafKey }) => {
      const old = before.get(keyId)
      return old !== undefined && !equalBytes(old, leafKey)
    })
    const fresh = new Set([...added, ...replaced.map(({ keyId }) => keyId)])
    const reasons = reasonsByKey(change.authenticatedData)
    for (const { keyId } of replaced) this.#dropOldSessions(keyId)
    for (const session of core.sessions.all()) if (fresh.has(session.peer.keyId)) session.returning = false
    this.presence.setMembers(change.view.members, fresh, core.now)
    for (const { peer } of core.sessions.all()) if (fresh.has(peer.keyId)) this.presence.neighbour(peer.keyId)
    for (const keyId of removed) this.states.drop(keyId)
    for (const { keyId } of replaced) if (this.states.drop(keyId)) core.emit({ type: "stateGone", keyId })
    this.sequencer.membersChanged([...fresh], removed)
    this.leaves.membersChanged()
    this.links.membersChanged(false)
    core.act({ type: "epoch", epoch: change.view.epoch, view: change.view })
    this.roll.update(
      new Map([...reasons].map(([keyId, { reason }]) => [keyId, reason === "removed" || reason === "left" ? reason : "gone"])),
    )
    for (const keyId of removed) if (reasons.get(keyId)?.reason === "removed") this.#closeAll(keyId)
    this.#sealLater(change.view.epoch, removed.length > 0 || replaced.length > 0)
    if (removed.length > 0) this.host.membersChanged()
    this.alive()
    this.catchUp.epochChanged()
    this.selfUpdate.epochChanged(change.commitHash)
    if (fresh.size > 0) this.sync.expect()
    if (rolledBack) {
      this.talk.rolledBack(change.view.epoch - 1n)
      this.ownState.again()
      this.sync.ask(this.carrier.roomLinks()[0])
    }
  }

  /** With a Remove the new key is used at once; else when everybody has it (D-38). */
  #sealLater(epoch: U64, atOnce: boolean): void {
    this.#seal = { epoch, until: this.core.now + (atOnce ? 0 : SEAL_WAIT_MS) }
  }

  /** Sessions of the former life of a peer that came in again are dead weight: a newer one carried its knock. */
  #dropOldSessions(keyId: PeerKeyId): void {
    const sessions = [...this.core.sessions.all()].filter(({ peer }) => peer.keyId === keyId)
    const newest = Math.max(
      ...sessions.map(({ proven, openedAt }) => (proven === "invite" ? openedAt : Number.NEGATIVE_INFINITY)),
    )
    for (const { id, spoke, proven, openedAt } of sessions) {
      if (spoke && proven === undefined && openedAt < newest) this.core.act({ type: "goaway", session: id, code: 0 })
    }
  }

  #closeAll(keyId: PeerKeyId): void {
    for (const { id, peer } of this.core.sessions.all()) {
      if (peer.keyId === keyId) this.core.act({ type: "goaway", session: id, code: GOAWAY_POLICY })
    }
  }

  #heard(keyId: PeerKeyId, at: Milliseconds): void {
    const cleared = this.presence.heard(keyId, at)
    if (cleared === undefined) return
    for (const reporter of cleared.reporters) if (reporter !== this.core.me) this.core.count("report-wrong")
    this.sequencer.queue.dropRemove(keyId)
    if (!this.roll.show(keyId)) this.core.emit({ type: "connection", keyId, connection: "connected" })
  }

  #lost(keyId: PeerKeyId, left: boolean, reporter: PeerKeyId): void {
    if (this.presence.report(keyId, left, reporter, this.core.now) !== undefined) this.roll.lost(keyId, left)
  }

  /** Own commits were lost to a rival: members that they removed are removed again when that is still right. */
  #requeue(leaves: readonly number[]): void {
    for (const { keyId, leafIndex } of this.core.members.values()) {
      if (leaves.includes(leafIndex)) this.core.count("remove-requeued")
      else continue
      if (this.presence.saidGoodbye(keyId)) this.sequencer.queue.remove({ keyId, reason: "left", urgent: false }, this.core.now)
    }
  }

  #otherBranch(session: string): void {
    const open = this.core.sessions.get(session)
    if (open !== undefined) this.merge.branched(open)
  }
}
