/** Who may use what: the one question every gate asks (control-plane 3.1). */
import { ctEqual } from "../crypto/index.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import type { Membership } from "./tags.ts"

/** What a node's announcement says about itself and about who may use it. */
export interface PolicyView {
  hasTag(tag: string): boolean
  readonly allowedNodes: readonly NodeId[]
  readonly allowedSubnets: readonly Bytes[]
  readonly allowedGroups: readonly Bytes[]
  /** Subnets and groups count only when a certificate proves them. */
  readonly strict: boolean
  /** What the tags claim. */
  readonly declared: Membership
  /** The part of it that certificates prove at this moment. */
  proven(now: Milliseconds): Membership
}

/** Where announcements are looked up. An expired one is absent. `now`: Unix milliseconds. */
export interface PolicyIndex {
  view(node: NodeId, now: Milliseconds): PolicyView | undefined
}

/**
 * True when `target` offers `tag` and its policy admits `caller`. The caller's name must come from the session, never from a
 * message; its announcement supplies membership only.
 */
export function mayExecute(index: PolicyIndex, target: NodeId, tag: string, caller: NodeId, now: Milliseconds): boolean {
  return new CallerQuestion(index, caller, now).mayUse(target, tag)
}

/** The verdicts of {@link mayExecute} for several targets, with the caller's membership looked up once. */
export function mayExecuteBatch(
  index: PolicyIndex,
  targets: readonly NodeId[],
  tag: string,
  caller: NodeId,
  now: Milliseconds,
): boolean[] {
  const question = new CallerQuestion(index, caller, now)
  return targets.map((target) => question.mayUse(target, tag))
}

class CallerQuestion {
  readonly #index: PolicyIndex
  readonly #caller: NodeId
  readonly #now: Milliseconds
  #declared: Membership | undefined
  #proven: Membership | undefined

  constructor(index: PolicyIndex, caller: NodeId, now: Milliseconds) {
    this.#index = index
    this.#caller = caller
    this.#now = now
  }

  mayUse(target: NodeId, tag: string): boolean {
    const policy = this.#index.view(target, this.#now)
    if (policy === undefined || !policy.hasTag(tag)) return false
    if (this.#caller === target || isOpen(policy)) return true
    if (policy.allowedNodes.includes(this.#caller)) return true
    const { subnet, groups } = this.#membership(policy.strict)
    if (subnet !== undefined && containsId(policy.allowedSubnets, subnet)) return true
    let inGroup = false
    // All groups are looked at: which one matched must not show in the time taken (1.4).
    for (const group of groups) if (containsId(policy.allowedGroups, group)) inGroup = true
    return inGroup
  }

  #membership(strict: boolean): Membership {
    if (strict) {
      this.#proven ??= this.#index.view(this.#caller, this.#now)?.proven(this.#now) ?? NO_MEMBERSHIP
      return this.#proven
    }
    this.#declared ??= this.#index.view(this.#caller, this.#now)?.declared ?? NO_MEMBERSHIP
    return this.#declared
  }
}

const NO_MEMBERSHIP: Membership = { subnet: undefined, groups: [] }

/** True for a policy without any list: everybody is admitted. */
export function isOpen(policy: Pick<PolicyView, "allowedNodes" | "allowedSubnets" | "allowedGroups">): boolean {
  return policy.allowedNodes.length === 0 && policy.allowedSubnets.length === 0 && policy.allowedGroups.length === 0
}

/** Membership in a list of ids that may be secrets: every entry is compared in full (1.4). */
function containsId(list: readonly Bytes[], id: Bytes): boolean {
  let found = 0
  for (const entry of list) found |= ctEqual(entry, id) ? 1 : 0
  return found === 1
}

/** The declared membership cut down to the ids that are proven. */
export function restrictMembership(declared: Membership, subnets: readonly Bytes[], groups: readonly Bytes[]): Membership {
  const { subnet } = declared
  return {
    subnet: subnet !== undefined && containsId(subnets, subnet) ? subnet : undefined,
    groups: declared.groups.filter((group) => containsId(groups, group)),
  }
}
