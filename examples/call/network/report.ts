/** What a page tells the others about its place in the trees: from whom it takes each stream, and to whom it gives it. */
import type { ParentStats, RoomStats } from "holomesh"

/** A stream of our own. */
export interface Source {
  stream: string
  kind: "audio" | "video"
  /** Of the encoder, bit/s. */
  bitrate: number
  spatial?: number | undefined
  to: string[]
}

/** A stream that is shown or heard here. */
export interface Taken {
  stream: string
  kind: "audio" | "video"
  publisher: string
  from: Parent[]
  /** Media that arrived, bit/s. */
  bitrate: number
  spatial?: number | undefined
  temporal?: number | undefined
}

/** Somebody a stream is taken from. */
export interface Parent {
  peer: string
  /** `backup` sends what is needed to play on when the other goes; `going` is being left. */
  role: ParentRole
  /** What came from it in the last second, bit/s; undefined where it is not counted by parent. */
  bitrate?: number | undefined
}

const ROLES = ["primary", "backup", "going"] as const
export type ParentRole = (typeof ROLES)[number]

/** A stream of somebody else that is handed on. */
export interface Relayed {
  stream: string
  from: string[]
  /** What comes in, repair and headers included, bit/s. */
  bitrate: number
  /** `bitrate`: handed to the child's link; absent in a first report. */
  to: { peer: string; bitrate?: number | undefined; fits: Fits }[]
}

export type Fits = "all" | "base" | "less"

export interface Report {
  /** Takes part only to hand streams on. */
  relayOnly: boolean
  /** Limit the person set, bit/s. */
  uplink?: number | undefined
  /** What it promised to carry for the whole room, bit/s. */
  promised?: number | undefined
  sources: Source[]
  taken: Taken[]
  relayed: Relayed[]
}

/** Rows of a list, and names in a row: what a stranger sends is cut there. */
const MAX_ROWS = 96
const MAX_PEERS = 64
const MAX_IDS = 1_024
const MAX_ID = 255
const MAX_BITRATE = 1e10

/** @param before an older sample, for what was handed over between the two */
export function makeReport(stats: RoomStats, before: RoomStats | undefined, about: Pick<Report, "relayOnly" | "uplink">): Report {
  const seconds = before === undefined ? 0 : (stats.at - before.at) / 1_000
  const bytesBefore = (stream: string, peer: string) =>
    before?.relay.streams.find(({ streamId }) => streamId === stream)?.children.find((child) => child.peer === peer)?.bytes
  return {
    ...about,
    promised: stats.relay.promisedBitrate,
    sources: stats.send
      .filter(({ active }) => active)
      .map(({ streamId, kind, bitrate, spatial, subscribers }) => ({
        stream: streamId,
        kind,
        bitrate,
        spatial,
        to: subscribers,
      })),
    taken: stats.receive
      .filter(({ from }) => from !== "")
      .map(({ streamId, kind, participant, from, parents, bitrate, layer }) => ({
        stream: streamId,
        kind,
        publisher: participant,
        from: from.split(" ").map((peer) => parentOf(peer, parents)),
        bitrate,
        spatial: layer?.spatial,
        temporal: layer?.temporal,
      })),
    relayed: stats.relay.streams.map(({ streamId, from, bitrate, children }) => ({
      stream: streamId,
      from,
      bitrate,
      to: children.map(({ peer, bytes, fits }) => {
        const old = bytesBefore(streamId, peer)
        // A child that left and came back counts from zero again.
        const known = old !== undefined && bytes >= old && seconds > 0
        return { peer, fits, bitrate: known ? ((bytes - old) * 8) / seconds : undefined }
      }),
    })),
  }
}

function parentOf(peer: string, parents: readonly ParentStats[]): Parent {
  const known = parents.find((parent) => parent.peer === peer)
  const role = ROLES.find((each) => each === known?.role) ?? "primary"
  return { peer, role, bitrate: known === undefined || known.bitrate === 0 ? undefined : known.bitrate }
}

/** As JSON; every key id is written once. */
export function encodeReport(report: Report): Uint8Array {
  const ids: string[] = []
  const place = new Map<string, number>()
  const ref = (id: string) => {
    const known = place.get(id)
    if (known !== undefined) return known
    place.set(id, ids.length)
    return ids.push(id) - 1
  }
  const rate = (bits: number | undefined) => (bits === undefined ? undefined : Math.round(bits))
  const parent = ({ peer, role, bitrate }: Parent) => [ref(peer), role, rate(bitrate)]
  const body = {
    relayOnly: report.relayOnly,
    uplink: report.uplink,
    promised: rate(report.promised),
    sources: report.sources.slice(0, MAX_ROWS).map((row) => ({ ...row, bitrate: rate(row.bitrate), to: row.to.map(ref) })),
    taken: report.taken.slice(0, MAX_ROWS).map((row) => {
      return { ...row, publisher: ref(row.publisher), bitrate: rate(row.bitrate), from: row.from.map(parent) }
    }),
    relayed: report.relayed.slice(0, MAX_ROWS).map((row) => {
      const to = row.to.map(({ peer, bitrate, fits }) => [ref(peer), fits, rate(bitrate)])
      return { ...row, bitrate: rate(row.bitrate), from: row.from.map(ref), to }
    }),
  }
  return new TextEncoder().encode(JSON.stringify({ ids, ...body }))
}

/** Undefined for anything that is no report. Members are strangers: nothing in it is taken as it comes. */
export function parseReport(bytes: Uint8Array): Report | undefined {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch {
    return undefined
  }
  if (!isObject(value) || !Array.isArray(value.ids)) return undefined
  const ids = value.ids.slice(0, MAX_IDS)
  const id = (ref: unknown) => {
    const found: unknown = typeof ref === "number" ? ids[ref] : undefined
    return typeof found === "string" && found !== "" && found.length <= MAX_ID ? found : undefined
  }
  const peers = (list: unknown) => (Array.isArray(list) ? list.slice(0, MAX_PEERS).flatMap((ref) => id(ref) ?? []) : [])
  const pairs = (list: unknown) => {
    const entries: unknown[] = Array.isArray(list) ? list.slice(0, MAX_PEERS) : []
    return entries.flatMap((entry) => {
      const peer = Array.isArray(entry) ? id(entry[0]) : undefined
      const [, second, third]: unknown[] = Array.isArray(entry) ? entry : []
      return peer === undefined ? [] : [{ peer, second, bitrate: amount(third) }]
    })
  }
  const parents = (list: unknown) =>
    pairs(list).map(({ peer, second, bitrate }): Parent => {
      return { peer, role: ROLES.find((role) => role === second) ?? "primary", bitrate }
    })
  return {
    relayOnly: value.relayOnly === true,
    uplink: amount(value.uplink),
    promised: amount(value.promised),
    sources: rows(value.sources, (row, common) => {
      return { ...common, kind: kindOf(row), spatial: small(row.spatial), to: peers(row.to) }
    }),
    taken: rows(value.taken, (row, common) => {
      const publisher = id(row.publisher)
      if (publisher === undefined) return undefined
      const layer = { spatial: small(row.spatial), temporal: small(row.temporal) }
      return { ...common, kind: kindOf(row), publisher, from: parents(row.from), ...layer }
    }),
    relayed: rows(value.relayed, (row, common) => {
      const to = pairs(row.to).map(({ peer, second, bitrate }) => ({ peer, fits: fitsOf(second), bitrate }))
      return { ...common, from: peers(row.from), to }
    }),
  }
}

type Fields = Record<string, unknown>

function rows<Row>(list: unknown, read: (row: Fields, common: { stream: string; bitrate: number }) => Row | undefined): Row[] {
  if (!Array.isArray(list)) return []
  return list.slice(0, MAX_ROWS).flatMap((row: unknown) => {
    if (!isObject(row) || typeof row.stream !== "string" || !/^[0-9a-f]{1,64}$/.test(row.stream)) return []
    const done = read(row, { stream: row.stream, bitrate: amount(row.bitrate) ?? 0 })
    return done === undefined ? [] : [done]
  })
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function kindOf({ kind }: Fields): "audio" | "video" {
  return kind === "audio" ? "audio" : "video"
}

function fitsOf(value: unknown): Fits {
  return value === "base" || value === "less" ? value : "all"
}

/** A bitrate that can be, or nothing. */
function amount(value: unknown): number | undefined {
  return typeof value === "number" && value >= 0 && value <= MAX_BITRATE ? value : undefined
}

function small(value: unknown): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value < 16 ? value : undefined
}
