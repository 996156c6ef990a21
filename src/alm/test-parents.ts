/** A room of made-up relays around one parent manager, for tests: seeded, virtual time, no network. */
import type { RelayCapacity } from "../wire/capacity.ts"
import { BLINKING_DOT, UNCAPPED } from "../wire/layers.ts"
import { seeded } from "../wire/seeded.ts"
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"
import type { ParentAction, ParentManagerOptions } from "./parent-actions.ts"
import { ParentManager } from "./parent-manager.ts"
import type { ParentCandidate, TreeView } from "./types.ts"

export const START = 1_700_000_000_000

export function capacity(change: Partial<RelayCapacity> = {}): RelayCapacity {
  return {
    uplinkMbps: 20,
    maxStreams: 8,
    maxSubscribersPerStream: 8,
    measuredAtUnixMs: BigInt(START),
    maxLayerSupported: UNCAPPED,
    subStreamCommitments: [],
    ...change,
  }
}

export function candidate(keyId: PeerKeyId, rttMs: number, change: Partial<ParentCandidate> = {}): ParentCandidate {
  const signedCapacity = { advertiserKeyId: keyId, capacity: capacity() }
  return { signedCapacity, reachabilityRatio: 1, rttMsEstimate: rttMs, ...change }
}

/** A plan from each member's parent. */
export function treeOf(parents: Record<string, string>, me = "me", since = START - 10_000): TreeView {
  const depthOf = (keyId: string): number | undefined => {
    if (keyId === "publisher") return 0
    const parent = parents[keyId]
    const above = parent === undefined ? undefined : depthOf(parent)
    return above === undefined ? undefined : above + 1
  }
  return { since, parent: parents[me], depthOf, parentOf: (keyId) => parents[keyId] }
}

/** How a relay behaves. */
interface Relay {
  rttMs: number
  alive: boolean
  /** Refuses every subscription with this. */
  refuses?: string
  network?: string
}

/** Drives a manager: relays answer after their round trip and are heard every 100 ms while they live. */
export class ParentWorld {
  readonly relays: Map<PeerKeyId, Relay>
  readonly manager: ParentManager
  readonly log: { at: Milliseconds; action: ParentAction }[] = []
  now = START
  /** Subscribed here as the relays see it. */
  readonly serving = new Set<PeerKeyId>()
  /** Have nothing to send: what is heard of them is up to the test. */
  silent = new Set<PeerKeyId>()
  #events: { at: Milliseconds; run: () => readonly ParentAction[] }[] = []

  constructor(relays: Record<PeerKeyId, Partial<Relay> & { rttMs: number }>, options: Partial<ParentManagerOptions> = {}) {
    this.relays = new Map(Object.entries(relays).map(([keyId, relay]) => [keyId, { alive: true, ...relay }]))
    const own = { me: "me", streamId: new Uint8Array(32), publisher: "publisher", random: seeded(1), bitrateMbps: 1 }
    this.manager = new ParentManager({ ...own, policy: BLINKING_DOT, ...options }, this.now)
    this.advertise()
  }

  /** Everybody signs again, dead ones excepted. */
  advertise(): void {
    const measuredAtUnixMs = BigInt(Math.trunc(this.now))
    const list = [...this.relays].flatMap(([keyId, { alive, rttMs, network }]) =>
      alive
        ? [
            candidate(keyId, rttMs, {
              network,
              signedCapacity: { advertiserKeyId: keyId, capacity: capacity({ measuredAtUnixMs }) },
            }),
          ]
        : [],
    )
    this.do(this.manager.setCandidates(list, this.now))
  }

  do(actions: readonly ParentAction[]): void {
    for (const action of actions) {
      this.log.push({ at: this.now, action })
      if (action.kind === "unsubscribe") this.serving.delete(action.parent)
      if (action.kind === "subscribe") this.#answer(action.parent)
    }
  }

  /** Lets time pass in steps of 100 ms, with a tick every 500. */
  run(ms: Milliseconds, each: () => void = () => {}): void {
    const end = this.now + ms
    while (this.now < end) {
      this.now += 100
      const due = this.#events.filter(({ at }) => at <= this.now)
      this.#events = this.#events.filter(({ at }) => at > this.now)
      for (const { run } of due) this.do(run())
      for (const keyId of this.serving)
        if (this.relays.get(keyId)?.alive && !this.silent.has(keyId)) this.do(this.manager.heard(keyId, this.now))
      if ((this.now - START) % 500 === 0) this.do(this.manager.tick(this.now))
      if ((this.now - START) % 15_000 === 0) this.advertise()
      each()
    }
  }

  /** Parents that are in use and heard. */
  get feeding(): PeerKeyId[] {
    const used = this.manager.parents.filter(({ role }) => role !== "asked").map(({ keyId }) => keyId)
    return used.filter((keyId) => this.serving.has(keyId) && this.relays.get(keyId)?.alive).sort()
  }

  actions<K extends ParentAction["kind"]>(kind: K): Extract<ParentAction, { kind: K }>[] {
    return this.log.flatMap(({ action }) => (action.kind === kind ? [action as Extract<ParentAction, { kind: K }>] : []))
  }

  #answer(keyId: PeerKeyId): void {
    const relay = this.relays.get(keyId)
    if (relay === undefined) return
    this.#events.push({
      at: this.now + relay.rttMs,
      run: () => {
        if (!relay.alive) return []
        if (relay.refuses !== undefined) return this.manager.refused(keyId, relay.refuses, this.now)
        if (!this.manager.parents.some((parent) => parent.keyId === keyId)) return []
        this.serving.add(keyId)
        return this.manager.subscribed(keyId, this.now)
      },
    })
  }
}
