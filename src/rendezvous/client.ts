/** The rendezvous client over a real WebSocket, for browsers and Node. */
import mitt from "mitt"
import { secureRandom } from "../crypto/random.ts"
import type { AddressBlock } from "../wire/address.ts"
import { FRAME_JSON, FRAME_RENDEZVOUS, FRAME_ROUTED, FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { encodeControlMessage } from "../wire/control-json.ts"
import { AvError } from "../wire/errors.ts"
import type { GoawayReason } from "../wire/goaway.ts"
import { encodeRendezvousMessage, type ReflexReplyEntry, type RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { Bytes, NodeId, RandomBytes } from "../wire/types.ts"
import { serverAddress } from "./address.ts"
import { DirectoryRequests } from "./client-directory.ts"
import { type ClientAction, ClientMachine, type RendezvousEvent } from "./client-machine.ts"
import { ReflexQueries } from "./client-reflex.ts"
import { rejectMessage, wireIntroduction } from "./messages.ts"
import { SocketSession } from "./socket-session.ts"
import type {
  Introduction,
  Rejection,
  RendezvousClient,
  RendezvousEvents,
  RendezvousOptions,
  RendezvousState,
  ServerIdentity,
  WaitOptions,
  WebSocketLike,
} from "./types.ts"

const TICK_MS = 500
/** A server that takes nothing any more for this many bytes is as good as gone. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024
const IDLE_MS = 15_000

/**
 * Connects to a rendezvous server and keeps the registration until `close()`. Listen for `registered` and `state`; the first
 * events come after the current task, so listeners added right away miss nothing.
 * @throws AvError `RoomUrlInvalid` or `ServerRefused` when the address cannot be used at all, `UsageError` where no WebSocket is.
 */
export function openRendezvous(options: RendezvousOptions): RendezvousClient {
  return new Client(options)
}

/** One socket and the session on it. */
interface Connection {
  socket: WebSocketLike
  session: SocketSession
}

class Client implements RendezvousClient {
  readonly #url: string
  readonly #options: RendezvousOptions
  readonly #random: RandomBytes
  readonly #machine: ClientMachine
  readonly #events = mitt<RendezvousEvents>()
  readonly #directory = new DirectoryRequests((payload) => this.#send(FRAME_JSON, payload))
  readonly #reflex: ReflexQueries
  readonly #timer: ReturnType<typeof setInterval>
  readonly #onAbort = () => this.close()
  #connection: Connection | undefined
  #closed = false

  constructor(options: RendezvousOptions) {
    if (options.openSocket === undefined && typeof WebSocket === "undefined") {
      throw new AvError("UsageError", { why: "no WebSocket here: pass openSocket" })
    }
    const { url, loopback } = serverAddress(options.url, options.allowInsecure === true)
    const { namespace, signer, expectedEntity } = options
    this.#url = url
    this.#options = options
    this.#random = options.random ?? secureRandom
    this.#machine = new ClientMachine({ namespace, self: signer, expectedEntity, loopback, random: this.#random })
    this.#reflex = new ReflexQueries((message) => this.#say(message), this.#random)
    this.#timer = setInterval(() => this.#perform(this.#machine.tick(Date.now())), TICK_MS)
    options.signal?.addEventListener("abort", this.#onAbort, { once: true })
    queueMicrotask(() => {
      if (options.signal?.aborted === true) this.close()
      else if (!this.#closed) this.#perform(this.#machine.start(Date.now()))
    })
  }

  get state(): RendezvousState {
    return this.#machine.state
  }
  get server(): ServerIdentity | undefined {
    return this.#machine.server
  }
  get attestation(): Bytes | undefined {
    return this.#machine.attestation
  }

  on<K extends keyof RendezvousEvents>(event: K, handler: (value: RendezvousEvents[K]) => void): () => void {
    this.#events.on(event, handler)
    return () => this.#events.off(event, handler)
  }

  connectTo(target: NodeId, introduction: Introduction): boolean {
    return this.#say({ kind: "connect", targetNode: target, ...this.#outgoing(introduction) })
  }

  answer(to: NodeId, introduction: Introduction): boolean {
    return this.#say({ kind: "answer", toNode: to, ...this.#outgoing(introduction) })
  }

  sendCandidates(to: NodeId, description: Bytes): boolean {
    return this.#say({ kind: "candidates", toNode: to, description })
  }

  reject(rejection: Rejection): boolean {
    return this.#say(rejectMessage(rejection))
  }

  sendRouted(payload: Bytes): boolean {
    return this.#send(FRAME_ROUTED, payload)
  }

  sendRoutedHello(payload: Bytes): boolean {
    return this.#send(FRAME_ROUTED_HELLO, payload)
  }

  putKeyPackages(records: Bytes[], options: WaitOptions = {}): Promise<void> {
    return this.#directory.put(encodeControlMessage({ t: "av.kp.put", records }), options)
  }

  getKeyPackage(keyId: string, options: WaitOptions = {}): Promise<Bytes> {
    return this.#directory.get(keyId, encodeControlMessage({ t: "av.kp.get", keyId }), options)
  }

  queryReflex(addresses: readonly AddressBlock[], options?: WaitOptions): Promise<readonly ReflexReplyEntry[]> {
    return this.#reflex.ask(addresses, options)
  }

  retryNow(): void {
    this.#perform(this.#machine.retryNow(Date.now()))
  }

  interrupt(): void {
    const connection = this.#connection
    if (connection === undefined) return
    this.#connection = undefined
    connection.socket.close()
    this.#perform(this.#machine.lost(new AvError("ServerUnreachable", { why: "interrupted" }), Date.now()))
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    this.#options.signal?.removeEventListener("abort", this.#onAbort)
    this.#perform(this.#machine.close())
    this.#failAll()
  }

  #failAll(): void {
    this.#directory.failAll(new AvError("SessionClosed"))
    this.#reflex.failAll(new AvError("SessionClosed"))
  }

  #outgoing(introduction: Introduction): ReturnType<typeof wireIntroduction> {
    const { attestation } = this.#machine
    return wireIntroduction(attestation === undefined ? introduction : { attestation, ...introduction })
  }

  #say(message: RendezvousMessage): boolean {
    return this.#send(FRAME_RENDEZVOUS, encodeRendezvousMessage(message))
  }

  #send(frameType: number, payload: Bytes): boolean {
    if (this.#machine.state !== "registered" || this.#connection === undefined) return false
    this.#connection.session.send(frameType, payload, Date.now())
    return true
  }

  #perform(actions: ClientAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "open":
          this.#open()
          break
        case "send":
          this.#connection?.session.send(action.frameType, action.payload, Date.now())
          break
        case "close":
          this.#hangUp(action.reason, action.text)
          break
        case "directory":
          this.#directory.answer(action.answer)
          break
        case "reflex":
          this.#reflex.answered(action.queryId, action.entries)
          break
        case "emit":
          this.#refusedQuery(action.event)
          this.#emit(action.event.name, action.event.value)
          break
      }
    }
  }

  /** A refusal without a target whose number is that of a query. */
  #refusedQuery({ name, value }: RendezvousEvent): void {
    if (name === "reject" && value.target === undefined) this.#reflex.refused(value.attemptId, value.reason, value.retryAfterMs)
  }

  #emit<K extends keyof RendezvousEvents>(name: K, value: RendezvousEvents[K]): void {
    if (name === "state" && this.#machine.state !== "registered") this.#failAll()
    this.#events.emit(name, value)
    // The machine may end by itself: refused for good.
    if (name === "state" && this.#machine.state === "closed") clearInterval(this.#timer)
  }

  #open(): void {
    const lost = (error: AvError) => {
      if (this.#connection !== connection) return
      this.#connection = undefined
      connection.socket.close()
      this.#perform(this.#machine.lost(error, Date.now()))
    }
    let socket: WebSocketLike
    try {
      socket = this.#options.openSocket?.(this.#url) ?? new WebSocket(this.#url)
    } catch (cause) {
      this.#perform(this.#machine.lost(new AvError("ServerUnreachable", {}, { cause }), Date.now()))
      return
    }
    socket.binaryType = "arraybuffer"
    const { signer } = this.#options
    const session = new SocketSession(
      { signer, random: this.#random, idleMs: IDLE_MS, now: Date.now() },
      {
        send: (bytes) => {
          if (socket.bufferedAmount > MAX_BUFFERED_BYTES) lost(new AvError("LimitExceeded", { what: "unsent bytes" }))
          else socket.send(bytes as Uint8Array<ArrayBuffer>)
        },
        proven: (peer) => this.#perform(this.#machine.proven(peer, Date.now())),
        message: (type, payload) => this.#perform(this.#machine.message(type, payload, Date.now())),
        lost,
      },
    )
    const connection: Connection = { socket, session }
    this.#connection = connection
    this.#listen(connection, lost)
  }

  #listen(connection: Connection, lost: (error: AvError) => void): void {
    const { socket, session } = connection
    const ticking = setInterval(() => session.tick(Date.now()), TICK_MS)
    socket.addEventListener("open", () => {
      if (this.#connection !== connection) return
      this.#perform(this.#machine.opened(Date.now()))
      session.start(Date.now())
    })
    socket.addEventListener("message", ({ data }) => {
      if (this.#connection !== connection) return
      if (data instanceof ArrayBuffer) session.receive(new Uint8Array(data), Date.now())
      else session.close("protocol", "text", Date.now())
    })
    socket.addEventListener("error", () => lost(new AvError("ServerUnreachable")))
    socket.addEventListener("close", () => {
      clearInterval(ticking)
      lost(new AvError("ServerUnreachable"))
    })
  }

  #hangUp(reason: GoawayReason, text: string): void {
    const connection = this.#connection
    this.#connection = undefined
    if (connection === undefined) return
    if (connection.session.ready) connection.session.close(reason, text, Date.now())
    connection.socket.close()
  }
}
