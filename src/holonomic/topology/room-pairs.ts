/** Pairs of a room: everybody may feed everybody, but no keyless relay another; unknown round trips are filled in (D33 b, c). */
import type { LinkGraph } from "./link-graph.ts"
import { NO_EDGE, type PairScores } from "./pairs.ts"
import { MAX_USEFUL_RTT_MS, pairScore } from "./quantise.ts"

/** Round trip of a pair about which nothing is known, ms. */
const UNKNOWN_RTT_MS = 300
const DIRECT_GRANT = 0
const NOT_KNOWN = -1
/** By round trip in milliseconds. Millions of pairs are looked at for one tree of a large room. */
const SCORES = /* @__PURE__ */ Int32Array.from({ length: MAX_USEFUL_RTT_MS + 1 }, (_, rttMs) => pairScore(DIRECT_GRANT, rttMs))

export class RoomPairs implements PairScores {
  readonly #graph: LinkGraph
  /** By candidate: its place in the graph. */
  readonly #node: Int32Array
  readonly #relay: Uint8Array
  /** By place in the graph: the round trip to the child in question. */
  readonly #rttMs: Int32Array
  /** By place in the graph: neighbours that may be asked about as parents, each followed by the round trip to it. */
  readonly #near: number[][]
  /** Places with such neighbours: a long chain of single children must not cost a look at everybody for each of them. */
  #nearOf: number[] = []

  constructor(graph: LinkGraph, node: Int32Array, relay: Uint8Array) {
    this.#graph = graph
    this.#node = node
    this.#relay = relay
    this.#rttMs = new Int32Array(graph.size).fill(NOT_KNOWN)
    this.#near = Array.from({ length: graph.size }, () => [])
  }

  /** Looks from the parents' side once, so that each question costs only the paths over a common neighbour that lead to one of them. */
  prepare(parents: readonly number[]): void {
    for (const node of this.#nearOf) this.#near[node] = []
    this.#nearOf = []
    for (const parent of parents) {
      const node = this.#node[parent]!
      const neighbours = this.#graph.neighbours(node)
      const rtts = this.#graph.roundTrips(node)
      for (let i = 0; i < neighbours.length; i++) {
        const list = this.#near[neighbours[i]!]!
        if (list.length === 0) this.#nearOf.push(neighbours[i]!)
        list.push(node, rtts[i]!)
      }
    }
  }

  fill(child: number, parents: readonly number[], out: Int32Array): void {
    const [rtt, nodes, relay] = [this.#rttMs, this.#node, this.#relay]
    const node = nodes[child]!
    const childIsRelay = relay[child] === 1
    this.#measure(node)
    for (let i = 0; i < parents.length; i++) {
      const parent = parents[i]!
      const known = rtt[nodes[parent]!]!
      out[i] = childIsRelay && relay[parent] === 1 ? NO_EDGE : SCORES[known === NOT_KNOWN ? UNKNOWN_RTT_MS : known]!
    }
    this.#forget(node)
  }

  #measure(node: number): void {
    const rtt = this.#rttMs
    const neighbours = this.#graph.neighbours(node)
    const rtts = this.#graph.roundTrips(node)
    for (let i = 0; i < neighbours.length; i++) {
      const near = this.#near[neighbours[i]!]!
      for (let k = 0; k < near.length; k += 2) {
        const far = near[k]!
        const sum = Math.min(rtts[i]! + near[k + 1]!, MAX_USEFUL_RTT_MS)
        if (rtt[far] === NOT_KNOWN || sum < rtt[far]!) rtt[far] = sum
      }
    }
    // A reported round trip counts even where a way around is shorter.
    for (let i = 0; i < neighbours.length; i++) rtt[neighbours[i]!] = Math.min(rtts[i]!, MAX_USEFUL_RTT_MS)
  }

  #forget(node: number): void {
    for (const neighbour of this.#graph.neighbours(node)) {
      const near = this.#near[neighbour]!
      for (let k = 0; k < near.length; k += 2) this.#rttMs[near[k]!] = NOT_KNOWN
      this.#rttMs[neighbour] = NOT_KNOWN
    }
  }
}
