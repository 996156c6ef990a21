/** What a node says about itself, and every announcement made of it (control-plane 2.1, 3.4). */
import type { AddressBlock } from "../wire/address.ts"
import { canonicalChannelName } from "../wire/channel-name.ts"
import { AvError } from "../wire/errors.ts"
import { MAX_GENERATION } from "../wire/floor-record.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../wire/types.ts"
import { type Announcement, MAX_BUILT_VERSION } from "./announcement.ts"
import { encodeAnnouncementBody } from "./announcement-codec.ts"
import { isOpen } from "./authorize.ts"
import { buildTags, type NatClass } from "./tags.ts"

/** Longest service name in bytes. */
const MAX_SERVICE_NAME = 128

/** Who may use this node. All lists empty: everybody. The lists add up; there is no way to deny. */
export interface Policy {
  allowedNodes: NodeId[]
  /** 16 bytes each. */
  allowedSubnets: Bytes[]
  /** 32 bytes each. */
  allowedGroups: Bytes[]
  /** Subnets and groups admit only what a certificate proves. */
  strict: boolean
}

export const OPEN_POLICY: Policy = { allowedNodes: [], allowedSubnets: [], allowedGroups: [], strict: false }

/** What an application and its environment can set, apart from services. */
export interface SelfFacts {
  tags: string[]
  metadata: Map<string, string>
  policy: Policy
  certs: Bytes[]
  /** Left empty by browsers: it would tell everybody the user's address (D08). */
  reflex: AddressBlock[]
  /** Undefined: nothing is said about it. */
  nat?: NatClass | undefined
}

interface SelfIdentity {
  nodeId: NodeId
  entityId: Bytes
  pqHash: Bytes
}

/** The one place that own announcements are built from; whatever triggers one, the whole state goes out, the policy included (D07). */
export class SelfState {
  readonly #identity: SelfIdentity
  readonly #requirePolicy: boolean
  readonly #services = new Set<string>()
  #facts: SelfFacts = { tags: [], metadata: new Map(), policy: OPEN_POLICY, certs: [], reflex: [] }
  #generation: number
  #lastVersion: U64

  constructor(
    identity: SelfIdentity,
    stored: { generation: number; lastVersion: U64; policy?: Policy },
    options: { requirePolicy?: boolean } = {},
  ) {
    this.#identity = identity
    this.#generation = stored.generation
    this.#lastVersion = stored.lastVersion
    if (stored.policy !== undefined) this.set({ policy: stored.policy })
    this.#requirePolicy = options.requirePolicy === true
  }

  get facts(): Readonly<SelfFacts> {
    return this.#facts
  }
  get generation(): number {
    return this.#generation
  }
  get lastVersion(): U64 {
    return this.#lastVersion
  }
  get services(): ReadonlySet<string> {
    return this.#services
  }

  /** The state when `change` is applied: checked as a whole, so that a wrong part leaves everything as it was. */
  set(change: Partial<SelfFacts>): void {
    this.#try(() => {
      this.#facts = { ...this.#facts, ...change }
    })
  }

  /**
   * The name in its canonical form.
   * @throws AvError the errors of channel names, `AlreadyServing`, `PolicyRequired` when only a restricted node may serve.
   */
  addService(name: string): string {
    const service = canonicalServiceName(name)
    if (this.#services.has(service)) throw new AvError("AlreadyServing", { service })
    if (this.#requirePolicy && isOpen(this.#facts.policy)) throw new AvError("PolicyRequired", { service })
    this.#try(() => this.#services.add(service))
    return service
  }

  removeService(service: string): boolean {
    return this.#services.delete(service)
  }

  /** One generation further: every token signed before is dead. The last one is final: `LimitExceeded`. */
  bumpGeneration(): number {
    if (this.#generation >= MAX_GENERATION) throw new AvError("LimitExceeded", { what: "generation" })
    return ++this.#generation
  }

  /** Takes over policy, flags and version that our own key signed elsewhere. True when the policy is another one than before. */
  adopt(announcement: Announcement): boolean {
    const { allowedNodes, allowedSubnets, allowedGroups, strictMembership } = announcement
    const policy: Policy = { allowedNodes, allowedSubnets, allowedGroups, strict: strictMembership }
    const before = policyKey(this.#facts.policy)
    this.#facts = { ...this.#facts, policy }
    this.#lastVersion = announcement.version
    return before !== policyKey(policy)
  }

  /** The next announcement. `now` is our own clock, `issuedMs` the time to write, Unix milliseconds both. */
  build(now: Milliseconds, issuedMs: Milliseconds, ttlSeconds: number): Announcement {
    const clock = BigInt(Math.max(1, Math.floor(now)))
    const version = this.#lastVersion + 1n > clock ? this.#lastVersion + 1n : clock
    if (version > MAX_BUILT_VERSION) throw new AvError("LimitExceeded", { what: "version" })
    const announcement = this.#announcement(version, BigInt(Math.max(0, Math.floor(issuedMs))), ttlSeconds)
    this.#lastVersion = version
    return announcement
  }

  #announcement(version: U64, issuedMs: U64, ttlSeconds: number): Announcement {
    const { nodeId, entityId, pqHash } = this.#identity
    const { tags, metadata, policy, certs, reflex, nat } = this.#facts
    const announcement: Announcement = {
      nodeId,
      entityId,
      version,
      issuedMs,
      ttlSeconds,
      tags: buildTags(tags, this.#services, nat),
      metadata: new Map(metadata),
      reflex: [...reflex],
      generation: this.#generation,
      allowedNodes: [...new Set(policy.allowedNodes)],
      allowedSubnets: [...policy.allowedSubnets],
      allowedGroups: [...policy.allowedGroups],
      certs: [...certs],
      strictMembership: policy.strict,
      pqHash,
      extensions: new Map(),
    }
    return announcement
  }

  /** Applies a change and takes it back when no announcement can be made of the result. */
  #try(change: () => void): void {
    const [facts, services] = [this.#facts, [...this.#services]]
    change()
    try {
      encodeAnnouncementBody(this.#announcement(MAX_BUILT_VERSION, MAX_BUILT_VERSION, 1))
    } catch (error) {
      this.#facts = facts
      this.#services.clear()
      for (const service of services) this.#services.add(service)
      throw error
    }
  }
}

/** Services are named like channels, in at most 128 bytes. @throws AvError the errors of channel names. */
function canonicalServiceName(name: string): string {
  const service = canonicalChannelName(name)
  if (service.length > MAX_SERVICE_NAME) throw new AvError("TooLong", { what: "service name" })
  return service
}

function policyKey(policy: Policy): string {
  const bytes = (list: readonly Bytes[]) => list.map((item) => item.join(".")).sort()
  return JSON.stringify([
    [...policy.allowedNodes].sort(),
    bytes(policy.allowedSubnets),
    bytes(policy.allowedGroups),
    policy.strict,
  ])
}
