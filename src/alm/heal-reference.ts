/** The heal machine of the reference implementation, defects included (av-mesh 8.7), for comparing behaviour. Never used for a stream. */
import { compareUtf8 } from "../wire/bytes.ts"
import type { Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import { PARENT_SILENCE_HEAL_MS } from "./constants.ts"
import type { Deduplicator, HealAction } from "./heal.ts"
import type { JoinPlan } from "./types.ts"

export class ReferenceSubscription {
  primaryParent: PeerKeyId
  backupParents: PeerKeyId[]
  readonly #active: Set<PeerKeyId>
  readonly #liveness = new Map<PeerKeyId, Milliseconds>()
  readonly #dedup: Deduplicator

  /** Everybody starts as if last heard in 1970. */
  constructor(plan: Pick<JoinPlan, "primaryParent" | "backupParents">, dedup: Deduplicator) {
    this.primaryParent = plan.primaryParent
    this.backupParents = [...plan.backupParents]
    this.#active = new Set([plan.primaryParent, ...plan.backupParents])
    this.#dedup = dedup
  }

  get activeParents(): PeerKeyId[] {
    return [...this.#active].sort(compareUtf8)
  }

  observe(parent: PeerKeyId, epoch: U64, chunkSeq: U64, now: Milliseconds): "UnknownParent" | "FirstDelivery" | "Duplicate" {
    if (!this.#active.has(parent)) return "UnknownParent"
    this.#liveness.set(parent, now)
    return this.#dedup.observe(epoch, chunkSeq) ? "FirstDelivery" : "Duplicate"
  }

  tick(now: Milliseconds): HealAction[] {
    const cutoff = Math.max(now - PARENT_SILENCE_HEAL_MS, 0)
    const dead = this.activeParents.filter((parent) => (this.#liveness.get(parent) ?? 0) < cutoff)
    const actions: HealAction[] = dead.map((parent) => ({ kind: "reParent", dead: parent }))
    if (dead.length > 0 && dead.length === this.#active.size) actions.push({ kind: "upstreamRebuildRequired" })
    return actions
  }

  addParent(parent: PeerKeyId, liveness: Milliseconds = 0): void {
    this.#active.add(parent)
    this.#liveness.set(parent, liveness)
  }

  removeParent(parent: PeerKeyId): void {
    this.#active.delete(parent)
    this.#liveness.delete(parent)
    this.backupParents = this.backupParents.filter((backup) => backup !== parent)
  }

  promoteToPrimary(parent: PeerKeyId): void {
    this.backupParents = this.backupParents.filter((backup) => backup !== parent)
    if (this.primaryParent !== parent) this.backupParents.unshift(this.primaryParent)
    this.primaryParent = parent
    this.#active.add(parent)
  }
}
