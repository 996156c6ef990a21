import { mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Writable } from "node:stream"
import { pino } from "pino"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { createRendezvousServer, type RendezvousServer } from "./rendezvous.ts"
import { openClient } from "./testing/client.ts"

describe("the HTTP side", () => {
  const folder = mkdtempSync(join(tmpdir(), "holomesh-http-"))
  const site = join(folder, "site")
  let server: RendezvousServer
  let base = ""

  beforeAll(async () => {
    mkdirSync(join(site, "assets"), { recursive: true })
    mkdirSync(join(folder, "site-secret"))
    writeFileSync(join(folder, "site-secret", "key.txt"), "secret")
    writeFileSync(join(folder, "outside.txt"), "secret")
    writeFileSync(join(site, "index.html"), "<!doctype html><title>call</title>")
    writeFileSync(join(site, "assets", "app.js"), "export {}")
    writeFileSync(join(site, "assets", "fast.wasm"), "\0asm")
    writeFileSync(join(site, "gone.txt"), "x")
    writeFileSync(join(site, ".env"), "secret")
    server = await createRendezvousServer({ staticDir: site, logLevel: "silent" })
    base = `http://127.0.0.1:${server.port}`
  })
  afterAll(async () => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test("files come with their type and the fences around the page", async () => {
    const types = { "/": "text/html;charset=utf-8", "/assets/app.js": "text/javascript", "/assets/fast.wasm": "application/wasm" }
    for (const [path, type] of Object.entries(types)) {
      const response = await fetch(base + path)
      expect([response.status, response.headers.get("content-type")]).toEqual([200, type])
      expect(response.headers.get("x-content-type-options")).toBe("nosniff")
      expect(response.headers.get("content-security-policy")).toContain("default-src 'none'")
      expect(response.headers.get("cross-origin-opener-policy")).toBeNull()
    }
  })

  test("nothing outside of the directory, nothing hidden", async () => {
    for (const path of [
      "/../outside.txt",
      "/%2e%2e/outside.txt",
      "/..%2foutside.txt",
      "/../site-secret/key.txt",
      "/.env",
      "/nothing",
    ]) {
      expect([path, await raw(server.port, `GET ${path} HTTP/1.1`)]).toEqual([path, 404])
    }
  })

  test("odd requests are refused and the server lives on", async () => {
    expect((await fetch(base, { method: "POST", body: "x" })).status).toBe(405)
    expect((await fetch(`${base}/assets/app.js`, { headers: { range: "bytes=5-2" } })).status).toBe(200)
    expect(await raw(server.port, "GET /%zz HTTP/1.1")).toBe(404)
    expect(await raw(server.port, "GET //[ HTTP/1.1")).toBe(404)
    unlinkSync(join(site, "gone.txt"))
    await expect(fetch(`${base}/gone.txt`).then((response) => response.text())).rejects.toThrow()
    expect((await fetch(`${base}/healthz`)).status).toBe(200)
  })

  test("/healthz says how it is", async () => {
    const response = await fetch(`${base}/healthz`)
    expect(await response.json()).toEqual({ draining: false, sessions: 0 })
  })

  test("sockets are taken under the configured path only", async () => {
    const other = await createRendezvousServer({ path: "/meet/", logLevel: "silent" })
    const upgrade =
      "HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
    expect(await raw(other.port, `GET / ${upgrade}`)).toBe(404)
    expect(await raw(other.port, `GET /meet/ ${upgrade}`)).toBe(101)
    await other.close()
  })

  test("the log names no room, no address and no key unless told to", async () => {
    const lines: string[] = []
    const sink = new Writable({
      write(chunk, _, done) {
        lines.push(String(chunk))
        done()
      },
    })
    const logged = await createRendezvousServer({ logger: pino({ level: "trace" }, sink) })
    const { client, registered, signer } = await openClient(logged.port, "secret-meeting")
    await registered
    client.close()
    await logged.close()
    const log = lines.join("")
    expect(log).toContain("listening")
    const key = Buffer.from(signer.entityId).toString("hex")
    for (const word of ["secret-meeting", "127.0.0.1", signer.nodeId, key]) expect(log).not.toContain(word)
  })

  test("a link inside the directory leads to a file only if it was there at the start", async () => {
    symlinkSync(join(folder, "outside.txt"), join(site, "late.txt"))
    expect((await fetch(`${base}/late.txt`)).status).toBe(404)
  })
})

/** Status of a request that a browser would clean up before sending. */
function raw(port: number, requestLine: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`${requestLine}\r\nHost: x\r\n\r\n`))
    socket.once("error", reject)
    socket.once("data", (data) => {
      socket.destroy()
      resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(data.toString())?.[1]))
    })
  })
}
