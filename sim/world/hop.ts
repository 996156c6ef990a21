/** One subscription as the network sees it: parent, child, the path between them, and what was counted on it. */
import type { SymbolRange } from "../../src/alm/index.ts"
import type { SimPeer } from "./peer.ts"

export interface Hop {
  readonly id: number
  readonly parent: SimPeer
  readonly child: SimPeer
  /** Without queues and jitter, ms. */
  readonly oneWayMs: number
  readonly openedAt: number
  /** The parent still sends. */
  open: boolean
  /** Undefined: every symbol. */
  range: SymbolRange | undefined
  /** Memory of the lossy path, parent to child. */
  readonly loss: { bad: boolean }
  lastSentAt: number
  /** Bytes of repeats in the running second: the share that repair may take is limited. */
  repeatedBytes: number
  /** Of the running second, at the child. */
  receivedSymbols: number
  lateMs: number[]
  /** Bits handed over and found congested in the running second, at the parent. */
  sentBits: number
  congested: boolean
  /** First chunk of a group came through it. */
  delivered: boolean
}

export class Hops {
  readonly #all = new Map<number, Hop>()
  #next = 1

  open(parent: SimPeer, child: SimPeer, oneWayMs: number, range: SymbolRange | undefined, now: number): Hop {
    const hop: Hop = {
      id: this.#next++,
      parent,
      child,
      oneWayMs,
      openedAt: now,
      open: true,
      range,
      loss: { bad: false },
      lastSentAt: now,
      repeatedBytes: 0,
      receivedSymbols: 0,
      lateMs: [],
      sentBits: 0,
      congested: false,
      delivered: false,
    }
    this.#all.set(hop.id, hop)
    return hop
  }

  get(id: number): Hop | undefined {
    return this.#all.get(id)
  }

  /** The parent stops sending; what is on its way arrives nowhere. */
  close(hop: Hop): void {
    hop.open = false
    this.#all.delete(hop.id)
  }

  [Symbol.iterator](): IterableIterator<Hop> {
    return this.#all.values()
  }
}
