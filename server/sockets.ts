/** WebSockets of the rendezvous server: each one a `SocketSession`, all of them one `ServerMachine`. */
import type { IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import type { Logger } from "pino"
import { type RawData, type WebSocket, WebSocketServer } from "ws"
import { ed25519Verify } from "../src/crypto/ed25519.ts"
import type { IdentitySigner } from "../src/identity/signer.ts"
import { attestAddress, visitorKey } from "../src/rendezvous/evidence.ts"
import type { ServerLimits } from "../src/rendezvous/limits.ts"
import { StunObservers } from "../src/rendezvous/nat/stun-observers.ts"
import {
  type ServerAction,
  ServerMachine,
  type ServerMachineOptions,
  type ServerStats,
} from "../src/rendezvous/server-machine.ts"
import { SocketSession } from "../src/rendezvous/socket-session.ts"
import { MAX_FRAME_LENGTH } from "../src/wire/frame.ts"
import type { RandomBytes } from "../src/wire/types.ts"
import { clientAddress, isForwardedByStranger } from "./client-address.ts"
import { placeBlocks, type StunSockets } from "./stun.ts"

interface SocketOptions {
  limits: ServerLimits
  logger: Logger
  signer: IdentitySigner
  random: RandomBytes
  path: string
  trustedProxies: readonly string[]
  logAddresses: boolean
  iceFor?: NonNullable<ServerMachineOptions["iceFor"]>
  stun?: StunSockets | undefined
  allowObservedMismatch?: boolean
}

interface Sockets {
  readonly draining: boolean
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  stats(): ServerStats
  close(): Promise<void>
}

interface Connection {
  socket: WebSocket
  session: SocketSession
  host: string
}

const TICK_MS = 250
/** How long a socket may take to close before it is cut. */
const CLOSE_GRACE_MS = 1_000

export function acceptSockets(options: SocketOptions): Sockets {
  const { limits, logger, signer, random, stun, allowObservedMismatch = false } = options
  const observers =
    stun && new StunObservers({ places: placeBlocks(stun.places), isAttested: (source, now) => machine.isAttested(source, now) })
  const machine: ServerMachine = new ServerMachine({
    limits,
    allowObservedMismatch,
    ...(options.iceFor && { iceFor: options.iceFor }),
    ...(observers && { observers }),
  })
  if (observers !== undefined) stun?.serve(observers)
  const acceptor = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_LENGTH,
  })
  const connections = new Map<number, Connection>()
  let nextId = 1
  let draining = false
  let warnedOfProxy = false

  const timer = setInterval(() => {
    const now = Date.now()
    for (const { session } of [...connections.values()]) session.tick(now)
    perform(machine.tick(now))
  }, TICK_MS)

  function perform(actions: ServerAction[]): void {
    for (const action of actions) {
      const now = Date.now()
      switch (action.type) {
        case "send":
          connections.get(action.session)?.session.send(action.frameType, action.payload, now)
          break
        case "close":
          connections.get(action.session)?.session.close(action.reason, action.text, now)
          break
        case "attest":
          attest(action)
          break
        case "verify":
          verify(action)
          break
      }
    }
  }

  function attest({ session, namespace, subject, extra }: Extract<ServerAction, { type: "attest" }>): void {
    const host = connections.get(session)?.host ?? ""
    attestAddress(signer, subject, host, Date.now(), limits.attestationMs, extra).then(
      (attestation) => perform(machine.attested(session, namespace, attestation, Date.now())),
      (error) => logger.error({ error }, "cannot sign"),
    )
  }

  function verify({ ticket, publicKey, message, signature }: Extract<ServerAction, { type: "verify" }>): void {
    ed25519Verify(publicKey, message, signature).then(
      (right) => perform(machine.verified(ticket, right, Date.now())),
      (error) => logger.error({ error }, "cannot verify"),
    )
  }

  function open(id: number, socket: WebSocket, host: string): void {
    const session = new SocketSession(
      { signer, random, idleMs: limits.idleMs, now: Date.now() },
      {
        send: (bytes) => {
          if (socket.readyState !== socket.OPEN) return
          // The reader is too slow; what waits for it costs everybody else memory.
          if (socket.bufferedAmount > limits.outgoingBytes) socket.terminate()
          else socket.send(bytes)
        },
        proven: (peer) => machine.proven(id, peer),
        message: (type, payload) => perform(machine.message(id, type, payload, Date.now())),
        lost: (error) => {
          logger.debug({ session: id, reason: error.details.reason ?? error.code }, "session over")
          connections.delete(id)
          machine.closed(id, Date.now())
          endSocket(socket)
        },
      },
    )
    connections.set(id, { socket, session, host })
    socket.binaryType = "nodebuffer"
    socket.on("message", (data, isBinary) => receive(id, session, data, isBinary))
    socket.on("error", (error) => logger.debug({ session: id, error: error.message }, "socket error"))
    socket.on("close", () => session.socketClosed())
    session.start(Date.now())
  }

  function receive(id: number, session: SocketSession, data: RawData, isBinary: boolean): void {
    const now = Date.now()
    if (!isBinary || !(data instanceof Uint8Array)) {
      session.close("protocol", "text", now)
      return
    }
    const over = machine.received(id, data.length, now)
    if (over.length > 0) perform(over)
    else session.receive(new Uint8Array(data.buffer, data.byteOffset, data.length), now)
  }

  return {
    get draining() {
      return draining
    },
    upgrade(request, socket, head) {
      socket.on("error", () => socket.destroy())
      const path = request.url?.split("?", 1)[0] ?? ""
      if (!path.startsWith(options.path)) return refuse(socket, "404 Not Found")
      const host = clientAddress(request, options.trustedProxies)
      if (!warnedOfProxy && isForwardedByStranger(request, options.trustedProxies)) {
        warnedOfProxy = true
        logger.warn(
          "X-Forwarded-For of a proxy that is not trusted: visitors get its address attested and may find no direct links",
        )
      }
      const id = nextId++
      if (draining) return refuse(socket, "503 Service Unavailable")
      if (!machine.admit(id, visitorKey(host))) return refuse(socket, "429 Too Many Requests")
      logger.debug(options.logAddresses ? { session: id, host } : { session: id }, "socket")
      // A handshake that fails never calls back; the socket's end frees its place in every case.
      socket.once("close", () => machine.closed(id, Date.now()))
      acceptor.handleUpgrade(request, socket, head, (accepted) => open(id, accepted, host))
    },
    stats: () => machine.stats(),
    async close() {
      draining = true
      clearInterval(timer)
      stun?.close()
      const sockets = [...connections.values()].map(({ socket }) => socket)
      perform(machine.drain())
      await Promise.all(sockets.map((socket) => socketClosed(socket)))
    },
  }
}

function endSocket(socket: WebSocket): void {
  socket.close(1000)
  const cut = setTimeout(() => socket.terminate(), CLOSE_GRACE_MS)
  socket.once("close", () => clearTimeout(cut))
}

function socketClosed(socket: WebSocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.readyState === socket.CLOSED) resolve()
    else socket.once("close", () => resolve())
  })
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`)
}
