/** A stranger makes a page call addresses of its choice: nothing is sent to one that no trusted observer saw the stranger at. */
import { rmSync } from "node:fs"
import { type Browser, expect, test } from "@playwright/test"
import { openRaw } from "../server/testing/client.ts"
import { describe as describeSession } from "../server/testing/description.ts"
import type { AddressBlock } from "../src/wire/address.ts"
import { addressesHere, candidate, Listener } from "./listener.ts"
import type {} from "./mesh/ring-page.ts"
import { eventually } from "./observe.ts"
import { buildSite, launch } from "./own-site.ts"
import { serveSite } from "./page-site.ts"

/** Browsers send the first checks within milliseconds, and go on for seconds. */
const LISTEN_MS = 4_000

test("NAT-R4, NAT-R13: no packet goes to a third party that a stranger names", async () => {
  const folder = await buildSite("e2e/mesh/ring-page.ts")
  const server = await serveSite(folder)
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
