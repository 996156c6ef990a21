/** Clients for the server's tests: whole ones, and bare sockets that can say anything. */
import { randomBytes } from "node:crypto"
import { WebSocket } from "ws"
import { type IdentitySigner, signerFromSeeds } from "../../src/identity/signer.ts"
import { openRendezvous } from "../../src/rendezvous/client.ts"
import { SocketSession } from "../../src/rendezvous/socket-session.ts"
import type { RendezvousClient, RendezvousEvents, RendezvousOptions } from "../../src/rendezvous/types.ts"
import { FRAME_GOAWAY, FRAME_RENDEZVOUS } from "../../src/wire/frame.ts"
import { decodeGoaway, type Goaway } from "../../src/wire/goaway.ts"
import { decodeRendezvousMessage, encodeRendezvousMessage, type RendezvousMessage } from "../../src/wire/rendezvous-message.ts"
import type { Bytes } from "../../src/wire/types.ts"

export const random = (length: number): Bytes => new Uint8Array(randomBytes(length))

/** An identity without the slow half, which the server never sees anyway. */
export const quickSigner = (): Promise<IdentitySigner> => signerFromSeeds(random(32))

/** Resolves with the next value of an event that `accept` likes. */
export function once<K extends keyof RendezvousEvents>(
  client: RendezvousClient,
  event: K,
  accept: (value: RendezvousEvents[K]) => boolean = () => true,
): Promise<RendezvousEvents[K]> {
  return new Promise((resolve) => {
    const off = client.on(event, (value) => {
      if (!accept(value)) return
      off()
      resolve(value)
    })
  })
}

export interface TestClient {
  client: RendezvousClient
  signer: IdentitySigner
  registered: Promise<RendezvousEvents["registered"]>
}

export async function openClient(port: number, namespace: string, options: Partial<RendezvousOptions> = {}): Promise<TestClient> {
  const signer = options.signer ?? (await quickSigner())
  const url = `ws://127.0.0.1:${port}/`
  const client = openRendezvous({ url, namespace, signer, openSocket: (to) => new WebSocket(to), ...options })
  return { client, signer, registered: once(client, "registered") }
}

/** A proven socket without the client's manners. */
export interface RawClient {
  socket: WebSocket
  signer: IdentitySigner
  session: SocketSession
  messages: RendezvousMessage[]
  goaways: Goaway[]
  closed: Promise<void>
  send(frameType: number, payload: Bytes): void
  say(message: RendezvousMessage): void
  /** The next message of one of these kinds, or one that came already and was not taken. */
  take<K extends RendezvousMessage["kind"]>(...kinds: K[]): Promise<Extract<RendezvousMessage, { kind: K }>>
}

export async function openRaw(port: number, given?: IdentitySigner): Promise<RawClient> {
  const signer = given ?? (await quickSigner())
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
  const messages: RendezvousMessage[] = []
  const goaways: Goaway[] = []
  const waiting = new Set<() => void>()
  let ready: () => void = () => undefined
  const proven = new Promise<void>((resolve) => {
    ready = resolve
  })
  const session = new SocketSession(
    { signer, random, idleMs: 60_000, now: Date.now() },
    {
      send: (bytes) => socket.readyState === socket.OPEN && socket.send(bytes),
      proven: () => ready(),
      message: (type, payload) => {
        if (type === FRAME_GOAWAY) goaways.push(decodeGoaway(payload))
        if (type === FRAME_RENDEZVOUS) messages.push(decodeRendezvousMessage(payload))
        for (const check of waiting) check()
      },
      lost: () => socket.close(),
    },
  )
  socket.on("open", () => session.start(Date.now()))
  socket.on("message", (data: Buffer) => session.receive(new Uint8Array(data), Date.now()))
  socket.on("error", () => undefined)
  await Promise.race([proven, closed])
  return {
    socket,
    signer,
    session,
    messages,
    goaways,
    closed,
    send: (frameType, payload) => session.send(frameType, payload, Date.now()),
    say: (message) => session.send(FRAME_RENDEZVOUS, encodeRendezvousMessage(message), Date.now()),
    take<K extends RendezvousMessage["kind"]>(...kinds: K[]) {
      return new Promise<Extract<RendezvousMessage, { kind: K }>>((resolve) => {
        const check = () => {
          const at = messages.findIndex(({ kind }) => kinds.some((wanted) => wanted === kind))
          if (at < 0) return
          waiting.delete(check)
          resolve(messages.splice(at, 1)[0] as Extract<RendezvousMessage, { kind: K }>)
        }
        waiting.add(check)
        check()
      })
    },
  }
}
