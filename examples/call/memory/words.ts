/** Items of the room's memory in words. */
import type { MemoryItem } from "holomesh"

/** Whole minutes and seconds. */
export function lengthInWords(ms: number): string {
  const seconds = Math.round(ms / 1_000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
}

const UNITS = [
  ["day", 86_400_000],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const

/** When it ends, from now. */
export function endInWords(expiresAt: number | undefined, now: number): string {
  if (expiresAt === undefined) return "stays until it is taken back"
  const left = expiresAt - now
  for (const [unit, ms] of UNITS) {
    const count = Math.round(left / ms)
    if (left >= ms) return `stays ${count} more ${count === 1 ? unit : `${unit}s`}`
  }
  return "ends within a minute"
}

/** Whether it would still be there if somebody went. */
export function safetyInWords(item: Pick<MemoryItem, "readable" | "needed" | "holders">, nameOf: (id: string) => string): string {
  if (!item.readable) return "Too few of those who keep it are here to read it."
  const [first, ...others] = item.needed
  if (first === undefined) return `Kept by ${item.holders.length} people; anybody may leave.`
  if (others.length === 0) return `Still depends on ${nameOf(first)}.`
  return `Still depends on ${item.needed.map(nameOf).join(" and ")}.`
}
