/** What follows from the numbers: rows of figures, and the curve of readability. */
import {
  boundedItems,
  contentCapacity,
  copiesPerSymbol,
  foldedBytesPerItem,
  holderThreshold,
  networkBytes,
  perPeerLoad,
  survivalDistinct,
  survivalIndependent,
  viewersPerCopy,
} from "../../src/holonomic/capacity/index.ts"
import { validatePolicy } from "../../src/holonomic/retention/policy.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { Values } from "./fields.ts"

export interface Row {
  name: string
  pieces: string
  /** Undefined where whole copies have nothing to compare. */
  copies?: string
}

export interface Chance {
  /** 0..1. */
  availability: number
  /** 0..1. */
  distinct: number
  independent: number
}

const WHOLE_COPIES = 5
const GB = 1e9
const MB = 1e6
/** Above this the exact count takes seconds. */
const MAX_HOLDERS = 1_400

const RULES: Record<string, string> = {
  MinViable: "The useless number must be smaller than the pieces that bring it back.",
  TargetBelowTotal: "More devices must keep a piece than there are pieces.",
  RepairBand: "The additional pieces must be 20 to 40 % of those that bring it back.",
}

/** Why these numbers cannot be; undefined when they can. */
export function problemOf(values: Values): string | undefined {
  const { source: nSource, repair: kRepair, holders: targetHolders, viable: minViableSymbols } = values
  try {
    validatePolicy({ nSource, kRepair, targetHolders, minViableSymbols })
  } catch (error) {
    if (isAvError(error)) return RULES[error.code] ?? "Please use whole numbers."
    throw error
  }
  const total = nSource + kRepair
  if (targetHolders > 2 * total || targetHolders > MAX_HOLDERS) return "At most two copies of each piece are counted here."
  return undefined
}

export function rowsOf(values: Values): Row[] {
  const policy = { nSource: values.source, kRepair: values.repair, targetHolders: values.holders }
  const [content, each] = [values.megabytes * MB, values.gigabytes * GB]
  const items = values.perDay * 365 * values.years
  return [
    {
      name: "Recordings the room holds, in all",
      pieces: bytes(contentCapacity(values.peers, each, policy)),
      copies: bytes((values.peers * each) / WHOLE_COPIES),
    },
    {
      name: "One recording takes in the whole room",
      pieces: bytes(networkBytes(content, policy)),
      copies: bytes(content * WHOLE_COPIES),
    },
    { name: "and on one device that keeps a piece", pieces: bytes(perPeerLoad(content, policy)), copies: bytes(content) },
    { name: "Copies of each piece, on average", pieces: copiesPerSymbol(policy).toFixed(2), copies: String(WHOLE_COPIES) },
    { name: "Above so many holders some let go", pieces: String(holderThreshold(policy)) },
    { name: "Holders that may be lost for certain", pieces: String(values.repair), copies: String(WHOLE_COPIES - 1) },
    {
      name: "Holders at each place, and their share of it",
      pieces: `${(values.holders / values.localities).toFixed(1)}, ${percent(values.holders / values.localities / values.source)}`,
    },
    {
      name: "Viewers of one copy passed on twice, three times",
      pieces: `${count(viewersPerCopy(values.fanOut, 2))}, ${count(viewersPerCopy(values.fanOut, 3))}`,
    },
    {
      name: "An item that was folded once, twice",
      pieces: [1, 2].map((level) => bytes(foldedBytesPerItem(content, level, values.foldIn, policy))).join(", "),
    },
    { name: `Items kept of ${count(items)}`, pieces: count(boundedItems(items, values.foldIn)), copies: count(items) },
  ]
}

/** Readability at 50 to 100 % of devices. */
export function chancesOf(values: Values): Chance[] {
  return Array.from({ length: 26 }, (_, i) => chanceAt(values, 0.5 + i / 50))
}

export function chanceAt({ source, repair, holders }: Values, availability: number): Chance {
  return {
    availability,
    distinct: survivalDistinct(source + repair, holders, source, availability),
    independent: survivalIndependent(holders, source, availability),
  }
}

export function percent(share: number): string {
  if (share > 0.9999 && share < 1) return "more than 99.99 %"
  return `${(100 * share).toFixed(share > 0.99 ? 2 : 1)} %`
}

function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
  const power = Math.max(0, Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3)))
  const scaled = value / 1_000 ** power
  return `${scaled >= 100 ? scaled.toFixed(0) : scaled.toPrecision(3)} ${units[power]}`
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en")
}
