/** The figures as text for a bug report: no names, no room name, no code, no content; ids are shortened. */
import type { RoomStats } from "holomesh"

const ID_LENGTH = 11

export function diagnosticsText(stats: RoomStats, browser: string): string {
  const { epoch, members, serverConnected, committer } = stats.room
  const report = {
    ...stats,
    room: { epoch, members, serverConnected, committer },
    at: new Date(stats.at).toISOString(),
    browser,
  }
  return JSON.stringify(report, shorten, 2)
}

/** Ids are long runs of hexadecimal digits; a few of them are enough to tell two apart. */
function shorten(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value)
  if (typeof value === "string" && /^(mk1)?[0-9a-f]{16,}$/i.test(value)) return value.slice(0, ID_LENGTH)
  return value
}
