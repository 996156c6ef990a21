/** Which parents of a stream are alive, and when to look for others (av-mesh 8.7 with D-27). Time comes in with every call. */
import { compareUtf8 } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"
import { MAX_REPARENT_BACKOFF_MS, PARENT_SILENCE_HEAL_MS, REPARENT_BACKOFF_MS } from "./constants.ts"
import type { JoinPlan } from "./types.ts"

/** What a tick asks for: another parent in the place of a silent one, or, when all are silent, everything anew. */
export type HealAction = { kind: "reParent"; dead: PeerKeyId } | { kind: "upstreamRebuildRequired" }

/** Remembers chunk numbers; `DedupRing` of the inner seal is one. */
export interface Deduplicator {
  /** True on the first sight. */
  observe(epoch: U64, chunkSeq: U64): boolean
}

/** When something was last reported and how long to be quiet after it (D-27.3). */
interface Report {
  at: Milliseconds
  step: Milliseconds
}

/**
 * One instance per stream and sub-stream path; instances share nothing. The caller does the network work and reports what became of it.
 * `now` must not decrease from call to call.
 */
export class MultiParentSubscription {
  readonly streamId: Bytes
  readonly path: Bytes
  #primary: PeerKeyId | undefined
  #backups: PeerKeyId[]
  /** Active parents and when each was last heard. */
  readonly #liveness = new Map<PeerKeyId, Milliseconds>()
  readonly #reports = new Map<PeerKeyId, Report>()
  #rebuild: Report | undefined
  readonly #dedup: Deduplicator | undefined

  constructor(
    streamId: Bytes,
    path: Bytes,
    plan: Pick<JoinPlan, "backupParents"> & { primaryParent: PeerKeyId | undefined },
    now: Milliseconds,
    dedup?: Deduplicator,
  ) {
    this.streamId = streamId
    this.path = path
    this.#primary = plan.primaryParent
    this.#backups = plan.backupParents.filter((backup) => backup !== plan.primaryParent)
    this.#dedup = dedup
    for (const parent of [plan.primaryParent, ...plan.backupParents]) if (parent !== undefined) this.#liveness.set(parent, now)
  }

  get primaryParent(): PeerKeyId | undefined {
    return this.#primary
  }
  /** In order of preference. */
  get backupParents(): readonly PeerKeyId[] {
    return this.#backups
  }
  /** In byte order of the key ids. */
  get activeParents(): PeerKeyId[] {
    return [...this.#liveness.keys()].sort(compareUtf8)
  }

  isActive(parent: PeerKeyId): boolean {
    return this.#liveness.has(parent)
  }

  /** Last sign of life; undefined for who is no parent. */
  lastHeard(parent: PeerKeyId): Milliseconds | undefined {
    return this.#liveness.get(parent)
  }

  /** A chunk or keep-alive that passed the outer seal came from `parent`. */
  heard(parent: PeerKeyId, now: Milliseconds): "Heard" | "UnknownParent" {
    const last = this.#liveness.get(parent)
    if (last === undefined) return "UnknownParent"
    this.#liveness.set(parent, Math.max(last, now))
    this.#reports.delete(parent)
    return "Heard"
  }

  /**
   * {@link heard} for a chunk that passed the inner seal as well, and whether it is a copy. Never call it for anything unopened:
   * numbers of forged chunks must not shadow the real ones (D-28). Needs the deduplicator of the constructor.
   */
  observe(parent: PeerKeyId, epoch: U64, chunkSeq: U64, now: Milliseconds): "UnknownParent" | "FirstDelivery" | "Duplicate" {
    if (this.#dedup === undefined) throw new AvError("UsageError", { why: "no deduplicator" })
    if (this.heard(parent, now) === "UnknownParent") return "UnknownParent"
    return this.#dedup.observe(epoch, chunkSeq) ? "FirstDelivery" : "Duplicate"
  }

  isSilent(parent: PeerKeyId, now: Milliseconds): boolean {
    const last = this.#liveness.get(parent)
    return last === undefined || last < Math.max(now - PARENT_SILENCE_HEAL_MS, 0)
  }

  /** Call about every 500 ms. Silent parents in byte order, each at most as often as its backoff allows. */
  tick(now: Milliseconds): HealAction[] {
    const silent = this.activeParents.filter((parent) => this.isSilent(parent, now))
    const actions: HealAction[] = []
    for (const dead of silent) {
      const report = due(this.#reports.get(dead), now)
      if (report === undefined) continue
      this.#reports.set(dead, report)
      actions.push({ kind: "reParent", dead })
    }
    if (silent.length < this.#liveness.size) {
      this.#rebuild = undefined
      return actions
    }
    const report = due(this.#rebuild, now)
    if (report !== undefined) {
      this.#rebuild = report
      actions.push({ kind: "upstreamRebuildRequired" })
    }
    return actions
  }

  /** A subscription was accepted. The first parent becomes the primary, further ones backups. */
  addParent(parent: PeerKeyId, now: Milliseconds): void {
    this.#liveness.set(parent, Math.max(this.#liveness.get(parent) ?? 0, now))
    this.#reports.delete(parent)
    if (parent === this.#primary || this.#backups.includes(parent)) return
    if (this.#primary === undefined) this.#primary = parent
    else this.#backups.push(parent)
  }

  /** A subscription ended. The first backup that is not silent takes the place of a removed primary. */
  removeParent(parent: PeerKeyId, now: Milliseconds): void {
    this.#liveness.delete(parent)
    this.#reports.delete(parent)
    this.#backups = this.#backups.filter((backup) => backup !== parent)
    if (parent !== this.#primary) return
    this.#primary = this.#backups.find((backup) => !this.isSilent(backup, now))
    this.#backups = this.#backups.filter((backup) => backup !== this.#primary)
  }

  /** The former primary, when still active, becomes the first backup. */
  promoteToPrimary(parent: PeerKeyId): "Promoted" | "UnknownParent" {
    if (!this.#liveness.has(parent)) return "UnknownParent"
    const former = this.#primary
    this.#backups = this.#backups.filter((backup) => backup !== parent)
    if (former !== undefined && former !== parent && this.#liveness.has(former)) this.#backups.unshift(former)
    this.#primary = parent
    return "Promoted"
  }
}

/** The record after a report at `now`; undefined while the backoff lasts. A second call with the same `now` reports again. */
function due(last: Report | undefined, now: Milliseconds): Report | undefined {
  if (last === undefined) return { at: now, step: REPARENT_BACKOFF_MS }
  if (now === last.at) return last
  if (now - last.at < last.step) return undefined
  return { at: now, step: Math.min(2 * last.step, MAX_REPARENT_BACKOFF_MS) }
}
