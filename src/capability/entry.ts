/** What this node keeps of somebody's announcement. */
import { isCertLive, type ProvenMembership } from "../identity/index.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import type { Announcement } from "./announcement.ts"
import { type PolicyView, restrictMembership } from "./authorize.ts"
import { type Membership, parseMembership, stripReservedMetadata } from "./tags.ts"

interface EntryInput {
  announcement: Announcement
  /** Our own entry keeps metadata that is stripped from others. */
  own: boolean
  /** Unix milliseconds; the entry is absent from then on. */
  expiresAt: Milliseconds
  acceptedAt: Milliseconds
  /** Hops it made to here. */
  hopCount: number
  /** Certificates whose signature and member were verified. */
  certs: readonly ProvenMembership[]
  /** The payload as received, to give to newcomers; an own entry that is not signed yet has none. */
  payload?: Bytes
  skewSeconds: number
}

export class IndexEntry implements PolicyView {
  readonly node: NodeId
  readonly announcement: Announcement
  readonly metadata: ReadonlyMap<string, string>
  readonly declared: Membership
  /** Several subnets were declared, so none counts. */
  readonly collapsed: boolean
  readonly expiresAt: Milliseconds
  readonly acceptedAt: Milliseconds
  readonly hopCount: number
  readonly payload: Bytes | undefined
  readonly #tags: ReadonlySet<string>
  readonly #certs: readonly ProvenMembership[]
  readonly #skewSeconds: number

  constructor(input: EntryInput) {
    const { announcement } = input
    const { subnet, groups, collapsed } = parseMembership(announcement.tags)
    this.node = announcement.nodeId
    this.announcement = announcement
    this.metadata = input.own ? new Map(announcement.metadata) : stripReservedMetadata(announcement.metadata)
    this.declared = { subnet, groups }
    this.collapsed = collapsed
    this.expiresAt = input.expiresAt
    this.acceptedAt = input.acceptedAt
    this.hopCount = input.hopCount
    this.payload = input.payload
    this.#tags = new Set(announcement.tags)
    this.#certs = input.certs
    this.#skewSeconds = input.skewSeconds
  }

  get tags(): ReadonlySet<string> {
    return this.#tags
  }

  get allowedNodes(): readonly NodeId[] {
    return this.announcement.allowedNodes
  }
  get allowedSubnets(): readonly Bytes[] {
    return this.announcement.allowedSubnets
  }
  get allowedGroups(): readonly Bytes[] {
    return this.announcement.allowedGroups
  }
  get strict(): boolean {
    return this.announcement.strictMembership
  }

  hasTag(tag: string): boolean {
    return this.#tags.has(tag)
  }

  proven(now: Milliseconds): Membership {
    const seconds = BigInt(Math.floor(now / 1000))
    const live = this.#certs.filter((cert) => isCertLive(cert, seconds, this.#skewSeconds))
    const ids = (kind: "subnet" | "group") => live.filter((cert) => cert.kind === kind).map((cert) => cert.id)
    return restrictMembership(this.declared, ids("subnet"), ids("group"))
  }
}
