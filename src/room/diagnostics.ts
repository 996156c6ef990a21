/** The report for a bug tracker: figures and what happened lately. No names, no room name, no code, no keys, no content. */
import type { Emitter } from "./emitter.ts"
import type { Participant, RoomEvents, RoomStats } from "./types.ts"

/** Older entries give way. */
const MAX_ENTRIES = 100
/** Enough of an id to tell two apart. */
const ID_LENGTH = 11

interface LogEntry {
  /** Unix milliseconds. */
  at: number
  what: string
}

/** Remembers the last events of a room in words that name nobody. */
export class RoomLog {
  readonly #entries: LogEntry[] = []
  readonly #now: () => number

  constructor(events: Emitter<RoomEvents>, now: () => number = Date.now) {
    this.#now = now
    events.on("state", ({ state }) => this.add(`room ${state}`))
    events.on("server", ({ connected }) => this.add(`server ${connected ? "found" : "lost"}`))
    events.on("participantJoined", ({ participant }) => this.add(`${idOf(participant)} joined`))
    events.on("participantLeft", ({ participant, reason }) => this.add(`${idOf(participant)} left: ${reason}`))
    events.on("qualityChanged", ({ participant, quality }) =>
      this.add(`quality of ${idOf(participant)} ${quality.level}, ${quality.score}, ${quality.reason}`),
    )
    events.on("trackEnded", ({ participant, subscription }) => this.add(`${subscription.source} of ${idOf(participant)} ended`))
    events.on("deviceLost", ({ publication }) => this.add(`own ${publication.source} lost`))
    events.on("audioBlocked", () => this.add("sound blocked"))
    events.on("audioStarted", () => this.add("sound runs"))
    // The message may name devices or people; the code does not.
    events.on("warning", ({ error }) => this.add(`warning ${error.code}`))
  }

  get entries(): readonly LogEntry[] {
    return this.#entries
  }

  add(what: string): void {
    this.#entries.push({ at: this.#now(), what })
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift()
  }
}

/** What the browser says about the page and the machine; nothing where there is no page. */
export function pageFacts(): { visible?: string; cores?: number; online?: boolean } {
  const { document, navigator } = globalThis as Partial<typeof globalThis>
  if (document === undefined || navigator === undefined) return {}
  return { visible: document.visibilityState, cores: navigator.hardwareConcurrency, online: navigator.onLine }
}

export function userAgent(): string {
  return globalThis.navigator?.userAgent ?? `node ${globalThis.process?.version ?? ""}`
}

/** What else is known about the page. */
interface DiagnosticsFacts {
  browser: string
  /** Open or invited, visible or hidden, sound running or blocked, and the like. */
  page: Readonly<Record<string, string | number | boolean | undefined>>
  participants: readonly Participant[]
  log: readonly LogEntry[]
}

/** Indented JSON. */
export function diagnosticsText(stats: RoomStats, { browser, page, participants, log }: DiagnosticsFacts): string {
  const { epoch, members, serverConnected, committer } = stats.room
  // The address says where the person is.
  const { reflex: _, ...nat } = stats.nat
  const report = {
    at: new Date(stats.at).toISOString(),
    browser,
    page,
    room: { epoch, members, serverConnected, committer },
    nat,
    direct: stats.direct,
    people: participants.map(({ id, isLocal, connection, quality, subscriptions }) => ({
      id,
      isLocal,
      connection,
      quality,
      tracks: subscriptions.map(({ kind, source, muted }) => ({ kind, source, muted })),
    })),
    links: stats.links,
    send: stats.send,
    receive: stats.receive,
    stages: stats.stages,
    edges: stats.edges,
    log: log.map(({ at, what }) => `${new Date(at).toISOString()} ${what}`),
  }
  return JSON.stringify(report, shorten, 2)
}

/** Ids are long runs of hexadecimal digits, alone or in a subscription's name. */
function shorten(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value)
  if (typeof value === "string") return value.replace(/\b(mk1)?[0-9a-f]{16,}/gi, (id) => id.slice(0, ID_LENGTH))
  return value
}

function idOf(participant: Participant): string {
  return participant.isLocal ? "this page" : participant.id.slice(0, ID_LENGTH)
}
