/** A stranger makes a page call addresses of its choice: nothing is sent to one that no trusted observer saw the stranger at. */
import { createSocket, type Socket } from "node:dgram"
import { rmSync } from "node:fs"
import { networkInterfaces } from "node:os"
import { type Browser, expect, test } from "@playwright/test"
import { openRaw } from "../server/testing/client.ts"
import { describe as describeSession } from "../server/testing/description.ts"
import { addressRange } from "../src/rendezvous/candidate-filter.ts"
import { type AddressBlock, addressFromText, type CandidateEntry } from "../src/wire/address.ts"
import { buildSite, launch } from "./mesh/crew.ts"
import type {} from "./mesh/ring-page.ts"
import { eventually } from "./observe.ts"

/** Browsers send the first checks within milliseconds, and go on for seconds. */
const LISTEN_MS = 4_000

/** A machine that has asked for nothing. */
class Listener {
  packets = 0
  readonly #sockets: Socket[]
  private constructor(sockets: Socket[]) {
    this.#sockets = sockets
    for (const socket of sockets) socket.on("message", () => (this.packets += 1))
  }

  static async open(): Promise<Listener> {
    const four = createSocket("udp4")
    await new Promise<void>((resolve) => four.bind(0, "0.0.0.0", resolve))
    const { port } = four.address()
    const six = createSocket({ type: "udp6", ipv6Only: true })
    const both = await new Promise<boolean>((resolve) => {
      six.once("error", () => resolve(false))
      six.bind(port, "::", () => resolve(true))
    })
    return new Listener(both ? [four, six] : [four])
  }

  get port(): number {
    return this.#sockets[0]!.address().port
  }

  close(): void {
    for (const socket of this.#sockets) socket.close()
  }
}

/** Addresses of this machine: `private` ones are used between neighbours, of the others nothing is known to the page's server. */
function addressesHere(port: number): { near: AddressBlock[]; foreign: AddressBlock[] } {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
  const blocks = all.flatMap(({ address }) => addressFromText(address, port) ?? [])
  const near = blocks.filter((block) => addressRange(block, true) === "private")
  return { near, foreign: blocks.filter((block) => !near.includes(block) && !isLinkLocal(block)) }
}

const isLinkLocal = ({ family, address: [a, b] }: AddressBlock) => family === 6 && a === 0xfe && ((b ?? 0) & 0xc0) === 0x80
const candidate = (address: AddressBlock): CandidateEntry => ({ address, type: "host", protocol: "udp", priority: 2_113_937_151 })

test("no packet goes to a third party that a stranger names", async () => {
  const folder = await buildSite("e2e/mesh/ring-page.ts")
  const { createRendezvousServer } = (await import(
    new URL("../dist/server/rendezvous.js", import.meta.url).href
  )) as typeof import("../server/rendezvous.ts")
  const server = await createRendezvousServer({ port: 0, host: "127.0.0.1", staticDir: folder, logLevel: "silent" })
  const browser: Browser = await launch()
  const listener = await Listener.open()
  const stranger = await openRaw(server.port)
  try {
    const page = await (await browser.newContext()).newPage()
    await page.goto(`http://localhost:${server.port}/`)
    await page.waitForFunction(() => "ringPage" in globalThis)
    const url = await page.evaluate(() => globalThis.ringPage.newRoom())
    await page.evaluate((to) => globalThis.ringPage.join(to, "victim", 8), url)

    stranger.say({ kind: "register", namespace: "ring" })
    const { attestation } = await stranger.take("attest")
    const { nodes } = await stranger.take("roster")
    const [victim = ""] = nodes
    let attempt = 0n
    /** Calls the page with these addresses, and more of them later, as a true peer would; waits for its answer. */
    const call = async (addresses: AddressBlock[], attested: boolean) => {
      const attemptId = ++attempt
      const description = await describeSession(stranger.signer, victim, attemptId, { candidates: addresses.map(candidate) })
      const evidence = attested ? { attestation } : {}
      stranger.say({ kind: "connect", targetNode: victim, description, ...evidence })
      await stranger.take("answer")
      const trickle = { trickle: true, candidates: addresses.map(candidate) }
      const more = await describeSession(stranger.signer, victim, attemptId, trickle)
      stranger.say({ kind: "candidates", toNode: victim, description: more })
    }
    const { near, foreign } = addressesHere(listener.port)
    expect(near.length).toBeGreaterThan(0)

    // Without evidence, the very addresses that are tried with it.
    await call(near, false)
    await page.waitForTimeout(LISTEN_MS)
    expect(listener.packets).toBe(0)
    // With evidence for other addresses than those named. The machine may have none that are neither private nor attested.
    if (foreign.length > 0) {
      await call(foreign, true)
      await page.waitForTimeout(LISTEN_MS)
      expect(listener.packets).toBe(0)
    }
    // The page does send, and this would hear it: neighbours of one network may name addresses of that network.
    await call(near, true)
    await eventually(
      "the listener hears the page",
      async () => listener.packets,
      (packets) => packets > 0,
      10_000,
    )
    console.log(`  ${near.length} near and ${foreign.length} foreign addresses of this machine were named`)
  } finally {
    stranger.socket.close()
    listener.close()
    await browser.close()
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
