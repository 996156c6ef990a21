/** The side of a child: carries out what its parent manager asks for, and tells it what became of it. */
import { type ParentAction, ParentManager, type SymbolRange } from "../../src/alm/index.ts"
import { UNCAPPED } from "../../src/wire/layers.ts"
import type { PeerKeyId } from "../../src/wire/types.ts"
import { canLink } from "../model/places.ts"
import type { Scenario } from "../model/scenario.ts"
import type { Metrics } from "../report/metrics.ts"
import { candidatesOf, isLinked } from "./candidates.ts"
import type { Mail } from "./mail.ts"
import type { SimPeer } from "./peer.ts"
import { type SimRoom, STREAM_ID, UNIX_BEGIN } from "./room.ts"
import type { Serving } from "./serve.ts"

/** ICE gives up after so long, ms. */
const NO_LINK_MS = 5_000
/** Who comes back so soon to a parent that it left by choice, flaps. */
const FLAP_MS = 60_000
const LAYER_BASE = { spatial: 0, temporal: 0, quality: 0 }
/** D-26.6, less the second at which it is looked at. */
const SWITCH_INTERVAL_MS = 29_000

interface Habits {
  /** When it left which parent by choice. */
  readonly leftByChoice: Map<PeerKeyId, number>
  /** When it last lost a parent, or was told to go: what it does then is no choice. */
  needAt: number
  switches: number
  lastSwitch: number
}

export class Receiving {
  readonly #scenario: Scenario
  readonly #room: SimRoom
  readonly #mail: Mail
  readonly #metrics: Metrics
  readonly #mbps: number
  readonly #sourceKeyId: PeerKeyId
  readonly #serving: () => Serving
  readonly #habits = new Map<number, Habits>()

  constructor(
    scenario: Scenario,
    room: SimRoom,
    mail: Mail,
    metrics: Metrics,
    mbps: number,
    sourceKeyId: PeerKeyId,
    serving: () => Serving,
  ) {
    this.#scenario = scenario
    this.#room = room
    this.#mail = mail
    this.#metrics = metrics
    this.#mbps = mbps
    this.#sourceKeyId = sourceKeyId
    this.#serving = serving
  }

  get #unixMs(): number {
    return UNIX_BEGIN + this.#mail.now
  }

  begin(peer: SimPeer): void {
    peer.manager = new ParentManager(
      {
        me: peer.keyId,
        streamId: STREAM_ID,
        publisher: this.#sourceKeyId,
        policy: UNCAPPED,
        streamMaxLayer: LAYER_BASE,
        bitrateMbps: this.#mbps,
        wanted: this.#scenario.parents,
        random: () => peer.random.unit(),
      },
      this.#unixMs,
    )
    this.#habits.set(peer.index, {
      leftByChoice: new Map(),
      needAt: Number.NEGATIVE_INFINITY,
      switches: 0,
      lastSwitch: Number.NEGATIVE_INFINITY,
    })
    this.refreshTree(peer)
    this.refreshCandidates(peer)
  }

  refreshTree(peer: SimPeer): void {
    const manager = peer.manager
    if (manager !== undefined) this.#act(peer, manager.setTree(this.#room.treeFor(peer), this.#unixMs))
  }

  refreshCandidates(peer: SimPeer): void {
    const manager = peer.manager
    if (manager === undefined) return
    const candidates = candidatesOf(peer, this.#room, this.#scenario.candidates, this.#mail.now)
    this.#note(peer, () => {
      const linked = candidates.filter((candidate) => candidate.linked).length
      return `${candidates.length} candidates, ${linked} linked`
    })
    this.#act(peer, manager.setCandidates(candidates, this.#unixMs))
  }

  tick(peer: SimPeer): void {
    const manager = peer.manager
    if (manager === undefined) return
    this.#act(peer, manager.tick(this.#unixMs))
    const { inNeed } = manager
    if (inNeed && !peer.inNeed) this.refreshCandidates(peer)
    peer.inNeed = inNeed
  }

  heard(peer: SimPeer, parent: SimPeer, chunk: boolean): void {
    const manager = peer.manager
    if (manager !== undefined) this.#act(peer, manager.heard(parent.keyId, this.#unixMs, chunk))
  }

  subscribed(peer: SimPeer, parent: SimPeer): void {
    const manager = peer.manager
    this.#note(peer, () => `accepted by ${parent.index}`)
    if (manager !== undefined) this.#act(peer, manager.subscribed(parent.keyId, this.#unixMs))
  }

  refused(peer: SimPeer, parent: SimPeer, error: string): void {
    const manager = peer.manager
    this.#note(peer, () => `refused by ${parent.index}`)
    if (peer.up.has(parent.index)) this.#needs(peer)
    if (manager !== undefined) this.#act(peer, manager.refused(parent.keyId, error, this.#unixMs))
  }

  leaving(peer: SimPeer, parent: SimPeer, inMs: number): void {
    const manager = peer.manager
    this.#note(peer, () => `${parent.index} says goodbye`)
    this.#needs(peer)
    if (manager !== undefined) this.#act(peer, manager.leaving(parent.keyId, inMs, this.#unixMs))
  }

  lost(peer: SimPeer, parent: SimPeer): void {
    const manager = peer.manager
    this.#note(peer, () => `lost ${parent.index}`)
    this.#needs(peer)
    if (manager !== undefined) this.#act(peer, manager.lost(parent.keyId, this.#unixMs))
  }

  downstreamChanged(peer: SimPeer): void {
    const manager = peer.manager
    if (manager !== undefined) this.#act(peer, manager.setDownstream(peer.roster.peers(), this.#unixMs))
  }

  end(peer: SimPeer): void {
    const manager = peer.manager
    if (manager !== undefined) this.#act(peer, manager.close(this.#unixMs))
    peer.manager = undefined
    this.#habits.delete(peer.index)
  }

  /** Once a second: what each parent delivered, and whether a healthy one was left too soon. */
  second(peer: SimPeer): void {
    const manager = peer.manager
    if (manager === undefined) return
    const now = this.#mail.now
    for (const hop of peer.up.values()) {
      if (peer.newSymbols > 0 && now - hop.openedAt > 1_000) {
        const late = hop.lateMs.sort((a, b) => a - b)
        const share = Math.min(1, hop.receivedSymbols / peer.newSymbols)
        manager.measured(hop.parent.keyId, { share, lateMs: late[late.length >> 1] ?? 0 }, this.#unixMs)
      }
      hop.receivedSymbols = 0
      hop.lateMs.length = 0
    }
    peer.newSymbols = 0
    const habits = this.#habits.get(peer.index)!
    if (manager.counts.switched === habits.switches) return
    this.#metrics.improvements += manager.counts.switched - habits.switches
    habits.switches = manager.counts.switched
    if (now - habits.lastSwitch < SWITCH_INTERVAL_MS) this.#metrics.undampedSwitches++
    habits.lastSwitch = now
  }

  #act(peer: SimPeer, actions: readonly ParentAction[]): void {
    for (const action of actions) {
      this.#note(peer, () => this.#described(peer, action))
      switch (action.kind) {
        case "subscribe":
          this.#subscribe(peer, action.parent, action.range)
          break
        case "unsubscribe":
          this.#unsubscribe(peer, action.parent, action.why)
          break
        case "setRange":
          this.#setRange(peer, action.parent, action.range)
          break
        case "subscribeAgain":
          this.#setRange(peer, action.parent, [...peer.up.values()].find(({ parent }) => parent.keyId === action.parent)?.range)
          break
        case "prepare":
          this.#withLink(peer, this.#room.members.get(action.parent), true, () => {})
          break
        case "release": {
          const spare = this.#room.members.get(action.parent)
          if (spare !== undefined && !peer.up.has(spare.index)) this.#unlink(peer, spare)
          break
        }
        case "starved":
          this.#metrics.starvations++
          this.#mail.later(0, () => {
            if (peer.alive) this.refreshCandidates(peer)
          })
          break
        // Layers and pictures are not simulated.
        case "setPolicy":
        case "requestKeyframe":
          break
      }
    }
  }

  #note(peer: SimPeer, text: () => string): void {
    if (this.#metrics.diary.isKept) this.#metrics.diary.note(peer.index, this.#mail.now, text())
  }

  #described(peer: SimPeer, action: ParentAction): string {
    if (!("parent" in action)) return action.kind
    const parent = this.#room.members.get(action.parent)
    const depth = this.#room.tree()?.depthOf(action.parent)
    const why = action.kind === "unsubscribe" ? `, ${action.why}` : ""
    const planned = this.#room.tree()?.parentOf(peer.keyId) === action.parent ? ", planned" : ""
    const state = parent === undefined ? "left the room" : parent.alive ? (parent.leaving ? "leaving" : "there") : "dead"
    const linked = parent !== undefined && isLinked(peer, parent, this.#room) ? ", linked" : ""
    const own = this.#room.tree()?.depthOf(peer.keyId)
    return `${action.kind} ${parent?.index ?? "?"} (${state}, depth ${depth} for ${own}${planned}${linked}${why})`
  }

  #subscribe(peer: SimPeer, keyId: PeerKeyId, range: SymbolRange | undefined): void {
    this.#countReturn(peer, keyId)
    const parent = this.#room.members.get(keyId)
    this.#withLink(peer, parent, false, (reached) => {
      this.#mail.send(peer, reached, "subscribe", 360, () => this.#serving().subscribe(reached, peer, range))
    })
  }

  /** Who takes a parent again that it left not long ago had to, or flaps. */
  #countReturn(peer: SimPeer, keyId: PeerKeyId): void {
    const habits = this.#habits.get(peer.index)
    const left = habits?.leftByChoice.get(keyId)
    if (habits === undefined || left === undefined || this.#mail.now - left >= FLAP_MS) return
    if (habits.needAt >= left || peer.manager?.inNeed === true) {
      this.#metrics.returnsInNeed++
      return
    }
    this.#metrics.flaps++
    this.#metrics.diary.flapped(peer.index, left, this.#mail.now)
  }

  #needs(peer: SimPeer): void {
    const habits = this.#habits.get(peer.index)
    if (habits !== undefined) habits.needAt = this.#mail.now
  }

  #setRange(peer: SimPeer, keyId: PeerKeyId, range: SymbolRange | undefined): void {
    const parent = this.#room.members.get(keyId)
    if (parent !== undefined) {
      this.#mail.send(peer, parent, "subscribe", 360, () => this.#serving().subscribe(parent, peer, range))
    }
  }

  #unsubscribe(peer: SimPeer, keyId: PeerKeyId, why: string): void {
    this.#metrics.add(this.#metrics.leaveReasons, why)
    const parent = this.#room.members.get(keyId) ?? [...peer.up.values()].find((hop) => hop.parent.keyId === keyId)?.parent
    if (parent === undefined) return
    if (why === "silent" || why === "timeout") this.#needs(peer)
    if (why === "replaced") this.#habits.get(peer.index)?.leftByChoice.set(keyId, this.#mail.now)
    peer.up.delete(parent.index)
    this.#unlink(peer, parent)
    this.#mail.send(peer, parent, "unsubscribe", 110, () => {
      const held = parent.roster.get(peer.keyId)
      // A subscription that was made anew meanwhile stays.
      if (held !== undefined && peer.up.get(parent.index) !== held.hop) this.#serving().close(held.hop)
    })
  }

  /** Calls back when there is a link; a member that is gone or out of reach never answers, and a NAT in the way shows late. */
  #withLink(peer: SimPeer, other: SimPeer | undefined, spare: boolean, then: (other: SimPeer) => void): void {
    if (other === undefined) return
    if (isLinked(peer, other, this.#room)) {
      // A spare's link stays when the ring no longer needs it.
      if (spare && !peer.up.has(other.index)) this.#hold(peer, other, spare)
      then(other)
      return
    }
    if (!canLink(peer.place, other.place)) {
      if (!spare) this.#mail.later(NO_LINK_MS, () => peer.alive && this.lost(peer, other))
      return
    }
    this.#mail.later(this.#mail.linkMs(peer, other), () => {
      if (!peer.alive || !other.alive || peer.manager === undefined) return
      this.#hold(peer, other, spare)
      // It is known to be linked from now on, and how far it is.
      this.refreshCandidates(peer)
      then(other)
    })
  }

  #hold(peer: SimPeer, other: SimPeer, spare: boolean): void {
    peer.links.set(other.index, { spare })
    other.links.set(peer.index, { spare })
  }

  /** A link that nothing needs any more is closed. */
  #unlink(peer: SimPeer, other: SimPeer): void {
    if (other.up.has(peer.index) || isSpareOf(peer, other) || isSpareOf(other, peer)) return
    peer.links.delete(other.index)
    other.links.delete(peer.index)
  }
}

function isSpareOf({ manager }: SimPeer, other: SimPeer): boolean {
  return manager?.spares.includes(other.keyId) === true
}
