/** A proxy that nobody named costs people their direct links: the log says so, once. */
import { once } from "node:events"
import { Writable } from "node:stream"
import pino from "pino"
import { expect, test } from "vitest"
import { WebSocket } from "ws"
import { createRendezvousServer } from "./rendezvous.ts"

/** What the server logs while two visitors come through a proxy on this machine. */
async function logOf(trustedProxies: readonly string[]): Promise<string[]> {
  const lines: string[] = []
  const sink = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const server = await createRendezvousServer({ logger: pino({ level: "warn" }, sink), trustedProxies })
  try {
    for (const visitor of ["198.51.100.1", "198.51.100.2"]) {
      const socket = new WebSocket(`ws://127.0.0.1:${server.port}/`, { headers: { "x-forwarded-for": visitor } })
      await once(socket, "open")
      socket.terminate()
    }
  } finally {
    await server.close()
  }
  return lines.filter((line) => line.includes("X-Forwarded-For"))
}

test("a proxy that is not trusted is told of once, a trusted one never", async () => {
  expect(await logOf([])).toHaveLength(1)
  expect(await logOf(["127.0.0.1"])).toEqual([])
})
