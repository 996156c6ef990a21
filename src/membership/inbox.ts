/** Takes the messages of the control channel: who may send what, and which part each is for (RM-6, RM-26). */
import { equalBytes } from "../wire/bytes.ts"
import type { ControlMessage, ControlMessageOf, KnownControlMessage } from "../wire/control-json.ts"
import type { Bytes } from "../wire/types.ts"
import type { Life } from "./life.ts"
import { acceptsFrom, SUBSCRIBE_FAMILY } from "./peer-class.ts"
import type { RoomSession } from "./sessions.ts"
import type { PeerClass } from "./types.ts"

/** As many commits as may wait for their epoch (RM-33): the asker would drop more, and asks again for the rest. */
const COMMITS_PER_ANSWER = 16

export class Inbox {
  readonly #life: Life

  constructor(life: Life) {
    this.#life = life
  }

  /** A JSON message of the control channel. */
  take(session: RoomSession, message: ControlMessage): void {
    const { core, catchUp } = this.#life
    if (message.t === "unknown") {
      core.count("control-unknown")
      return
    }
    const peerClass = this.classOf(session)
    // Whoever was knocked at may answer; a head is followed by the tip (RM-13).
    const asked = core.view === undefined || session.knockedAt !== undefined
    const answer = message.t === "room.alive" && asked && session.isHolder
    if (!answer && !acceptsFrom(peerClass, asked, message.t)) {
      core.count(`refused-from-${peerClass}`)
      if (message.t === "room.alive" && core.room !== undefined) {
        // A member of an epoch that this peer does not have yet (RM-6): ask those who are known. Or one of another group (RM-11).
        const link = this.#life.carrier.roomLinks()[0]
        if (!equalBytes(message.roomId, core.room.roomId)) this.#life.merge.probe(session)
        else if (link !== undefined) catchUp.behind(link.id, message.epoch)
      }
      return
    }
    if (core.members.has(session.peer.keyId)) this.#life.heardOn(session)
    this.#accepted(session, message)
  }

  #accepted(session: RoomSession, message: KnownControlMessage): void {
    const life = this.#life
    const { core, newcomer } = life
    switch (message.t) {
      case "room.knock":
        life.door.knock(session, message)
        return
      case "room.join":
        life.door.join(session, message)
        return
      case "room.head":
        newcomer.active ? newcomer.head(session, message) : life.merge.head(session, message)
        return
      case "room.refuse":
        if (newcomer.active) newcomer.refused(session, message)
        else if (message.reason === "too-old") life.catchUp.tooOld(session.id)
        return
      case "room.pending":
        newcomer.active ? newcomer.pending(session, message) : undefined
        return
      case "av.welcome":
        newcomer.active ? newcomer.welcome(session, message) : core.count("welcome-ignored")
        return
      case "av.leaf?":
        life.leaves.answer(session.id, message.keyIds)
        return
      case "av.leaf":
        life.leaves.got(message.leaves)
        return
      case "room.alive":
        this.#spoke(session, message.roomId)
        life.catchUp.alive(session.id, message)
        life.merge.alive(session)
        if (life.ready) life.sync.shown(session, message)
        return
      case "room.commits?":
        this.#commits(session, message)
        return
      case "av.commit-offer":
        life.selfUpdate.take(session, message)
        return
      case "av.commit-result":
        life.selfUpdate.result(message)
        return
      case "room.sync?":
        life.ready ? life.talk.sync(session.id, message) : undefined
        return
      case "av.mls":
        this.#spoke(session, message.roomId)
        this.#mls(session, message)
        return
      default:
        if (SUBSCRIBE_FAMILY.includes(message.t) || message.t === "av.capacity") {
          core.act({ type: "deliver", session: session.id, keyId: session.peer.keyId, message })
        } else {
          core.count("control-ignored")
        }
    }
  }

  #mls(session: RoomSession, message: ControlMessageOf<"av.mls">): void {
    const { core, carrier, track, catchUp } = this.#life
    if (core.room !== undefined && !equalBytes(message.roomId, core.room.roomId)) {
      core.count("mls-other-room")
      return
    }
    const head = core.headOf(message.bytes)
    if (head === undefined) return
    const kind = head.content === "application" ? "app" : head.content
    if (kind !== message.kind || !equalBytes(head.groupId, message.roomId)) {
      core.count("mls-mislabelled")
      return
    }
    const item = carrier.admit(session.id, message, head, kind === "commit" && catchUp.solicited(session.id))
    if (item !== undefined) track.take(item)
  }

  #commits(session: RoomSession, { roomId, fromEpoch }: ControlMessageOf<"room.commits?">): void {
    const { core, track, catchUp } = this.#life
    if (core.room === undefined || core.view === undefined || !equalBytes(roomId, core.room.roomId)) return
    if (fromEpoch >= core.view.epoch || !catchUp.mayAnswer(session.id)) return
    const commits = track.commitsSince(fromEpoch)
    if (commits === undefined) {
      core.act({ type: "send", session: session.id, message: { t: "room.refuse", reason: "too-old" } })
      return
    }
    for (const message of commits.slice(0, COMMITS_PER_ANSWER)) core.act({ type: "send", session: session.id, message })
  }

  /** Only members of this room say such things: the session belongs to the present life of its peer. */
  #spoke(session: RoomSession, roomId: Bytes): void {
    const { core } = this.#life
    if (core.room === undefined || !equalBytes(roomId, core.room.roomId)) return
    session.spoke = true
    session.spokeAt = core.now
    session.returning = false
  }

  /** What the peer of a session may do now (RM-6). */
  classOf(session: RoomSession): PeerClass {
    const { core } = this.#life
    if (core.view !== undefined && core.members.has(session.peer.keyId)) return "member"
    if (core.view === undefined && session.isHolder) return "member"
    if (session.proven === "relay") return "relay"
    return session.proven === "invite" ? "joiner" : "stranger"
  }
}
