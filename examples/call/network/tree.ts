/** Puts the words of the members together to one tree for each stream: who feeds whom, and what arrives. */
import type { Fits, ParentRole, Report } from "./report.ts"

/** A report and where it is from. */
export interface Heard {
  report: Report
  /** How long ago, ms; 0 for what this page measured itself. */
  ageMs: number
}

export interface StreamChoice {
  stream: string
  kind: "audio" | "video"
  publisher: string
  spatial: number | undefined
  /** How many take it. */
  takers: number
}

export interface TreeNode {
  id: string
  /** 0: the publisher. */
  level: number
  /** The first one is drawn as the way; the others are second parents. */
  parents: string[]
  children: string[]
  relayOnly: boolean
  /** Undefined: has said nothing. */
  ageMs: number | undefined
  /** Media that arrives, bit/s; of a relay without use of its own: everything that comes in. */
  arrives: number | undefined
  /** `arrives` in relation to what the publisher says it sends, 0..1; undefined where they cannot be compared. */
  share: number | undefined
  spatial: number | undefined
  temporal: number | undefined
  /** Limit of its uplink, bit/s. */
  uplink: number | undefined
  /** What it promised to carry for the room, and what members say comes from it; all streams, bit/s. */
  promised: number | undefined
  delivers: number
}

export interface TreeEdge {
  from: string
  to: string
  /** One for each child: the way that is drawn thick. */
  main: boolean
  /** What the parent says it hands over, bit/s. */
  handed: number | undefined
  fits: Fits | undefined
  /** What the child says about the parent. */
  role: ParentRole | undefined
  /** What the child says comes from it, bit/s. */
  arrives: number | undefined
  /** Whose word it is. `parent` alone: the child does not confirm it. */
  word: "both" | "child" | "parent"
}

export interface StreamTree {
  stream: StreamChoice
  /** What the publisher says its encoder makes, bit/s. */
  sent: number | undefined
  nodes: TreeNode[]
  edges: TreeEdge[]
}

/** Strangers could name any number of members. */
const MAX_NODES = 500

export type Reports = ReadonlyMap<string, Heard>

/** Every stream that flows: pictures first, those with most takers before the others. */
export function streamsIn(reports: Reports): StreamChoice[] {
  const streams = new Map<string, StreamChoice>()
  const takers = new Map<string, Set<string>>()
  const take = (stream: string, id: string) => takers.set(stream, (takers.get(stream) ?? new Set()).add(id))
  for (const [id, { report }] of reports) {
    for (const { stream, kind, publisher, spatial } of report.taken) {
      take(stream, id)
      if (!streams.has(stream)) streams.set(stream, { stream, kind, publisher, spatial, takers: 0 })
    }
    for (const { stream, to } of report.relayed) for (const { peer } of to) take(stream, peer)
  }
  // Nobody knows a stream better than who sends it.
  for (const [id, { report }] of reports) {
    for (const { stream, kind, spatial, to } of report.sources) {
      for (const peer of to) take(stream, peer)
      if (to.length > 0) streams.set(stream, { stream, kind, publisher: id, spatial, takers: 0 })
    }
  }
  const found = [...streams.values()].map((choice) => ({ ...choice, takers: takers.get(choice.stream)?.size ?? 0 }))
  const rank = ({ kind }: StreamChoice) => (kind === "video" ? 0 : 1)
  return found.sort(
    (a, b) => rank(a) - rank(b) || b.takers - a.takers || compare(a.publisher, b.publisher) || compare(a.stream, b.stream),
  )
}

export function treeOf(choice: StreamChoice, reports: Reports): StreamTree {
  const { stream, publisher } = choice
  const edges = edgesOf(choice, reports)
  const ids = [...new Set([publisher, ...edges.flatMap(({ from, to }) => [from, to])])].slice(0, MAX_NODES)
  const shown = new Set(ids)
  const kept = edges.filter(({ from, to }) => shown.has(from) && shown.has(to))
  const levels = levelsOf(publisher, ids, kept)
  const sent = reports.get(publisher)?.report.sources.find((source) => source.stream === stream)?.bitrate
  const delivered = deliveredBy(reports)
  const level = (id: string) => levels.get(id) ?? 1
  for (const id of ids) {
    const into = kept.filter(({ to }) => to === id)
    // The way is what the child calls its primary parent, else the shortest one.
    into.sort((a, b) => doubt(a) - doubt(b) || level(a.from) - level(b.from))
    if (into[0] !== undefined) into[0].main = true
  }
  const nodes = ids.map((id): TreeNode => {
    const heard = reports.get(id)
    const taken = heard?.report.taken.find((row) => row.stream === stream)
    const relayed = heard?.report.relayed.find((row) => row.stream === stream)
    const into = kept.filter(({ to }) => to === id)
    const share = taken === undefined || sent === undefined || sent === 0 ? undefined : Math.min(1, taken.bitrate / sent)
    return {
      id,
      level: level(id),
      parents: [...into.filter(({ main }) => main), ...into.filter(({ main }) => !main)].map(({ from }) => from),
      children: kept.filter(({ from }) => from === id).map(({ to }) => to),
      relayOnly: heard?.report.relayOnly ?? false,
      ageMs: heard?.ageMs,
      arrives: id === publisher ? undefined : (taken?.bitrate ?? relayed?.bitrate),
      share,
      spatial: taken?.spatial,
      temporal: taken?.temporal,
      uplink: heard?.report.uplink,
      promised: heard?.report.promised,
      delivers: delivered.get(id) ?? 0,
    }
  })
  return { stream: choice, sent, nodes: nodes.sort((a, b) => a.level - b.level), edges: kept }
}

function edgesOf({ stream, publisher }: StreamChoice, reports: Reports): TreeEdge[] {
  const edges = new Map<string, TreeEdge>()
  const key = (from: string, to: string) => `${from} ${to}`
  for (const [id, { report }] of reports) {
    if (id === publisher) continue
    const said = (from: string, role: ParentRole | undefined, arrives: number | undefined) => {
      if (from === id) return
      edges.set(key(from, id), { ...NOTHING, from, to: id, role, arrives, word: "child" })
    }
    for (const row of report.relayed) if (row.stream === stream) for (const from of row.from) said(from, undefined, undefined)
    for (const row of report.taken) {
      if (row.stream === stream) for (const { peer, role, bitrate } of row.from) said(peer, role, bitrate)
    }
  }
  const given = (from: string, to: string, more: Partial<TreeEdge>) => {
    if (from === to || to === publisher) return
    const known = edges.get(key(from, to))
    const word = known === undefined ? "parent" : "both"
    edges.set(key(from, to), { ...NOTHING, ...known, ...more, from, to, word })
  }
  for (const [id, { report }] of reports) {
    if (id === publisher) {
      for (const source of report.sources) if (source.stream === stream) for (const to of source.to) given(id, to, {})
    }
    for (const row of report.relayed) {
      if (row.stream === stream) for (const { peer, bitrate, fits } of row.to) given(id, peer, { handed: bitrate, fits })
    }
  }
  return [...edges.values()]
}

const NOTHING = { main: false, handed: undefined, fits: undefined, role: undefined, arrives: undefined } as const

/** Orders the ways to a member: those it calls its primary parent first, those it does not confirm last. */
function doubt({ word, role }: TreeEdge): number {
  return word === "parent" ? 3 : role === "going" ? 2 : role === "backup" ? 1 : 0
}

/** What members say comes from each other, over all streams, bit/s. */
function deliveredBy(reports: Reports): Map<string, number> {
  const sums = new Map<string, number>()
  for (const { report } of reports.values()) {
    for (const { from, bitrate } of report.taken) {
      // A single parent brings everything.
      for (const parent of from) {
        const part = parent.bitrate ?? (from.length === 1 ? bitrate : 0)
        sums.set(parent.peer, (sums.get(parent.peer) ?? 0) + part)
      }
    }
  }
  return sums
}

/** Steps from the publisher; where the way up is not known, one below it. */
function levelsOf(publisher: string, ids: readonly string[], edges: readonly TreeEdge[]): Map<string, number> {
  const levels = new Map([[publisher, 0]])
  const fed = new Set(edges.map(({ to }) => to))
  const below = new Map<string, string[]>()
  for (const { from, to } of edges) below.set(from, [...(below.get(from) ?? []), to])
  const walk = (start: readonly string[]) => {
    let turn = start
    while (turn.length > 0) {
      const next: string[] = []
      for (const id of turn) {
        for (const child of below.get(id) ?? []) {
          if (levels.has(child)) continue
          levels.set(child, (levels.get(id) ?? 0) + 1)
          next.push(child)
        }
      }
      turn = next
    }
  }
  walk([publisher])
  const roots = ids.filter((id) => !levels.has(id) && !fed.has(id))
  for (const id of roots) levels.set(id, 1)
  walk(roots)
  return levels
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
