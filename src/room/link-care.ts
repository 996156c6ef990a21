/**
 * Looks after the direct links: notices a dead path by silence, asks for ICE restarts, and gives a link up in time. No clock and no
 * timer in here: events and the time come in, actions go out (link-lanes LL-16).
 */
import { AvError } from "../wire/errors.ts"
import type { Milliseconds } from "../wire/types.ts"

/** How long each phase lasts; {@link RECONNECT_DEFAULTS} where the application says nothing. */
export interface ReconnectBudget {
  /** Without a sign of life for so long a link counts as broken, ms. */
  silenceMs: Milliseconds
  /** Pause between two attempts to restart a broken link, ms. */
  retryMs: Milliseconds
  /** A broken link is repaired for so long; then it is closed and a new one is made, ms. */
  repairMs: Milliseconds
  /** With nobody reachable for so long the room is left with `LinkFailed`, ms. */
  giveUpMs: Milliseconds
}

export const RECONNECT_DEFAULTS: ReconnectBudget = {
  silenceMs: 1_500,
  retryMs: 2_000,
  repairMs: 10_000,
  giveUpMs: Number.POSITIVE_INFINITY,
}

/** Shorter times than this only make false alarms, ms. */
const SHORTEST_MS = 500

/**
 * The budget with its defaults.
 *
 * @throws AvError `UsageError` naming the member that is no number of at least 500
 */
export function reconnectBudget(wanted: Partial<ReconnectBudget> = {}): ReconnectBudget {
  const budget = { ...RECONNECT_DEFAULTS, ...wanted }
  for (const [name, value] of Object.entries(budget)) {
    if (typeof value !== "number" || !(value >= SHORTEST_MS)) throw new AvError("UsageError", { option: `reconnect.${name}` })
  }
  return budget
}

/** A quiet link is asked for a sign of life after this share of the silence. */
const CHECK_SHARE = 0.6
/** Unanswered media is believed when nothing else was heard for this share of the silence; media is told once a second. */
const UNHEARD_SHARE = 0.8
/** An answer takes at least this long to be missed, ms. */
const ANSWER_MS = 500
/** Without media only control frames tell; one that is lost is sent again by its transport, which takes a while. */
const IDLE_FACTOR = 2
/** Media was heard so long ago at most: the link carries media, ms. */
const MEDIA_RECENT_MS = 4_000
/** After a wake-up or a change of network an answer is due within this time, ms. */
const QUICK_MS = 900
/** The one that did not open the link lets the other restart it first, ms. */
const FOLLOW_MS = 800
/**
 * Control frames are missing while media flows (LL-16): asked for one after so long, restart so long after the question, and the end of
 * the link; ms. Members tell of themselves every five seconds, and where much is lost a frame needs some seconds.
 */
const CONTROL_SILENT_MS = 5_500
const CONTROL_ANSWER_MS = 4_000
const CONTROL_DEAD_MS = 30_000
/** Requests for the same link from several sources count once, ms. */
const ONCE_MS = 1_000

export type CareAction =
  /** Ask the peer for a sign of life. */
  | { type: "check"; link: string }
  | { type: "restart"; link: string }
  | { type: "health"; link: string; healthy: boolean; why: CareReason }
  /** Hopeless: close it, so that a new one can be made. */
  | { type: "giveUp"; link: string; why: CareReason }

/** Why a link is in trouble, or what ended the trouble. */
type CareReason = "silence" | "ice-failed" | "control-silent" | "heard"

interface Patient {
  leads: boolean
  heardAt: Milliseconds
  mediaAt: Milliseconds
  controlAt: Milliseconds
  /** First check since something was heard, and the last one. */
  checkedAt: Milliseconds | undefined
  /** An answer is due by then, sooner than silence alone would say. */
  dueAt: Milliseconds | undefined
  trouble: { since: Milliseconds; why: CareReason } | undefined
  /** Control frames have been missing since then while media came: nobody notices, but lane 0 must come back. */
  controlTrouble: Milliseconds | undefined
  /** A restart that found no way to the peer: it is made up for when there is one. */
  owed: boolean
  nextTry: Milliseconds
  triedAt: Milliseconds
}

export class LinkCare {
  readonly #budget: ReconnectBudget
  readonly #links = new Map<string, Patient>()

  constructor(budget: ReconnectBudget) {
    this.#budget = budget
  }

  /** @param leads this side offered the link, and restarts it first */
  opened(link: string, leads: boolean, now: Milliseconds): void {
    this.#links.set(link, {
      leads,
      heardAt: now,
      mediaAt: Number.NEGATIVE_INFINITY,
      controlAt: now,
      checkedAt: undefined,
      dueAt: undefined,
      trouble: undefined,
      controlTrouble: undefined,
      owed: false,
      nextTry: 0,
      triedAt: Number.NEGATIVE_INFINITY,
    })
  }

  closed(link: string): void {
    this.#links.delete(link)
  }

  healthy(link: string): boolean {
    return this.#links.get(link)?.trouble === undefined
  }

  /** Something authentic came from the peer. */
  heard(link: string, kind: "media" | "control", now: Milliseconds): CareAction[] {
    const patient = this.#links.get(link)
    if (patient === undefined) return []
    patient.heardAt = now
    if (kind === "media") patient.mediaAt = now
    else {
      patient.controlAt = now
      patient.controlTrouble = undefined
    }
    patient.checkedAt = undefined
    patient.dueAt = undefined
    if (patient.trouble === undefined) return []
    patient.trouble = undefined
    // Control frames were not expected while nothing came at all; their time starts now.
    patient.controlAt = now
    return [{ type: "health", link, healthy: true, why: "heard" }]
  }

  /** ICE of the control connection says this; often long after it is true. */
  ice(link: string, state: RTCPeerConnectionState, now: Milliseconds): CareAction[] {
    const patient = this.#links.get(link)
    if (patient === undefined) return []
    if (state === "failed") return this.#sick(link, patient, "ice-failed", now)
    return state === "disconnected" ? this.#askNow(link, patient, now) : []
  }

  /** Our media goes unanswered on every lane. */
  pathSilent(link: string, now: Milliseconds): CareAction[] {
    const patient = this.#links.get(link)
    if (patient === undefined) return []
    const quiet = now - patient.heardAt >= UNHEARD_SHARE * this.#budget.silenceMs
    return quiet ? this.#sick(link, patient, "silence", now) : this.#askNow(link, patient, now)
  }

  /** The lanes of the link need new addresses although the link as a whole lives. */
  restartWanted(link: string, now: Milliseconds): CareAction[] {
    const patient = this.#links.get(link)
    return patient === undefined ? [] : this.#try(link, patient, now)
  }

  /** This machine is in another network: every link gets new addresses at once. */
  networkChanged(now: Milliseconds): CareAction[] {
    return [...this.#links].flatMap(([link, patient]) => [...this.#askNow(link, patient, now), ...this.#try(link, patient, now)])
  }

  /** Something may have happened, nobody knows: the page slept or came to the front. Nothing is held against the links. */
  look(now: Milliseconds): CareAction[] {
    return [...this.#links].flatMap(([link, patient]) => {
      patient.heardAt = now
      patient.controlAt = now
      return this.#askNow(link, patient, now)
    })
  }

  /** A way to the others is there again: broken links do not wait for their next turn. */
  signalBack(now: Milliseconds): CareAction[] {
    return [...this.#links].flatMap(([link, patient]) => {
      if (patient.trouble === undefined && !patient.owed) return []
      patient.triedAt = Number.NEGATIVE_INFINITY
      return this.#try(link, patient, now)
    })
  }

  /** The restart that was asked for could not be told to the peer. */
  noWay(link: string): void {
    const patient = this.#links.get(link)
    if (patient !== undefined) patient.owed = true
  }

  /** Call a few times a second. */
  tick(now: Milliseconds): CareAction[] {
    return [...this.#links].flatMap(([link, patient]) => this.#tick(link, patient, now))
  }

  #tick(link: string, patient: Patient, now: Milliseconds): CareAction[] {
    const { silenceMs, repairMs } = this.#budget
    const { trouble } = patient
    if (trouble !== undefined) {
      if (now - trouble.since >= repairMs) return [{ type: "giveUp", link, why: trouble.why }]
      return now >= patient.nextTry ? this.#try(link, patient, now) : []
    }
    const quiet = now - patient.heardAt
    const media = now - patient.mediaAt < MEDIA_RECENT_MS
    if (media && now - patient.controlAt >= CONTROL_SILENT_MS) return this.#controlSilent(link, patient, now)
    if (patient.checkedAt === undefined) {
      return quiet >= CHECK_SHARE * silenceMs ? this.#check(link, patient, now) : []
    }
    const dueAt =
      patient.dueAt ?? Math.max(patient.heardAt + silenceMs * (media ? 1 : IDLE_FACTOR), patient.checkedAt + ANSWER_MS)
    if (now >= dueAt) return this.#sick(link, patient, "silence", now)
    return []
  }

  /** Media goes on for a while without lane 0 (LL-16). */
  #controlSilent(link: string, patient: Patient, now: Milliseconds): CareAction[] {
    if (patient.controlTrouble === undefined) {
      patient.controlTrouble = now
      return [{ type: "check", link }]
    }
    const silent = now - patient.controlTrouble
    if (silent >= CONTROL_DEAD_MS) return [{ type: "giveUp", link, why: "control-silent" }]
    return silent >= CONTROL_ANSWER_MS && now >= patient.nextTry ? this.#try(link, patient, now) : []
  }

  #check(link: string, patient: Patient, now: Milliseconds): CareAction[] {
    patient.checkedAt = now
    return [{ type: "check", link }]
  }

  #askNow(link: string, patient: Patient, now: Milliseconds): CareAction[] {
    if (patient.trouble !== undefined || patient.dueAt !== undefined) return []
    patient.dueAt = now + QUICK_MS
    return this.#check(link, patient, now)
  }

  #sick(link: string, patient: Patient, why: CareReason, now: Milliseconds): CareAction[] {
    if (patient.trouble !== undefined) return []
    patient.trouble = { since: now, why }
    patient.nextTry = now + (patient.leads ? 0 : FOLLOW_MS)
    const told: CareAction = { type: "health", link, healthy: false, why }
    return patient.leads ? [told, ...this.#try(link, patient, now)] : [told]
  }

  #try(link: string, patient: Patient, now: Milliseconds): CareAction[] {
    if (now - patient.triedAt < ONCE_MS) return []
    patient.triedAt = now
    patient.owed = false
    patient.nextTry = now + this.#budget.retryMs
    return [{ type: "restart", link }]
  }
}
