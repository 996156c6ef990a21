/**
 * Collects the reports of all members while somebody looks at the network panel. Everybody knows only its own parents and children,
 * so who looks asks the room, and the pages answer. Both travel like every message: sealed, to all members.
 */
import type { Room, RoomStats } from "holomesh"
import type { Scope } from "../scope.ts"
import { encodeReport, makeReport, parseReport, type Report } from "./report.ts"
import type { Heard } from "./tree.ts"

const ASK_TOPIC = "demo/network?"
const ANSWER_TOPIC = "demo/network"
/** A room of any size answers at most ten times in a second: larger ones are asked less often. Ms. */
const ASK_EVERY_MS = 4_000
const PER_MEMBER_MS = 100
/** Answers are spread over this time, ms. */
const SPREAD_MS = 800
/** Two views that read at once get the same figures: rates over a moment would be noise. Ms. */
const FRESH_MS = 500
/** Reports that were not renewed for so many rounds are forgotten. */
const FORGET_ROUNDS = 4

export interface NetworkExchange {
  /** Asks until it is called with `false`. */
  watch(on: boolean): void
  /** Takes a fresh look at this page's own place, and gives everything known. */
  read(): Promise<{ stats: RoomStats; reports: Map<string, Heard> }>
}

/** @param about what only the page knows of itself */
export function createExchange(room: Room, scope: Scope, about: () => Pick<Report, "relayOnly" | "uplink">): NetworkExchange {
  const heard = new Map<string, { report: Report; at: number }>()
  let last: { at: number; stats: RoomStats; report: Report } | undefined
  let told: RoomStats | undefined
  let askedAt = Number.NEGATIVE_INFINITY
  let answeredAt = Number.NEGATIVE_INFINITY
  let watching = false
  let timer: ReturnType<typeof setTimeout> | undefined
  scope.add(() => clearTimeout(timer))
  const roundMs = () => Math.max(ASK_EVERY_MS, room.participants.size * PER_MEMBER_MS)
  // A room that ends meanwhile has nobody to tell.
  const send = (topic: string, bytes: Uint8Array) => room.sendData(topic, bytes).catch(() => undefined)

  const ask = () => {
    const now = performance.now()
    // Somebody else who looks has asked for us.
    if (!watching || room.participants.size === 0 || now - askedAt < roundMs()) return
    askedAt = now
    void send(ASK_TOPIC, new Uint8Array(0))
  }

  const answer = async () => {
    try {
      const stats = await room.stats()
      const report = makeReport(stats, told, about())
      told = stats
      if (!scope.closed) await send(ANSWER_TOPIC, encodeReport(report))
    } catch {
      // The room is closing.
    }
  }

  scope.add(
    room.on("data", ({ from, topic, bytes }) => {
      const now = performance.now()
      if (topic === ASK_TOPIC) {
        askedAt = now
        // However often somebody asks.
        if (now - answeredAt < roundMs() / 2) return
        answeredAt = now
        clearTimeout(timer)
        timer = setTimeout(() => void answer(), Math.random() * SPREAD_MS)
      } else if (topic === ANSWER_TOPIC && watching && room.participants.has(from.id)) {
        const report = parseReport(bytes)
        if (report !== undefined) heard.set(from.id, { report, at: now })
      }
    }),
  )
  scope.add(room.on("participantLeft", ({ participant }) => heard.delete(participant.id)))
  scope.every(1_000, ask)

  return {
    watch(on) {
      watching = on
      if (!on) heard.clear()
      else ask()
    },
    async read() {
      if (last === undefined || performance.now() - last.at > FRESH_MS) {
        const stats = await room.stats()
        last = { at: performance.now(), stats, report: makeReport(stats, last?.stats, about()) }
      }
      const now = performance.now()
      const { stats, report } = last
      const reports = new Map<string, Heard>([[room.local.id, { report, ageMs: 0 }]])
      for (const [id, { report, at }] of heard) {
        if (now - at > FORGET_ROUNDS * roundMs()) heard.delete(id)
        else reports.set(id, { report, ageMs: now - at })
      }
      return { stats, reports }
    },
  }
}
