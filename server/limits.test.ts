/** What the server does with too much, too big, too slow and plain wrong. */
import { connect } from "node:net"
import { afterEach, describe, expect, test } from "vitest"
import { WebSocket } from "ws"
import { SERVER_LIMITS, type ServerLimits } from "../src/rendezvous/limits.ts"
import { utf8Encode } from "../src/wire/bytes.ts"
import { encodeFrame, FRAME_JSON, FRAME_PING, FRAME_RENDEZVOUS, FRAME_ROUTED } from "../src/wire/frame.ts"
import { createRendezvousServer, type RendezvousServer } from "./rendezvous.ts"
import { openClient, openRaw, quickSigner, type RawClient, random } from "./testing/client.ts"
import { describe as describeSession } from "./testing/description.ts"

describe("limits of the server", () => {
  let server: RendezvousServer
  const start = async (limits: Partial<ServerLimits> = {}) => {
    server = await createRendezvousServer({ logLevel: "silent", limits })
    return server.port
  }
  const register = async (raw: RawClient, namespace: string) => {
    raw.say({ kind: "register", namespace })
    return raw.take("roster", "reject")
  }
  const closedWithin = async (socket: WebSocket, ms: number): Promise<number> => {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("still open")), ms)
      socket.once("close", (code) => {
        clearTimeout(timer)
        resolve(code)
      })
    })
  }
  const bare = async (port: number): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
    socket.on("error", () => undefined)
    await new Promise((resolve) => socket.once("open", resolve))
    return socket
  }
  afterEach(() => server.close())

  test("garbage before the proof ends the socket", async () => {
    const port = await start()
    for (const bytes of [
      random(20),
      new Uint8Array(0),
      encodeFrame(FRAME_PING, random(8)),
      encodeFrame(1, random(108)),
      "hello",
    ]) {
      const [silent, socket] = [await bare(port), await bare(port)]
      socket.send(bytes)
      await closedWithin(socket, 20_000)
      // Sooner than one that came before it and says nothing.
      expect(silent.readyState).toBe(WebSocket.OPEN)
      silent.terminate()
    }
    await expect.poll(() => server.stats().sessions).toBe(0)
  })

  test("who never proves a key is put out after five seconds", async () => {
    const port = await start()
    const before = Date.now()
    const socket = await bare(port)
    await closedWithin(socket, 20_000)
    expect(Date.now() - before).toBeGreaterThan(4_500)
  })

  test("who falls silent is put out", async () => {
    const port = await start({ idleMs: 1_000 })
    const raw = await openRaw(port)
    // Our own session would answer PINGs; a frozen page does not.
    raw.socket.removeAllListeners("message")
    await closedWithin(raw.socket, 20_000)
  })

  test("a frame that is too long ends the socket with the code for it", async () => {
    const port = await start()
    const socket = await bare(port)
    socket.send(new Uint8Array(16_385))
    expect(await closedWithin(socket, 20_000)).toBe(1009)
  })

  test("a flood of frames ends with GOAWAY limit", async () => {
    const port = await start({ frames: [100, 10_000] })
    const raw = await openRaw(port)
    for (let i = 0; i < 200; i++) raw.send(FRAME_PING, random(8))
    await raw.closed
    expect(raw.goaways).toEqual([{ reason: "limit", text: "too much" }])
  })

  test("a session that keeps breaking rules ends with GOAWAY protocol", async () => {
    const port = await start()
    const raw = await openRaw(port)
    for (let i = 0; i < 40; i++) raw.send(FRAME_RENDEZVOUS, random(30))
    await raw.closed
    expect(raw.goaways[0]?.reason).toBe("protocol")
  })

  test("JSON that is not about key packages is dropped and hurts nobody", async () => {
    const port = await start()
    const raw = await openRaw(port)
    raw.send(FRAME_JSON, utf8Encode('{"t":"av.keyframe","stream_id":"AA=="}'))
    raw.send(FRAME_JSON, utf8Encode('{"t":"room.chat","text":"hi"}'))
    raw.send(FRAME_JSON, utf8Encode("{{{"))
    raw.send(0x99, random(10))
    expect(await register(raw, "tea")).toMatchObject({ kind: "roster" })
    raw.socket.close()
  })

  test("sockets of one visitor and of all are counted", async () => {
    const port = await start({ sessionsPerAddress: 2 })
    const two = await Promise.all([openRaw(port), openRaw(port)])
    const third = new WebSocket(`ws://127.0.0.1:${port}/`)
    const status = await new Promise((resolve) =>
      third.once("unexpected-response", (_, response) => resolve(response.statusCode)),
    )
    expect(status).toBe(429)
    for (const { socket } of two) socket.close()
    await Promise.all(two.map(({ closed }) => closed))
    const again = await openRaw(port)
    expect(again.session.ready).toBe(true)
    again.socket.close()
  })

  test("rooms, people in a room and rooms of a person are bounded, each with its reason", async () => {
    const port = await start({ rooms: 2, peersPerRoom: 2, roomsPerSession: 2 })
    const [ann, bob, cid] = [await openRaw(port), await openRaw(port), await openRaw(port)]
    expect(await register(ann, "one")).toMatchObject({ kind: "roster", registered: 1 })
    expect(await register(bob, "one")).toMatchObject({ kind: "roster", registered: 2 })
    expect(await register(cid, "one")).toMatchObject({ reason: "room-full", targetNode: null, attemptId: 0n })
    expect(await register(ann, "two")).toMatchObject({ kind: "roster" })
    expect(await register(ann, "three")).toMatchObject({ reason: "limit" })
    expect(await register(cid, "three")).toMatchObject({ reason: "limit" })
    expect(await register(cid, "UPPER")).toMatchObject({ reason: "bad-namespace" })
    for (const raw of [ann, bob, cid]) raw.socket.close()
  })

  test("NAT-R5: REGISTER and CONNECT have budgets that say when to come again", async () => {
    const port = await start()
    const [ann, bob] = [await openRaw(port), await openRaw(port)]
    await register(bob, "tea")
    for (let i = 0; i < 16; i++) await register(ann, "tea")
    const over = await register(ann, "tea")
    expect(over).toMatchObject({ kind: "reject", reason: "rate-limited" })
    for (let i = 0n; i < 17n; i++) {
      const description = await describeSession(ann.signer, bob.signer.nodeId, i)
      ann.say({ kind: "connect", targetNode: bob.signer.nodeId, description })
    }
    expect(await ann.take("reject")).toMatchObject({ targetNode: bob.signer.nodeId, attemptId: 16n, reason: "rate-limited" })
    for (const raw of [ann, bob]) raw.socket.close()
  })

  test("descriptions of others, of yesterday or of nothing are refused", async () => {
    const port = await start()
    const [ann, bob] = [await openRaw(port), await openRaw(port)]
    await register(bob, "tea")
    const target = bob.signer.nodeId
    const ask = async (description: Uint8Array, lanes?: Uint8Array) => {
      ann.say({ kind: "connect", targetNode: target, description, ...(lanes && { lanes }) })
      return (await ann.take("reject")).reason
    }
    expect(await ask(await describeSession(ann.signer, target, 1n))).toBe("policy")
    await register(ann, "tea")
    expect(await ask(random(40))).toBe("malformed")
    expect(await ask(await describeSession(await quickSigner(), target, 1n))).toBe("malformed")
    expect(await ask(await describeSession(ann.signer, target, 1n), random(1_025))).toBe("malformed")
    expect(await ask(await describeSession(ann.signer, target, 1n, { issuedMs: 5n }))).toBe("stale")
    for (const raw of [ann, bob]) raw.socket.close()
  })

  test("a reader that takes nothing is cut instead of filling the memory", async () => {
    const port = await start({
      outgoingBytes: 64 * 1024,
      routed: [1e9, 1],
      routedPerSession: 1e9,
      bytes: [1e9, 1],
      frames: [1e6, 1],
    })
    const [ann, bob] = [await openRaw(port), await openRaw(port)]
    await Promise.all([register(ann, "tea"), register(bob, "tea")])
    bob.socket.pause()
    const frame = new Uint8Array(16_000)
    frame[0] = 16
    const view = new DataView(frame.buffer)
    view.setBigUint64(4, BigInt(`0x${ann.signer.nodeId}`), true)
    view.setBigUint64(12, BigInt(`0x${bob.signer.nodeId}`), true)
    await expect
      .poll(
        () => {
          for (let i = 0; i < 50; i++) ann.send(FRAME_ROUTED, frame)
          return server.stats().sessions
        },
        { timeout: 20_000, interval: 20 },
      )
      .toBe(1)
    bob.socket.terminate()
    ann.socket.close()
  })

  test("a handshake that fails gives its place back", async () => {
    const port = await start({ sessions: 1 })
    const socket = connect(port, "127.0.0.1")
    socket.on("error", () => undefined)
    socket.resume()
    socket.write("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: bad\r\n\r\n")
    await new Promise((resolve) => socket.once("close", resolve))
    await expect.poll(() => server.stats().sessions).toBe(0)
    const raw = await openRaw(port)
    expect(raw.session.ready).toBe(true)
    raw.socket.close()
  })

  test("a client that is closed at once never connects", async () => {
    const port = await start()
    const asked: string[] = []
    const openSocket = (url: string) => {
      asked.push(url)
      return new WebSocket(url)
    }
    const { client } = await openClient(port, "tea", { openSocket, signal: AbortSignal.abort() })
    const other = await openClient(port, "tea", { openSocket })
    other.client.close()
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([client.state, other.client.state]).toEqual(["closed", "closed"])
    expect(server.stats().sessions).toBeLessThanOrEqual(1)
    await expect.poll(() => server.stats().sessions).toBe(0)
    await expect(client.getKeyPackage("mk1")).rejects.toMatchObject({ code: "ServerUnreachable" })
  })

  test("an unfinished request does not keep a server that stops", async () => {
    const port = await start()
    const socket = connect(port, "127.0.0.1")
    await new Promise((resolve) => socket.once("connect", resolve))
    socket.on("error", () => undefined)
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n")
    const closed = new Promise((resolve) => socket.once("close", resolve))
    await server.close()
    await closed
  })

  test("the defaults hold what the issue asks for", () => {
    for (const value of Object.values(SERVER_LIMITS)) expect(value).toBeDefined()
    expect(SERVER_LIMITS.attestationMs).toBeLessThanOrEqual(300_000)
    expect(SERVER_LIMITS.routed).toEqual([256 * 1024, 10_000])
    expect(SERVER_LIMITS.routedPerSession).toBe(16 * 1024 * 1024)
  })

  test("nothing a client says to the server holds the invitation", async () => {
    const port = await start()
    const secret = "k=c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I"
    const asked: string[] = []
    const sent: Uint8Array[] = []
    const openSocket = (url: string) => {
      asked.push(url)
      const socket = new WebSocket(url)
      const send = socket.send.bind(socket)
      socket.send = (data: Uint8Array) => {
        sent.push(data)
        send(data)
      }
      return socket
    }
    const url = `ws://127.0.0.1:${port}/?name=Ann#${secret}`
    const { client, registered } = await openClient(port, "tea", { url, openSocket })
    await registered
    client.close()
    expect(asked).toEqual([`ws://127.0.0.1:${port}/`])
    const transcript = Buffer.concat(sent).toString("latin1")
    expect(sent.length).toBeGreaterThan(2)
    for (const word of [secret, secret.slice(2), "Ann"]) expect(transcript).not.toContain(word)
  })
})
