/** What NAT a page is behind: found out with STUN servers of this machine, announced to a Node peer, and taken back with the network. */
import { createSocket } from "node:dgram"
import { rmSync } from "node:fs"
import { type Browser, expect, type Page, test } from "@playwright/test"
import { addressFromText } from "../src/wire/address.ts"
import { decodeBindingRequest, encodeBindingResponse } from "../src/wire/stun.ts"
import { firefoxMissing, openFirefox } from "./firefox.ts"
import type {} from "./nat/page.ts"
import { eventually } from "./observe.ts"
import { buildSite, launch } from "./own-site.ts"
import { serveSite } from "./page-site.ts"

type NodeEntry = typeof import("../src/node/index.ts")

const nodeEntry = () => import(new URL("../dist/server/node.js", import.meta.url).href) as Promise<NodeEntry>

/** A mapping as of a router. */
const OUTSIDE = { host: "8.8.4.4", port: 50_000 }

/** A STUN server that sees everybody at one place behind a NAT; without a place it is silent. */
async function standIn(host: string, seenAt?: { host: string; port: number }) {
  const socket = createSocket("udp4")
  let heard = 0
  socket.on("message", (bytes, { address, port }) => {
    const request = decodeBindingRequest(new Uint8Array(bytes))
    if (request === undefined) return
    heard++
    if (seenAt === undefined) return
    const mapped = addressFromText(seenAt.host, seenAt.port)!
    socket.send(encodeBindingResponse({ transaction: request.transaction, mapped }), port, address)
  })
  await new Promise<void>((resolve) => socket.bind(0, host, resolve))
  return { url: `stun:${host}:${socket.address().port}`, heard: () => heard, close: () => socket.close() }
}

test.describe("the NAT class of a page", () => {
  let folder: string
  let browser: Browser
  const closing: (() => unknown)[] = []

  test.beforeAll(async () => {
    folder = await buildSite("e2e/nat/page.ts")
    browser = await launch()
  })
  test.afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  test.afterAll(async () => {
    await browser.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** A page of the browser that all tests share. */
  async function inChromium(url: string): Promise<Page> {
    const context = await browser.newContext()
    closing.push(() => context.close())
    const page = await context.newPage()
    await page.goto(url)
    return page
  }

  /** A server, a page and a Node peer; the page joins when it is told to. */
  async function stage(room: string, stun: string[], open = inChromium) {
    const { createInvitation, joinRoom } = await nodeEntry()
    const server = await serveSite(folder, { stun: stun.map((host) => ({ host, port: 0 })) })
    closing.push(() => server.close())
    const { url } = createInvitation(`ws://127.0.0.1:${server.port}`, room)
    const node = await joinRoom(url, { name: "nora", bindAddress: "127.0.0.1" })
    closing.push(() => node.leave())
    const page = await open(`http://localhost:${server.port}/`)
    await page.waitForFunction(() => "natPage" in globalThis)
    const join = (urls: string[] = []) =>
      page.evaluate(({ to, urls }) => globalThis.natPage.join(to, "ada", urls), { to: url, urls })
    const announced = (id: string) => (node.capabilities.of(id)?.tags ?? []).filter((tag) => tag.startsWith("nat:")).join()
    return { server, node, page, join, announced }
  }
  const natOf = (page: Page) => page.evaluate(() => globalThis.natPage.nat())

  test("is found out with the server's two observers, which say what they saw", async () => {
    const { server, node, page, join, announced } = await stage("observed", ["127.0.0.1", "127.0.0.2"])
    const ada = await join()
    await eventually(
      "the page is a cone",
      () => natOf(page),
      ({ class: nat }) => nat === "cone",
    )
    await eventually(
      "nora hears it",
      async () => announced(ada),
      (tag) => tag === "nat:cone",
    )
    await eventually(
      "the page hears that nora is open",
      () => page.evaluate((id) => globalThis.natPage.tagsOf(id), node.local.id),
      (tags) => tags.includes("nat:open"),
    )
    const nat = await natOf(page)
    expect(nat).toMatchObject({ servers: 2, sweeps: 1, conclusive: 1, observations: 2 })
    const report = await page.evaluate(() => globalThis.natPage.diagnostics())
    expect(report).toContain('"class": "cone"')
    expect(report).not.toContain(nat.reflex)
    expect(server.stats()).toMatchObject({ dialBacks: 1, drops: {} })

    // Another network: nothing is known any more, until the next look ten seconds after the first.
    await page.evaluate(() => globalThis.natPage.changeNetwork())
    expect((await natOf(page)).class).toBe("unknown")
    await eventually(
      "nora hears that too",
      async () => announced(ada),
      (tag) => tag === "",
    )
    await eventually(
      "and the next look",
      async () => announced(ada),
      (tag) => tag === "nat:cone",
      30_000,
    )
    expect((await natOf(page)).sweeps).toBe(2)
  })

  for (const [nat, ports] of [
    ["cone", [50_000, 50_000]],
    ["symmetric", [50_000, 50_001]],
  ] as const) {
    test(`is found out with two STUN servers of the application: ${nat}`, async () => {
      const servers = [
        await standIn("127.0.0.11", { host: "8.8.4.4", port: ports[0] }),
        await standIn("127.0.0.12", { host: "8.8.4.4", port: ports[1] }),
      ]
      closing.push(...servers.map(({ close }) => close))
      const { page, join, announced } = await stage(nat, [])
      const ada = await join(servers.map(({ url }) => url))
      const found = await eventually(
        "the page knows",
        () => natOf(page),
        ({ conclusive }) => conclusive > 0,
      )
      expect(found).toMatchObject({ class: nat, servers: 2 })
      expect(found.reflex).toMatch(/^8\.8\.4\.4:5000[01]$/)
      await eventually(
        "nora hears it",
        async () => announced(ada),
        (tag) => tag === `nat:${nat}`,
      )
    })
  }

  test("is found out in Firefox too", async () => {
    const missing = firefoxMissing()
    test.skip(missing !== undefined, missing)
    const servers = [await standIn("127.0.0.11", OUTSIDE), await standIn("127.0.0.12", OUTSIDE)]
    closing.push(...servers.map(({ close }) => close))
    const { page, join, announced } = await stage("firefox", [], async (url) => {
      const firefox = await openFirefox(url)
      closing.push(() => firefox.browser.close())
      return firefox.page
    })
    const ada = await join(servers.map(({ url }) => url))
    await eventually(
      "nora hears it",
      async () => announced(ada),
      (tag) => tag === "nat:cone",
    )
    expect(await natOf(page)).toMatchObject({ class: "cone", reflex: "8.8.4.4:50000" })
  })

  test("stays unknown when one of two is silent, and nobody is asked where there is one", async () => {
    const servers = [await standIn("127.0.0.11", OUTSIDE), await standIn("127.0.0.12")]
    closing.push(...servers.map(({ close }) => close))
    const { page, join, announced } = await stage("silent", [])
    const ada = await join(servers.map(({ url }) => url))
    expect(await page.evaluate(() => globalThis.natPage.reclassify())).toMatchObject({
      class: "unknown",
      conclusive: 0,
    })
    expect(servers[1]!.heard()).toBeGreaterThan(0)
    expect(announced(ada)).toBe("")
    const alone = await stage("alone", ["127.0.0.1"])
    await alone.join()
    expect(await alone.page.evaluate(() => globalThis.natPage.reclassify())).toMatchObject({
      class: "unknown",
      servers: 1,
      sweeps: 0,
    })
  })
})
