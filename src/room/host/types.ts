/** The public shapes of what hosts do: settings, admission, silence, removal, rights. */
import type { Participant } from "../types.ts"

/** Whoever has the link comes in; or a host is asked first; or nobody does. */
export type Admission = "invited" | "knock" | "locked"

/** What hosts have set for the whole room. */
export interface HostSettings {
  admission: Admission
  /** 2..10 000. */
  maxMembers: number
  /** `token`: only members with the right `publish` are seen and heard. */
  publish: "all" | "token"
  /** `token`: only members with the right `relay` are asked to hand streams on. */
  relay: "all" | "token"
}

/** Somebody who asks to come in. */
export interface WaitingPerson {
  /** Key id. */
  readonly id: string
  /** As they call themselves: nobody has proven it. */
  readonly name: string
  /** When this page heard of it first, Unix ms. */
  readonly since: number
}

/** `host`: settings, admission, removal, silence. The others only matter where {@link HostSettings} asks for tokens. */
export type RoomRightName = "host" | "publish" | "relay"

export interface GrantOptions {
  /** Default a day, at most a year. */
  ttlSeconds?: number
}

/** Rights of this page. */
export interface OwnRights {
  isHost: boolean
  mayPublish: boolean
  mayRelay: boolean
}

/**
 * What a host can do. The root of the room (whoever founded it, or whom the invitation names) is host, and to whom it gave the right. Orders
 * are signed; every member checks them. For anybody else the methods reject with `NotAllowed`.
 */
export interface RoomHost {
  readonly settings: Readonly<HostSettings>
  /** People at the door, while {@link HostSettings.admission} is `knock`. The oldest first. */
  readonly waiting: readonly WaitingPerson[]
  /** Whether this page is the root: only the root gives and takes rights. */
  readonly isRoot: boolean
  /** Changes some settings for everybody; resolves when they were handed to the room. */
  set(change: Partial<HostSettings>): Promise<void>
  admit(person: WaitingPerson | string): Promise<void>
  decline(person: WaitingPerson | string): Promise<void>
  /** Asks a member to mute its microphone; its page does so and says who asked. Nobody can be unmuted from outside. */
  mute(who: Participant | string): Promise<void>
  /** Asks everybody else whose microphone is on. Gives how many were asked. */
  muteAll(): Promise<number>
  /** Removes a member, bars its key and replaces the invitation: the old link is worth nothing after a minute. */
  remove(who: Participant | string, options?: { keepInvitation?: boolean }): Promise<void>
  /** Root only. Throws `LimitExceeded` beyond 24 rights in the room. */
  grant(who: Participant | string, right: RoomRightName, options?: GrantOptions): Promise<void>
  /**
   * Root only. Takes one right of a member, or all. Every token that this page has signed for anything dies with it; the rights of the others
   * are written anew.
   */
  revoke(who: Participant | string, right?: RoomRightName): Promise<void>
  /** The rights of a member that hold now. The root is host without having been given anything. */
  rightsOf(who: Participant | string): readonly RoomRightName[]
}
