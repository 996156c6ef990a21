/** Keeps the NAT class of a room up to date: drives {@link NatSweep}, and has the class announced when it is another one (6.9). */
import type { NatClass } from "../../rendezvous/nat/classify.ts"
import { areEnough, type StunServer } from "../../rendezvous/nat/stun-servers.ts"
import { NatSweep, type NatSweepAction } from "../../rendezvous/nat/sweep.ts"
import { type AddressBlock, addressToText } from "../../wire/address.ts"
import type { Milliseconds } from "../../wire/types.ts"
import type { NatLook, NatProbe, NatStats } from "./types.ts"

interface NatWatchOptions {
  probe: NatProbe
  /** STUN servers that are configured now. */
  servers(): readonly StunServer[]
  ask: NatLook["ask"]
  /** The class is another one than was announced last; undefined: nothing is to be announced. */
  announce(nat: Exclude<NatClass, "unknown"> | undefined): void
  /** The operator's word: everybody reaches this node there. There is no look then. */
  reachableAt?: AddressBlock | undefined
  /** Milliseconds that do not go back. */
  now(): Milliseconds
  random?: () => number
}

export class NatWatch {
  readonly #options: NatWatchOptions
  readonly #sweep: NatSweep
  #look: { id: number; stop: AbortController } | undefined
  #timer: ReturnType<typeof setTimeout> | undefined
  /** Of those who wait for the look that runs or is planned. */
  #waiting: { promise: Promise<NatStats>; resolve: (stats: NatStats) => void } | undefined
  #announced: NatClass = "unknown"
  /** Servers that the last look asked. */
  #asked = ""
  #sweeps = 0
  #observations = 0
  #at: number | undefined
  #closed = false

  constructor(options: NatWatchOptions) {
    this.#options = options
    this.#sweep = new NatSweep({ intervalMs: options.probe.intervalMs, random: options.random ?? Math.random })
  }

  /** Begins. Later calls say that STUN servers may have come: others than were asked last are a reason to look, and so is knowing nothing. */
  serversMayDiffer(): void {
    if (this.#closed) return
    const { reachableAt } = this.#options
    if (reachableAt !== undefined) {
      this.#perform(this.#sweep.setOverride(reachableAt, this.#options.now()))
      return
    }
    const servers = this.#options.servers()
    const isKnown = this.#sweep.state.class !== "unknown" && namesOf(servers) === this.#asked
    if (areEnough(servers) && !isKnown) this.#perform(this.#sweep.request(this.#options.now()))
  }

  /** Another network, or a link got new addresses: what was known says nothing any more. */
  networkChanged(): void {
    // Before the first look there is nothing to forget, and nobody to ask.
    if (this.#closed || this.#asked === "") return
    this.#perform(this.#sweep.networkChanged(this.#options.now()))
  }

  /** Looks now, or joins the look that runs; two are at least ten seconds apart. Resolves at once where nobody can be asked. */
  reclassify(): Promise<NatStats> {
    if (this.#waiting !== undefined) return this.#waiting.promise
    const idle = this.#look === undefined && !areEnough(this.#options.servers())
    if (this.#closed || idle || this.#options.reachableAt !== undefined) return Promise.resolve(this.stats)
    let resolve: (stats: NatStats) => void = () => {}
    const promise = new Promise<NatStats>((done) => {
      resolve = done
    })
    this.#waiting = { promise, resolve }
    this.#perform(this.#sweep.request(this.#options.now()))
    return promise
  }

  get stats(): NatStats {
    const { class: nat, reflex } = this.#sweep.state
    return {
      class: nat,
      ...(reflex === undefined ? {} : { reflex: textOf(reflex) }),
      servers: this.#options.servers().length,
      sweeps: this.#sweeps,
      conclusive: this.#sweep.conclusive,
      observations: this.#observations,
      ...(this.#at === undefined ? {} : { at: this.#at }),
    }
  }

  close(): void {
    this.#closed = true
    clearTimeout(this.#timer)
    this.#look?.stop.abort()
    this.#look = undefined
    this.#settle()
  }

  #perform(actions: readonly NatSweepAction[]): void {
    for (const action of actions) {
      if (action.type === "probe") void this.#probe(action.sweep)
      else if (action.type === "stop") this.#stop(action.sweep)
      else this.#done(action.state.class)
    }
    this.#plan()
  }

  async #probe(id: number): Promise<void> {
    const { probe, ask, now } = this.#options
    const servers = this.#options.servers()
    const stop = new AbortController()
    this.#look = { id, stop }
    this.#asked = namesOf(servers)
    this.#sweeps++
    let evidence: { hostAddresses: readonly AddressBlock[]; dialBack: boolean } = { hostAddresses: [], dialBack: false }
    let seen = 0
    try {
      if (areEnough(servers)) {
        const { observations, ...more } = await probe.look({ servers, ask, signal: stop.signal })
        if (stop.signal.aborted) return
        for (const observation of observations) this.#sweep.observe(id, observation)
        evidence = more
        seen = observations.length
      }
    } catch {
      // No network, no permission, no server: what was known stays.
    }
    if (stop.signal.aborted) return
    this.#look = undefined
    this.#observations = seen
    const before = this.#sweep.conclusive
    const actions = this.#sweep.finish(id, evidence, now())
    if (this.#sweep.conclusive > before) this.#at = Date.now()
    this.#perform(actions)
  }

  #stop(id: number): void {
    if (this.#look?.id !== id) return
    this.#look.stop.abort()
    this.#look = undefined
  }

  #done(nat: NatClass): void {
    if (nat !== this.#announced) {
      this.#announced = nat
      this.#options.announce(nat === "unknown" ? undefined : nat)
    }
    if (this.#look === undefined) this.#settle()
  }

  #settle(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.resolve(this.stats)
  }

  #plan(): void {
    clearTimeout(this.#timer)
    const wait = this.#sweep.dueAt - this.#options.now()
    if (this.#closed || !Number.isFinite(wait)) return
    this.#timer = setTimeout(() => this.#perform(this.#sweep.tick(this.#options.now())), Math.max(0, wait))
  }
}

function namesOf(servers: readonly StunServer[]): string {
  return servers.map(({ url }) => url).join(" ")
}

function textOf(address: AddressBlock): string {
  const host = addressToText(address)
  return `${address.family === 6 ? `[${host}]` : host}:${address.port}`
}
