/** One peer of a routed session: its handshake, its cipher and the control session over them (control-plane 1.6). */
import { secureRandom } from "../crypto/random.ts"
import { toHex } from "../wire/bytes.ts"
import { FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { AvError } from "../wire/errors.ts"
import type { RoutedFrame, RoutedHello } from "../wire/routed.ts"
import type { Bytes, NodeId, RandomBytes } from "../wire/types.ts"
import { asAvError } from "./errors.ts"
import { RoutedCipher } from "./routed-cipher.ts"
import { RoutedHandshake, type RoutedStep } from "./routed-handshake.ts"
import { SessionCore } from "./session-core.ts"
import type { ControlSession, RoutedCarrier, RoutedHubOptions } from "./types.ts"

const HANDSHAKE_MS = 5_000
/** New keys after this long: the initiator opens the session anew, ms. */
const RENEW_MS = 3_600_000
/** Payloads of one peer that wait for their turn. */
const MAX_WAITING = 256
/** Handshakes of one peer that wait for their last step. */
const MAX_ANSWERING = 4

interface RoutedPeerEvents {
  session(session: ControlSession): void
  failed(error: AvError): void
  dropped(error: unknown): void
  /** Nothing is left of this peer. */
  idle(): void
}

/** One peer: a handshake of ours, those it began, and one session. A finished handshake replaces the session. */
export class RoutedPeer {
  readonly #options: RoutedHubOptions
  readonly #node: NodeId
  readonly #events: RoutedPeerEvents
  #carrier: RoutedCarrier
  #asking: RoutedHandshake | undefined
  /** Several, because anybody on the way can repeat or forge a first step; only the true one can finish. */
  #answering: RoutedHandshake[] = []
  readonly #timeouts = new Map<RoutedHandshake, ReturnType<typeof setTimeout>>()
  #renewal: ReturnType<typeof setTimeout> | undefined
  #cipher: RoutedCipher | undefined
  #core: SessionCore | undefined
  /** Payloads are opened one after another, so that frames keep their order. */
  #work: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(options: RoutedHubOptions, node: NodeId, carrier: RoutedCarrier, events: RoutedPeerEvents) {
    this.#options = options
    this.#node = node
    this.#carrier = carrier
    this.#events = events
  }

  /** We sent step 1 and wait for step 2. */
  get asking(): boolean {
    return this.#asking !== undefined
  }

  get alive(): boolean {
    return this.#timeouts.size > 0 || (this.#core !== undefined && !this.#core.closed)
  }

  start(): void {
    if (this.#asking !== undefined) this.#forget(this.#asking)
    this.#asking = this.#begin("initiator")
    this.#carrier(FRAME_ROUTED_HELLO, this.#asking.start())
  }

  hello(hello: RoutedHello, carrier: RoutedCarrier): void {
    if (hello.step === 1) {
      if (this.#answering.length >= MAX_ANSWERING) this.#forget(this.#answering[0]!)
      this.#answering.push(this.#begin("responder"))
    }
    const newest = this.#answering.at(-1)
    const candidates = hello.step === 1 ? newest && [newest] : hello.step === 2 ? this.#asking && [this.#asking] : this.#answering
    if (candidates === undefined || candidates.length === 0) throw new AvError("RoutedInvalid", { why: "no handshake" })
    this.#queue(() => this.#tryHello(hello, [...candidates], carrier))
  }

  frame(frame: RoutedFrame, carrier: RoutedCarrier): void {
    this.#queue(async () => {
      if (this.#cipher === undefined) throw new AvError("SessionClosed", { node: this.#node })
      const inner = await this.#cipher.open(frame)
      // Proven to come from the peer: this way back works.
      this.#carrier = carrier
      this.#core?.receive(inner)
    })
  }

  close(): void {
    this.#core?.close()
    this.#forgetAll()
    clearTimeout(this.#renewal)
  }

  #renew(): void {
    try {
      this.start()
    } catch (error) {
      this.#events.dropped(error)
    }
  }

  #begin(role: "initiator" | "responder"): RoutedHandshake {
    const { signer, random } = this.#options
    const handshake = new RoutedHandshake(role, { signer, peerNode: this.#node, random: random ?? secureRandom })
    this.#timeouts.set(
      handshake,
      setTimeout(() => this.#late(handshake), HANDSHAKE_MS),
    )
    return handshake
  }

  #late(handshake: RoutedHandshake): void {
    const error = new AvError("SessionTimeout", { node: this.#node })
    const asked = handshake === this.#asking
    this.#forget(handshake)
    // A stranger's unfinished handshake is its own affair; only ours was waited for.
    if (asked) this.#events.failed(error)
    else this.#events.dropped(error)
    if (!this.alive) this.#events.idle()
  }

  #forget(handshake: RoutedHandshake): void {
    clearTimeout(this.#timeouts.get(handshake))
    this.#timeouts.delete(handshake)
    handshake.close()
    if (this.#asking === handshake) this.#asking = undefined
    this.#answering = this.#answering.filter((other) => other !== handshake)
  }

  #forgetAll(): void {
    for (const handshake of [...this.#timeouts.keys()]) this.#forget(handshake)
  }

  /** The message belongs to the first handshake that accepts it. */
  async #tryHello(hello: RoutedHello, candidates: RoutedHandshake[], carrier: RoutedCarrier): Promise<void> {
    let fault: unknown = new AvError("RoutedInvalid", { why: "no handshake" })
    for (const handshake of candidates) {
      if (!this.#timeouts.has(handshake)) continue
      try {
        const step = await handshake.receive(hello)
        if (this.#timeouts.has(handshake)) await this.#step(handshake, step, carrier)
        return
      } catch (error) {
        fault = error
      }
    }
    throw fault
  }

  async #step(handshake: RoutedHandshake, step: RoutedStep, carrier: RoutedCarrier): Promise<void> {
    if (step.send !== undefined) carrier(FRAME_ROUTED_HELLO, step.send)
    if (step.done === undefined) return
    const { peer, keys } = step.done
    this.#options.pins?.pin(peer.nodeId, peer.entityId)
    const cipher = await RoutedCipher.create(this.#options.signer.nodeId, this.#node, keys)
    if (!this.#timeouts.has(handshake)) return
    const initiator = handshake === this.#asking
    this.#forgetAll()
    this.#carrier = carrier
    this.#core?.abandon("channel-closed")
    this.#cipher = cipher
    const core = this.#makeCore(cipher, this.#options.random ?? secureRandom)
    this.#core = core
    core.begin(peer)
    clearTimeout(this.#renewal)
    if (initiator) this.#renewal = setTimeout(() => this.#renew(), RENEW_MS)
  }

  #makeCore(cipher: RoutedCipher, random: RandomBytes): SessionCore {
    let sending: Promise<void> = Promise.resolve()
    let buffered = 0
    const send = (frame: Bytes) => {
      buffered += frame.length
      const work = async () => {
        try {
          this.#carrier(FRAME_ROUTED, await cipher.seal(frame))
        } catch (error) {
          core.abandon("channel-closed", asAvError(error, "SessionClosed"))
        }
        buffered -= frame.length
        if (buffered === 0) core.flush()
      }
      sending = sending.then(work)
    }
    const core: SessionCore = new SessionCore({
      id: `routed-${this.#node}-${toHex(random(4))}`,
      kind: "routed",
      signer: this.#options.signer,
      control: {
        send,
        get buffered() {
          return buffered
        },
      },
      random,
      clock: () => performance.now(),
      wallClock: () => this.#options.wallClock?.() ?? Date.now(),
      onReady: (session) => this.#events.session(session),
      onClosed: (info) => {
        if (this.#core !== core) return
        if (!core.ready) this.#events.failed(info.error ?? new AvError("SessionClosed", { node: this.#node }))
        clearTimeout(this.#renewal)
        // What is still being sealed, a GOAWAY as a rule, leaves first.
        void sending.then(() => !this.alive && this.#events.idle())
      },
    })
    return core
  }

  #queue(work: () => Promise<void>): void {
    if (this.#waiting >= MAX_WAITING) throw new AvError("LimitExceeded", { what: "routed payloads", max: MAX_WAITING })
    this.#waiting++
    this.#work = this.#work.then(async () => {
      try {
        await work()
      } catch (error) {
        this.#events.dropped(error)
      }
      this.#waiting--
    })
  }
}
