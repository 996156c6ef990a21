/** Who is alive: silence of neighbours, reports about others, and answers to them (RM-15, RM-30). */

import type { GroupMember } from "../group/types.ts"
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import { actingCommitter, type CommitterVerdict, type LossReport, type RosterEntry } from "./committer.ts"
import { earliest } from "./core.ts"

/** A neighbour that was not heard for this long is reported. */
export const SILENCE_MS = 6_000
/** The same for one that should be a neighbour and is none: it may have died before a link came up. */
export const UNSEEN_MS = 30_000
/** A loss that has led to nothing is told again. */
const TELL_AGAIN_MS = 6_000
/** Reports kept about one peer; more say nothing new. */
const MAX_REPORTS = 16

interface Watched {
  heard: Milliseconds
  /** There was a session since the last report: only neighbours report silence. */
  neighbour: boolean
  reports: LossReport[]
  /** It asked to be removed, or an order says so: whatever it still says, it counts as having left at this time. */
  going: Milliseconds | undefined
  reporters: Set<PeerKeyId>
  /** When the room last heard of its loss, from anybody. */
  toldAt: Milliseconds
}

/** What was learned by one call: to be told to the application. */
interface PresenceChange {
  keyId: PeerKeyId
  connection: "connected" | "lost"
  left: boolean
}

export class Presence {
  readonly #me: PeerKeyId
  readonly #peers = new Map<PeerKeyId, Watched>()
  #order: { keyId: PeerKeyId; leaf: number }[] = []
  /** The last verdict, which holds until something changes: it is asked for many times an event, and rooms may be large. */
  #verdict: { without: PeerKeyId | undefined; from: Milliseconds; verdict: CommitterVerdict } | undefined

  /** Nobody counts as silent before `at`: what is heard only moves it on. Undefined when it must be looked for anew. */
  #quiet: { wanted: readonly PeerKeyId[]; at: Milliseconds } | undefined

  constructor(me: PeerKeyId) {
    this.#me = me
  }

  /** The member list changed. Newcomers start as heard now; a replaced leaf starts afresh. */
  setMembers(members: readonly GroupMember[], fresh: ReadonlySet<PeerKeyId>, now: Milliseconds): void {
    this.#verdict = undefined
    this.#quiet = undefined
    const present = new Set(members.map(({ keyId }) => keyId))
    for (const keyId of this.#peers.keys()) if (!present.has(keyId)) this.#peers.delete(keyId)
    for (const { keyId } of members) {
      const known = this.#peers.get(keyId)
      if (known !== undefined && !fresh.has(keyId)) continue
      this.#peers.set(keyId, {
        heard: now,
        neighbour: known?.neighbour ?? false,
        reports: [],
        going: undefined,
        reporters: new Set(),
        toldAt: now,
      })
    }
    this.#order = members.map(({ keyId, leafIndex }) => ({ keyId, leaf: leafIndex }))
  }

  clear(): void {
    this.#verdict = undefined
    this.#quiet = undefined
    this.#peers.clear()
    this.#order = []
  }

  /** Something authentic of the peer came at `at`. Returns the good news when it had been reported; `reporters` were wrong. */
  heard(keyId: PeerKeyId, at: Milliseconds): (PresenceChange & { reporters: ReadonlySet<PeerKeyId> }) | undefined {
    const peer = this.#peers.get(keyId)
    if (peer === undefined) return undefined
    peer.heard = Math.max(peer.heard, at)
    if (peer.reports.length === 0 || peer.going !== undefined) return undefined
    this.#verdict = undefined
    this.#quiet = undefined
    peer.reports = peer.reports.filter((report) => report.at >= peer.heard)
    if (peer.reports.length > 0) return undefined
    const reporters = peer.reporters
    peer.reporters = new Set()
    return { keyId, connection: "connected", left: false, reporters }
  }

  /** A session with it exists: from now on its silence is noticed here. */
  neighbour(keyId: PeerKeyId): void {
    const peer = this.#peers.get(keyId)
    if (peer === undefined || peer.neighbour) return
    peer.neighbour = true
    this.#quiet = undefined
  }

  /** The last session with it was ended on purpose: those that keep a link to it notice its silence. */
  parted(keyId: PeerKeyId): void {
    const peer = this.#peers.get(keyId)
    if (peer !== undefined) peer.neighbour = false
  }

  /** A report by `reporter` (this peer included); undefined when it changes nothing for the application. */
  report(keyId: PeerKeyId, left: boolean, reporter: PeerKeyId, now: Milliseconds): PresenceChange | undefined {
    const peer = this.#peers.get(keyId)
    if (peer === undefined || keyId === this.#me) return undefined
    this.#verdict = undefined
    const before = peer.reports
    const news = before.length === 0 || (left && !before.some((report) => report.left))
    if (reporter === this.#me) peer.neighbour = false
    peer.reporters.add(reporter)
    peer.toldAt = now
    if (news || before.length < MAX_REPORTS) before.push({ at: now, left })
    return news ? { keyId, connection: "lost", left } : undefined
  }

  /** It proposed its own removal, or a valid order removes it: from `at` on it is leaving for good. */
  going(keyId: PeerKeyId, at: Milliseconds): void {
    const peer = this.#peers.get(keyId)
    this.#verdict = undefined
    if (peer !== undefined) peer.going ??= at
  }

  /** It is reported to have said goodbye. */
  saidGoodbye(keyId: PeerKeyId): boolean {
    const peer = this.#peers.get(keyId)
    return peer !== undefined && (peer.going !== undefined || peer.reports.some(({ left }) => left))
  }

  /** Those of whom nothing was heard for too long: neighbours, and members that should be (`wanted`). Each is named once in a while. */
  silent(now: Milliseconds, wanted: readonly PeerKeyId[]): PeerKeyId[] {
    if (this.#quietUntil(now, wanted) > now) return []
    return [...this.#silences(wanted)].flatMap(([keyId, at]) => (at <= now ? [keyId] : []))
  }

  /** Lost peers that are still members although the room should know: whoever commits may have come later and never heard of it. */
  untold(now: Milliseconds, jitter: () => Milliseconds): { keyId: PeerKeyId; left: boolean }[] {
    return this.verdict(now).lost.flatMap(({ keyId, reason }) => {
      const peer = this.#peers.get(keyId)
      if (peer === undefined || now - peer.toldAt < TELL_AGAIN_MS) return []
      peer.toldAt = now + jitter()
      return [{ keyId, left: reason === "left" }]
    })
  }

  /** Who acts now (RM-30). `without` is left out: it is asking to come in again. */
  verdict(now: Milliseconds, without?: PeerKeyId): CommitterVerdict {
    const last = this.#verdict
    if (last !== undefined && last.without === without && now >= last.from) {
      const { changesAt } = last.verdict
      if (changesAt === undefined || now < changesAt) return last.verdict
    }
    const verdict = this.#judge(now, without)
    this.#verdict = { without, from: now, verdict }
    return verdict
  }

  #judge(now: Milliseconds, without: PeerKeyId | undefined): CommitterVerdict {
    const roster: RosterEntry[] = []
    for (const { keyId, leaf } of this.#order) {
      const peer = this.#peers.get(keyId)
      if (keyId === without) continue
      if (peer?.going !== undefined) {
        roster.push({ keyId, leaf, reports: [{ at: peer.going, left: true }] })
        continue
      }
      roster.push({ keyId, leaf, reports: peer?.reports ?? [], heard: peer?.heard ?? now })
    }
    return actingCommitter(roster, this.#me, now)
  }

  /** When silence or loss changes something by itself. */
  wake(now: Milliseconds, wanted: readonly PeerKeyId[]): Milliseconds | undefined {
    const { changesAt, lost } = this.verdict(now)
    const told = lost.flatMap(({ keyId }) => this.#peers.get(keyId)?.toldAt ?? []).map((at) => at + TELL_AGAIN_MS)
    const silence = this.#quietUntil(now, wanted)
    return earliest(changesAt, ...told, silence === Number.POSITIVE_INFINITY ? undefined : silence)
  }

  /** A time before which nobody counts as silent; infinite when nobody is watched. */
  #quietUntil(now: Milliseconds, wanted: readonly PeerKeyId[]): Milliseconds {
    if (this.#quiet !== undefined && this.#quiet.wanted === wanted && this.#quiet.at > now) return this.#quiet.at
    let at = Number.POSITIVE_INFINITY
    for (const time of this.#silences(wanted).values()) at = Math.min(at, time)
    this.#quiet = { wanted, at }
    return at
  }

  /** When each peer that is watched counts as silent. */
  #silences(wanted: readonly PeerKeyId[]): Map<PeerKeyId, Milliseconds> {
    const times = new Map<PeerKeyId, Milliseconds>()
    for (const keyId of wanted) {
      const peer = this.#peers.get(keyId)
      // A standing report is enough; it is repeated when it was taken back and silence went on.
      if (peer !== undefined && peer.reports.length === 0) times.set(keyId, peer.heard + UNSEEN_MS)
    }
    for (const [keyId, peer] of this.#peers) if (peer.neighbour) times.set(keyId, peer.heard + SILENCE_MS)
    times.delete(this.#me)
    return times
  }
}
