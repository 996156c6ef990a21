/** `room.host`: what hosts order, and what orders and settings of hosts do on this page. */
import { type RoomMachineFace, type RoomRights, rightChannel } from "../../membership/index.ts"
import { encodeChain, issueToken } from "../../token/index.ts"
import { equalBytes } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import {
  DEFAULT_SETTINGS,
  formatInvitation,
  type ParticipantState,
  type RoomGrant,
  type RoomSettings,
  toHex,
} from "../../wire/index.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"
import type { WallClock } from "../clock.ts"
import type { Emitter } from "../emitter.ts"
import type { MachineDriver } from "../machine-driver.ts"
import type { MediaPlane } from "../media-plane.ts"
import type { People } from "../people.ts"
import type { ControlPlane } from "../rpc/control-plane.ts"
import type { Participant, RoomEvents } from "../types.ts"
import { Grants } from "./grants.ts"
import { PublishGate } from "./publish-gate.ts"
import type { GrantOptions, HostSettings, OwnRights, RoomHost, RoomRightName, WaitingPerson } from "./types.ts"
import { WaitingList } from "./waiting-list.ts"

const DAY_SECONDS = 86_400
/** Rights that one room's settings have room for beside everything else. */
const MAX_GRANTS = 24
/** Tokens end and floors rise: rights are asked again so often, ms. */
const SWEEP_MS = 15_000

/** The room as the application named it. */
interface RoomAbout {
  name: string
  /** The link it was joined with. */
  url: string
  /** Whom the link names as root. */
  root: Bytes | undefined
}

/** The parts of a room that host tools reach. */
interface HostRoom {
  driver: Pick<MachineDriver, "feed"> & { machine: RoomMachineFace }
  people: People
  events: Emitter<RoomEvents>
  media: Pick<MediaPlane, "applyState" | "publications">
  control: ControlPlane
  clock: Pick<WallClock, "now">
  /** This page's state must be sent again. */
  sendState(urgent: boolean): void
}

export class HostTools implements RoomHost {
  readonly #room: HostRoom
  readonly #rights: RoomRights
  readonly #about: RoomAbout
  readonly #grants: Grants
  readonly #gate: PublishGate
  readonly #waiting = new WaitingList()
  readonly #timer: ReturnType<typeof setInterval>
  #settings: RoomSettings = DEFAULT_SETTINGS
  /** What the root gave, in the order it was given. */
  #given: readonly RoomGrant[] = []
  #publishChain: Bytes | undefined
  #hostChain: Bytes | undefined
  /** Link to hand to somebody else. */
  invitation: string
  #own: OwnRights = { isHost: false, mayPublish: true, mayRelay: true }

  constructor(room: HostRoom, about: RoomAbout, rights: RoomRights) {
    this.#room = room
    this.#about = about
    this.invitation = about.url
    this.#rights = rights
    this.#grants = new Grants(rights)
    this.#gate = new PublishGate({
      asks: () => this.#settings.publish === "token",
      mayPublish: (keyId, chain) => this.#mayPublish(keyId, chain),
      apply: (keyId, state) => {
        const participant = room.people.remote.get(keyId)
        if (participant !== undefined) room.media.applyState(participant, state)
      },
    })
    this.#timer = setInterval(() => this.recheck(), SWEEP_MS)
  }

  get settings(): HostSettings {
    const { admission, maxMembers, publish, relay } = this.#settings
    return { admission, maxMembers, publish, relay }
  }

  get waiting(): readonly WaitingPerson[] {
    return this.#waiting.list
  }

  get isRoot(): boolean {
    const { root } = this.#room.driver.machine
    return root !== undefined && equalBytes(root, this.#room.control.host.signer.entityId)
  }

  get own(): OwnRights {
    return this.#own
  }

  /** What this page's state shows where the room asks for it. */
  get publishChain(): Bytes | undefined {
    return this.#settings.publish === "token" ? this.#publishChain : undefined
  }

  async set(change: Partial<HostSettings>): Promise<void> {
    this.#require("settings")
    const { admission, maxMembers, publish, relay } = { ...this.settings, ...change }
    if (!Number.isInteger(maxMembers) || maxMembers < 2 || maxMembers > 10_000) {
      throw new AvError("UsageError", { why: "a room has 2 to 10 000 members" })
    }
    this.#room.driver.feed({ type: "changeSettings", change: { admission, maxMembers, publish, relay } })
  }

  async admit(person: WaitingPerson | string): Promise<void> {
    this.#decide(person, true)
  }

  async decline(person: WaitingPerson | string): Promise<void> {
    this.#decide(person, false)
  }

  async mute(who: Participant | string): Promise<void> {
    this.#require("mute")
    this.#room.driver.feed({ type: "mute", keyId: this.#member(who) })
  }

  async muteAll(): Promise<number> {
    this.#require("mute")
    let asked = 0
    for (const [keyId, { tracks }] of this.#gate.states) {
      if (!this.#room.people.remote.has(keyId) || !tracks.some(({ kind, muted }) => kind === "audio" && !muted)) continue
      this.#room.driver.feed({ type: "mute", keyId })
      asked++
    }
    return asked
  }

  async remove(who: Participant | string, { keepInvitation = false }: { keepInvitation?: boolean } = {}): Promise<void> {
    const keyId = this.#member(who)
    this.#require("remove")
    this.#room.driver.feed({ type: "remove", keyId, keepInvitation })
    if (this.isRoot && this.#given.some((grant) => grant.keyId === keyId)) await this.#revoke(keyId)
  }

  async grant(who: Participant | string, right: RoomRightName, { ttlSeconds = DAY_SECONDS }: GrantOptions = {}): Promise<void> {
    const keyId = this.#member(who)
    this.#requireRoot()
    const others = this.#given.filter((grant) => grant.keyId !== keyId || grant.right !== right)
    if (others.length >= MAX_GRANTS) throw new AvError("LimitExceeded", { what: "rights", max: MAX_GRANTS })
    const chain = await this.#issue(this.#entityOf(keyId), right, ttlSeconds)
    this.#give([...this.#given.filter((grant) => grant.keyId !== keyId || grant.right !== right), { keyId, right, chain }])
  }

  async revoke(who: Participant | string, right?: RoomRightName): Promise<void> {
    this.#requireRoot()
    await this.#revoke(typeof who === "string" ? who : who.id, right)
  }

  rightsOf(who: Participant | string): readonly RoomRightName[] {
    const keyId = typeof who === "string" ? who : who.id
    const entity = this.#entity(keyId)
    const { root } = this.#room.driver.machine
    const given = this.#grants.of(keyId, entity, this.#timeFor(entity)).map(({ grant }) => grant.right)
    const isRoot = entity !== undefined && root !== undefined && equalBytes(entity, root)
    return isRoot ? ["host", ...given.filter((right) => right !== "host")] : given
  }

  // What the room tells.

  /** Other settings hold now. */
  settingsChanged(settings: RoomSettings): void {
    const { invite } = settings
    const replaced = invite !== undefined && invite.generation !== this.#settings.invite?.generation
    this.#settings = settings
    this.#given = settings.grants ?? []
    const { events, driver } = this.#room
    if (settings.admission !== "knock" && this.#waiting.clear()) this.#tellWaiting()
    if (replaced) this.#replaceInvitation(invite.k)
    const { root } = driver.machine
    if (root !== undefined) {
      this.#grants
        .take(this.#given, root, (entity) => this.#timeFor(entity))
        .then(
          (latest) => latest && this.recheck(),
          (error: unknown) => this.#room.control.fault(error),
        )
    }
    this.#gate.again()
    events.emit("settings", { settings: this.settings })
  }

  /** A state of another member. */
  state(keyId: PeerKeyId, state: ParticipantState): void {
    this.#gate.state(keyId, state)
  }

  forget(keyId: PeerKeyId): void {
    this.#gate.forget(keyId)
  }

  asking(keyId: PeerKeyId, name: string): void {
    if (this.#waiting.asking(keyId, name, Date.now())) this.#tellWaiting()
  }

  /** Somebody at the door came in, or a host has decided. */
  notWaiting(keyId: PeerKeyId): void {
    if (this.#waiting.drop(keyId)) this.#tellWaiting()
  }

  muteAsked(by: Bytes): void {
    const { media, people, events } = this.#room
    for (const publication of media.publications.all) if (publication.kind === "audio") void publication.mute()
    const asker = [...people.remote.values()].find(({ id }) => {
      const entity = this.#entity(id)
      return entity !== undefined && equalBytes(entity, by)
    })
    events.emit("muteAsked", asker === undefined ? {} : { by: asker })
  }

  /** Whether a member may be asked to hand streams on. */
  mayRelay(keyId: PeerKeyId): boolean {
    return this.#settings.relay === "all" || this.rightsOf(keyId).includes("relay")
  }

  isHostEntity(entity: Bytes): boolean {
    return this.#grants.isHost(entity, this.#timeFor(entity))
  }

  /** Rights end by time and by floors: looks at all of them again. */
  recheck(): void {
    if (this.#waiting.expire(Date.now())) this.#tellWaiting()
    const { driver, people } = this.#room
    const { entityId } = this.#room.control.host.signer
    const mine = this.#grants.of(people.local.id, entityId, this.#timeFor(entityId))
    const hostChain = this.isRoot ? undefined : mine.find(({ grant }) => grant.right === "host")?.grant.chain
    if (!sameChain(hostChain, this.#hostChain)) {
      this.#hostChain = hostChain
      driver.feed({ type: "hostChain", chain: hostChain })
    }
    const shown = mine.find(({ grant }) => grant.right === "publish")?.grant.chain
    if (shown !== undefined || !this.isRoot || this.#settings.publish === "all") this.#showChain(shown)
    else if (this.#publishChain === undefined) this.#issueOwn().catch((error: unknown) => this.#room.control.fault(error))
    this.#tellRights()
    this.#gate.again()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #replaceInvitation(k: Bytes): void {
    const { url, root } = this.#about
    const link = new URL(url)
    link.hash = formatInvitation({ kind: "member", k, ...(root === undefined ? {} : { h: root }) })
    if (link.href === this.invitation) return
    this.invitation = link.href
    this.#room.events.emit("invitation", { invitation: link.href })
  }

  async #issueOwn(): Promise<void> {
    const { signer } = this.#room.control.host
    this.#showChain(await this.#issue(signer.entityId, "publish", DAY_SECONDS))
    this.#tellRights()
  }

  #showChain(chain: Bytes | undefined): void {
    if (sameChain(chain, this.#publishChain)) return
    this.#publishChain = chain
    if (this.#settings.publish === "token") this.#room.sendState(true)
  }

  #tellRights(): void {
    const { driver, people, events } = this.#room
    const { machine } = driver
    const mayPublish = this.#settings.publish === "all" || this.#publishChain !== undefined || this.isRoot
    const own: OwnRights = { isHost: machine.isHost, mayPublish, mayRelay: this.mayRelay(people.local.id) }
    const before = this.#own
    if (own.isHost === before.isHost && own.mayPublish === before.mayPublish && own.mayRelay === before.mayRelay) return
    this.#own = own
    events.emit("rights", own)
  }

  #tellWaiting(): void {
    this.#room.events.emit("waiting", { waiting: this.waiting })
  }

  async #mayPublish(keyId: PeerKeyId, chain: Bytes | undefined): Promise<boolean> {
    const { root } = this.#room.driver.machine
    const entityId = this.#entity(keyId)
    if (chain === undefined || root === undefined || entityId === undefined) return false
    return (await this.#rights.prove({ right: "publish", entityId, chain, root }, this.#timeFor(entityId))) !== undefined
  }

  async #revoke(keyId: PeerKeyId, right?: RoomRightName): Promise<void> {
    const kept = this.#given.filter((grant) => grant.keyId !== keyId || (right !== undefined && grant.right !== right))
    if (kept.length === this.#given.length) return
    await this.#room.control.channels.tokens.revokeAll()
    const anew: RoomGrant[] = []
    for (const { keyId: of, right: which } of kept) {
      const entity = this.#entity(of)
      // Who is not here any more needs no right; whoever comes back is given it again.
      if (entity !== undefined) anew.push({ keyId: of, right: which, chain: await this.#issue(entity, which, DAY_SECONDS) })
    }
    this.#publishChain = undefined
    this.#give(anew)
  }

  #give(grants: readonly RoomGrant[]): void {
    this.#given = grants
    this.#room.driver.feed({ type: "changeSettings", change: { grants: [...grants] } })
  }

  async #issue(subject: Bytes, right: RoomRightName, ttlSeconds: number): Promise<Bytes> {
    const { driver, control, clock } = this.#room
    const { root } = driver.machine
    if (root === undefined) throw new AvError("RoomClosed")
    const { hash, scope } = rightChannel(this.#about.name, root, right)
    const { generation } = control.gossip.announcer.state
    const now = secondsOf(clock.now())
    return encodeChain([
      await issueToken(control.host.signer, { subject, scope, channelHash: hash, ttlSeconds, generation, now }),
    ])
  }

  /**
   * The time by which a right of this entity is judged. Others' rights: this device's own clock, as everything that is accepted
   * (D42). Our own are shown to others, who do not share the error of our clock.
   */
  #timeFor(entity: Bytes | undefined): Milliseconds {
    const { clock, control } = this.#room
    return entity !== undefined && equalBytes(entity, control.host.signer.entityId) ? clock.now() : Date.now()
  }

  #decide(person: WaitingPerson | string, admit: boolean): void {
    this.#require("admit")
    const keyId = typeof person === "string" ? person : person.id
    this.#room.driver.feed({ type: "decide", keyId, admit })
    this.notWaiting(keyId)
  }

  #member(who: Participant | string): PeerKeyId {
    const keyId = typeof who === "string" ? who : who.id
    if (!this.#room.people.remote.has(keyId)) throw new AvError("MemberNotFound", { key_id: keyId })
    return keyId
  }

  #entity(keyId: PeerKeyId): Bytes | undefined {
    const { signer } = this.#room.control.host
    return keyId === signer.keyId ? signer.entityId : this.#room.driver.machine.keysOf(keyId)?.entityId
  }

  #entityOf(keyId: PeerKeyId): Bytes {
    const entity = this.#entity(keyId)
    if (entity === undefined) throw new AvError("MemberNotFound", { key_id: keyId })
    return entity
  }

  #require(right: string): void {
    if (!this.#room.driver.machine.isHost) throw new AvError("NotAllowed", { right })
  }

  #requireRoot(): void {
    if (!this.isRoot) throw new AvError("NotAllowed", { right: "grant" })
  }
}

function sameChain(a: Bytes | undefined, b: Bytes | undefined): boolean {
  return a === undefined || b === undefined ? a === b : toHex(a) === toHex(b)
}

function secondsOf(ms: Milliseconds): bigint {
  return BigInt(Math.floor(ms / 1000))
}
