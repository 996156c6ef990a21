/**
 * The client of a rendezvous server without its socket: connecting again and again, registering, and what the server says
 * (control-plane 6.2, room RM-7, RM-21). Session proof, PING and reassembly lie below it in `socket-session.ts`.
 */
import type { AuthenticatedPeer } from "../identity/session-proof.ts"
import { equalBytes } from "../wire/bytes.ts"
import { FRAME_GOAWAY, FRAME_JSON, FRAME_RENDEZVOUS, FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { decodeControlMessage } from "../wire/control-json.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { decodeGoaway, type GoawayReason } from "../wire/goaway.ts"
import {
  decodeRendezvousMessage,
  encodeRendezvousMessage,
  type ReflexReplyEntry,
  type RendezvousMessage,
} from "../wire/rendezvous-message.ts"
import type { Bytes, Milliseconds, NodeId, RandomBytes, U64 } from "../wire/types.ts"
import { backoff, drainPause } from "./backoff.ts"
import { readAttestation } from "./evidence.ts"
import { clampRetryAfter, clampTtl } from "./limits.ts"
import { introductionOf, rejectionOf } from "./messages.ts"
import type { Rejection, RendezvousDrops, RendezvousEvents, RendezvousState, ServerIdentity } from "./types.ts"

export type RendezvousEvent = { [K in keyof RendezvousEvents]: { name: K; value: RendezvousEvents[K] } }[keyof RendezvousEvents]

export type ClientAction =
  /** Open a socket; then report `opened`, `proven` and everything it says, or `lost`. */
  | { type: "open" }
  | { type: "send"; frameType: number; payload: Bytes }
  /** Say GOAWAY where there is a reason and close the socket; no `lost` is expected for it. */
  | { type: "close"; reason: GoawayReason; text: string }
  | { type: "emit"; event: RendezvousEvent }
  /** An answer of the key package directory. */
  | { type: "directory"; answer: { record: Bytes } | { error: string } }
  /** The answer to a REFLEX_QUERY. */
  | { type: "reflex"; queryId: U64; entries: ReflexReplyEntry[] }

interface ClientMachineOptions {
  namespace: string
  self: { entityId: Bytes; nodeId: NodeId }
  expectedEntity: Bytes | undefined
  /** The server's address is a loopback one. */
  loopback: boolean
  random: RandomBytes
}

/** Time for each of: opening the socket with the proof, and getting the ROSTER (room RM-7). */
const STEP_MS = 5_000
const OPEN_MS = 10_000
/** The server answers a question about the network that much later at most. */
const ANSWER_MS = 4_000
/** A refused registration is not asked for again sooner than this. */
const REFUSED_MS = 5_000
/** After the server said that this identity registered elsewhere: two pages must not take the place from each other in turns. */
const REPLACED_MS = 30_000

/** Feed it events, carry out the actions it returns, in order. `now` is Unix milliseconds. */
export class ClientMachine {
  readonly drops: RendezvousDrops = {}
  readonly #options: ClientMachineOptions
  #state: RendezvousState = "closed"
  #failures = 0
  /** When the current step has taken too long, or the pause is over. */
  #deadline: Milliseconds | undefined
  #server: ServerIdentity | undefined
  #attestation: Bytes | undefined
  #attested = false
  #refreshAt: Milliseconds | undefined

  constructor(options: ClientMachineOptions) {
    this.#options = options
  }

  get state(): RendezvousState {
    return this.#state
  }
  get server(): ServerIdentity | undefined {
    return this.#server
  }
  get attestation(): Bytes | undefined {
    return this.#attestation
  }

  start(now: Milliseconds): ClientAction[] {
    return this.#open(now)
  }

  opened(now: Milliseconds): ClientAction[] {
    return this.#state === "connecting" ? this.#step("proving", now) : []
  }

  proven(peer: AuthenticatedPeer, now: Milliseconds): ClientAction[] {
    const { expectedEntity, loopback, namespace } = this.#options
    if (this.#state !== "connecting" && this.#state !== "proving") return []
    if (expectedEntity !== undefined && !equalBytes(expectedEntity, peer.entityId)) {
      return [{ type: "close", reason: "identity", text: "" }, ...this.#finish(new AvError("ServerIdentityMismatch"))]
    }
    const clockSkewMs = Number(peer.wallMs) - now
    this.#server = { entityId: peer.entityId, nodeId: peer.nodeId, loopback, clockSkewMs }
    return [
      emit("serverIdentity", this.#server),
      ...this.#step("registering", now),
      this.#message({ kind: "register", namespace }),
    ]
  }

  /** The socket or its session ended. */
  lost(error: AvError, now: Milliseconds): ClientAction[] {
    if (this.#state === "closed" || this.#state === "waiting") return []
    return this.#pause(backoff(this.#failures++, this.#options.random), error, now)
  }

  message(frameType: number, payload: Bytes, now: Milliseconds): ClientAction[] {
    if (this.#state !== "registering" && this.#state !== "registered") return []
    try {
      switch (frameType) {
        case FRAME_RENDEZVOUS:
          return this.#rendezvous(decodeRendezvousMessage(payload), now)
        case FRAME_ROUTED:
          return [emit("routed", { payload })]
        case FRAME_ROUTED_HELLO:
          return [emit("routedHello", { payload })]
        case FRAME_JSON:
          return this.#json(payload)
        case FRAME_GOAWAY:
          return this.#goaway(decodeGoaway(payload).reason, now)
        default:
          return this.#drop("frame-type")
      }
    } catch (error) {
      if (!isAvError(error)) throw error
      return this.#drop(error.code)
    }
  }

  /** Call about once a second, and at once when a pause may be over. */
  tick(now: Milliseconds): ClientAction[] {
    if (this.#deadline !== undefined && now >= this.#deadline) {
      if (this.#state === "waiting") return this.#open(now)
      const error = new AvError("ServerUnreachable", { step: this.#state })
      return [{ type: "close", reason: "leaving", text: "" }, ...this.lost(error, now)]
    }
    if (this.#state === "registered" && this.#refreshAt !== undefined && now >= this.#refreshAt) return this.#refresh(now)
    return []
  }

  /** The network changed or the machine woke up: no waiting, and the observed address is asked for again. */
  retryNow(now: Milliseconds): ClientAction[] {
    if (this.#state === "waiting") return this.#open(now)
    if (this.#state !== "registered") return []
    // A socket that lost its network looks open for long: an answer is due.
    if (this.#deadline !== undefined) return []
    this.#deadline = now + ANSWER_MS
    return this.#refresh(now)
  }

  close(): ClientAction[] {
    if (this.#state === "closed") return []
    const actions: ClientAction[] = []
    if (this.#state === "registered") actions.push(this.#message({ kind: "unregister", namespace: this.#options.namespace }))
    if (this.#state !== "waiting") actions.push({ type: "close", reason: "leaving", text: "" })
    return [...actions, ...this.#finish()]
  }

  #rendezvous(message: RendezvousMessage, now: Milliseconds): ClientAction[] {
    switch (message.kind) {
      case "attest":
        return this.#attest(message.attestation, now)
      case "roster":
        return this.#roster(message.namespace, message.nodes, message.registered)
      case "roster-delta": {
        if (message.namespace !== this.#options.namespace) return this.#drop("namespace")
        const others = (node: NodeId) => node !== this.#options.self.nodeId
        const [joined, left] = [message.joined.filter(others), message.left.filter(others)]
        return joined.length + left.length === 0 ? [] : [emit("rosterDelta", { joined, left })]
      }
      case "introduce":
        return [emit("introduce", { ...introductionOf(message), from: message.fromNode, ttlMs: clampTtl(message.ttlMs) })]
      case "answer":
        return [emit("answer", introductionOf(message))]
      case "candidates":
        return [emit("candidates", { description: message.description })]
      case "reflex-reply":
        return [{ type: "reflex", queryId: message.queryId, entries: message.entries }]
      case "reject":
        return this.#reject(rejectionOf(message), now)
      case "ice": {
        const servers = message.servers.map(({ url, ...credentials }) => ({ urls: url, ...credentials }))
        return [emit("ice", { servers, relayAllow: message.relayAddresses, ttlMs: message.ttlS * 1000 })]
      }
      default:
        return this.#drop("direction")
    }
  }

  /** Takes an attestation only from the server that proved itself here, and only about us. */
  #attest(bytes: Bytes, now: Milliseconds): ClientAction[] {
    const facts = readAttestation(bytes)
    const fits =
      facts !== undefined &&
      this.#server !== undefined &&
      equalBytes(facts.observer, this.#server.entityId) &&
      equalBytes(facts.subject, this.#options.self.entityId)
    if (!fits) return this.#drop("attestation")
    this.#attestation = bytes.slice()
    this.#attested = true
    // Half of its life from now, by our own clock: the two clocks need not agree.
    this.#refreshAt = now + Math.max(1_000, facts.lifeMs / 2)
    if (this.#state === "registered") this.#deadline = undefined
    return this.#state === "registered" ? [emit("attestation", { attestation: this.#attestation })] : []
  }

  #roster(namespace: string, nodes: NodeId[], registered: number): ClientAction[] {
    if (namespace !== this.#options.namespace || !this.#attested || this.#attestation === undefined) return this.#drop("roster")
    // The answer to a refresh: changes since the first roster came as deltas.
    if (this.#state === "registered") return []
    this.#failures = 0
    this.#deadline = undefined
    const value = { attestation: this.#attestation, roster: nodes, registered }
    return [...this.#to("registered"), emit("registered", value)]
  }

  #reject(rejection: Rejection, now: Milliseconds): ClientAction[] {
    const told = emit("reject", rejection)
    // Any answer shows that the socket lives.
    if (this.#state === "registered") this.#deadline = undefined
    if (rejection.target !== undefined || this.#state === "registered") return [told]
    const error = new AvError("ServerRefused", { reason: rejection.reason, retryAfterMs: rejection.retryAfterMs })
    const hangUp: ClientAction = { type: "close", reason: "leaving", text: "" }
    if (rejection.reason === "bad-namespace") return [told, hangUp, ...this.#finish(error)]
    const pause = Math.max(clampRetryAfter(rejection.retryAfterMs), REFUSED_MS, backoff(this.#failures++, this.#options.random))
    return [told, hangUp, ...this.#pause(pause, error, now)]
  }

  #goaway(reason: GoawayReason, now: Milliseconds): ClientAction[] {
    const error = new AvError("ServerRefused", { reason })
    const { random } = this.#options
    const pause =
      reason === "draining"
        ? drainPause(random)
        : Math.max(reason === "identity" ? REPLACED_MS : 0, backoff(this.#failures++, random))
    return [{ type: "close", reason: "leaving", text: "" }, ...this.#pause(pause, error, now)]
  }

  #json(payload: Bytes): ClientAction[] {
    const message = decodeControlMessage(payload)
    if (message.t !== "av.kp") return this.#drop("json-type")
    if (message.record !== undefined) return [{ type: "directory", answer: { record: message.record } }]
    return [{ type: "directory", answer: { error: message.error ?? "KeyPackageUnavailable" } }]
  }

  #refresh(now: Milliseconds): ClientAction[] {
    // Again in a while if the answer is lost; a fresh attestation moves it further.
    this.#refreshAt = now + 30_000
    return [this.#message({ kind: "register", namespace: this.#options.namespace })]
  }

  #open(now: Milliseconds): ClientAction[] {
    this.#attested = false
    this.#refreshAt = undefined
    const actions = this.#to("connecting")
    this.#deadline = now + OPEN_MS
    return [...actions, { type: "open" }]
  }

  #step(state: RendezvousState, now: Milliseconds): ClientAction[] {
    this.#deadline = now + STEP_MS
    return this.#to(state)
  }

  #pause(pauseMs: Milliseconds, error: AvError, now: Milliseconds): ClientAction[] {
    this.#deadline = now + pauseMs
    return this.#to("waiting", error)
  }

  #finish(error?: AvError): ClientAction[] {
    this.#deadline = undefined
    return this.#to("closed", error)
  }

  #to(state: RendezvousState, error?: AvError): ClientAction[] {
    this.#state = state
    return [emit("state", error === undefined ? { state } : { state, error })]
  }

  #message(message: RendezvousMessage): ClientAction {
    return { type: "send", frameType: FRAME_RENDEZVOUS, payload: encodeRendezvousMessage(message) }
  }

  #drop(why: string): ClientAction[] {
    this.drops[why] = (this.drops[why] ?? 0) + 1
    return []
  }
}

function emit<K extends keyof RendezvousEvents>(name: K, value: RendezvousEvents[K]): ClientAction {
  return { type: "emit", event: { name, value } as RendezvousEvent }
}
