/** A member of a room attacks two others on the wire: each attack is refused by name and counted, and the honest calls go on. */
import { randomBytes } from "node:crypto"
import { rmSync } from "node:fs"
import { type Browser, expect, type Page, test } from "@playwright/test"
import { describe as describeSession } from "../server/testing/description.ts"
import { signerFromSeeds } from "../src/identity/signer.ts"
import type {} from "./attacks/page.ts"
import { addressesHere, candidate, Listener } from "./listener.ts"
import { eventually } from "./observe.ts"
import { buildSite, launch } from "./own-site.ts"
import { serveSite } from "./page-site.ts"

/** Browsers send the first checks within milliseconds. */
const LISTEN_MS = 3_000
/** A message in parts is given up after ten seconds without another part. */
const SLOW_MS = 12_000
const DENIED = 0x0008

test.describe.configure({ mode: "serial" })

test.describe("attacks of a member", () => {
  let folder: string
  let browser: Browser
  let server: { port: number; close(): Promise<void> }
  let ada: Page
  let bob: Page
  let mallory: Page
  let node: { ada: string; bob: string }

  const open = async (name: string, url?: string) => {
    const page = await (await browser.newContext()).newPage()
    await page.goto(`http://localhost:${server.port}/`)
    await page.waitForFunction(() => "attackPage" in globalThis)
    const room = url ?? (await page.evaluate(() => globalThis.attackPage.newRoom()))
    await page.evaluate(([to, own]) => globalThis.attackPage.join(to, own), [room, name] as const)
    return { page, room }
  }
  const stats = (page: Page) => page.evaluate(() => globalThis.attackPage.stats())
  const rejected = async () => (await stats(ada)).control.rejected
  const counted = async (code: string) => (await stats(ada)).stages.control?.[code] ?? 0
  const until = <T>(what: string, read: () => Promise<T>, holds: (value: T) => boolean) => eventually(what, read, holds, 15_000)

  /** Bob's calls to Ada while something is done: some were answered, and every answer was the right one. */
  async function unharmed(work: () => Promise<void>): Promise<void> {
    const before = await bob.evaluate(() => globalThis.attackPage.honesty())
    await work()
    const after = await until(
      "honest calls are answered",
      () => bob.evaluate(() => globalThis.attackPage.honesty()),
      ({ right }) => right > before.right + 5,
    )
    expect(after.wrong).toEqual([])
  }

  test.beforeAll(async () => {
    folder = await buildSite("e2e/attacks/page.ts")
    server = await serveSite(folder)
    browser = await launch()
    const first = await open("ada")
    ada = first.page
    bob = (await open("bob", first.room)).page
    mallory = (await open("mallory", first.room)).page
    for (const page of [ada, bob, mallory]) {
      await until(
        "links to both others",
        () => page.evaluate(() => globalThis.attackPage.linked()),
        (links) => links === 2,
      )
    }
    await ada.evaluate(() => globalThis.attackPage.serve())
    await bob.evaluate(() => globalThis.attackPage.beHonest("ada"))
    await mallory.evaluate(() => globalThis.attackPage.keepBack())
    // The attacker knows a channel from what its own page once sent there.
    for (const name of ["ada", "bob"]) await mallory.evaluate((to) => globalThis.attackPage.call(to, "nothing"), name)
    const [adas, bobs] = await Promise.all([ada, bob].map((page) => page.evaluate(() => globalThis.attackPage.node())))
    node = { ada: adas as string, bob: bobs as string }
  })

  test.afterAll(async () => {
    await browser?.close()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  test("forged node id, foreign signature, replay, rollback, stripped lists", async () => {
    await unharmed(async () => {
      const heard = (least: number) =>
        until(
          `${least} announcements of Bob`,
          () => mallory.evaluate((of) => globalThis.attackPage.remembered(of), node.bob),
          (count) => count >= least,
        )
      const known = await heard(1)
      // Bob closes itself: what it said before was open.
      await bob.evaluate(() => globalThis.attackPage.announce(["closed"], true))
      await heard(known + 1)
      const tags = () => ada.evaluate(() => globalThis.attackPage.tagsOf("bob"))
      await until("Ada knows", tags, (now) => now.includes("closed"))
      expect(await rejected()).toEqual({})
      expect(await mallory.evaluate((of) => globalThis.attackPage.forge(of), node.bob)).toBe(5)
      await until("five refusals", rejected, (now) => Object.values(now).reduce((sum, count) => sum + count, 0) === 5)
      expect(await rejected()).toEqual({ NodeIdMismatch: 1, BadSignature: 2, NotOrigin: 1, StaleVersion: 1 })
      expect(await tags()).toEqual(["closed"])
      expect(await ada.evaluate(() => globalThis.attackPage.mayCall("bob", "anything"))).toBe(false)
    })
  })

  test("calls past the caller's own gate, in all four shapes: 0x0008, and no handler runs", async () => {
    await unharmed(async () => {
      expect(await mallory.evaluate(() => globalThis.attackPage.call("ada", "secret"))).toBe("capability-denied")
      await mallory.evaluate(() => {
        globalThis.attackPage.forgetAnswers()
        globalThis.attackPage.requestAll(1)
      })
      const statuses = () => mallory.evaluate(() => globalThis.attackPage.statuses())
      // Bob offers nothing of the kind and says so: not found.
      await until("eight answers", statuses, ({ length }) => length === 8)
      expect((await statuses()).filter((status) => status === DENIED)).toHaveLength(4)
      expect((await stats(ada)).control.deniedByCalleesGate).toEqual({ secret: 2, down: 1, up: 1, both: 1 })
      expect(await ada.evaluate(() => globalThis.attackPage.invoked())).toBe(0)
      expect(await bob.evaluate(() => globalThis.attackPage.call("ada", "secret"))).toBe("secret")
      expect(await ada.evaluate(() => globalThis.attackPage.invoked())).toBe(1)
    })
  })

  test("an answer from whom nobody asked, and frames of somebody else's call", async () => {
    await unharmed(async () => {
      const call = bob.evaluate(() => globalThis.attackPage.call("ada", "slow"))
      const [callId] = await until(
        "Bob's call is out",
        () => bob.evaluate(() => globalThis.attackPage.callIds("slow")),
        ({ length }) => length === 1,
      )
      await mallory.evaluate((id) => globalThis.attackPage.meddle(id), callId as string)
      await until(
        "Bob counts the foreign answer",
        () => bob.evaluate(() => globalThis.attackPage.wrongPeers("slow")),
        (count) => count === 1,
      )
      expect(await ada.evaluate(() => globalThis.attackPage.finish())).toBe(false)
      expect(await call).toBe("true answer")
    })
  })

  test("somebody else's token, a widened delegation, a revoked generation, data without an opening", async () => {
    await unharmed(async () => {
      const seed = [...randomBytes(32)]
      const entityOf = (page: Page) => page.evaluate(() => globalThis.attackPage.entity())
      const [root, bobs, mallorys] = [await entityOf(ada), await entityOf(bob), await entityOf(mallory)]
      const helper = await mallory.evaluate((of) => globalThis.attackPage.entityOf(of), seed)
      const issue = (to: number[], delegations = 0) =>
        ada.evaluate(([to, n]) => globalThis.attackPage.issue(to, "captions", ["subscribe"], n), [to, delegations] as const)
      const show = (kind: "SUBSCRIBE" | "PUBLISH_OPEN", chain: number[]) =>
        mallory.evaluate(([kind, chain]) => globalThis.attackPage.show(kind, "captions", chain), [kind, chain] as const)
      await ada.evaluate(() => globalThis.attackPage.openChannel("captions"))

      const forBob = await issue(bobs)
      // Bob has not opened this channel: it does not exist there.
      const both = ["unauthorized", "unknown-channel"]
      expect((await show("SUBSCRIBE", forBob)).sort()).toEqual(both)
      const narrow = await issue(helper, 1)
      const wide = await mallory.evaluate(([chain, of]) => globalThis.attackPage.widen(chain, of), [narrow, seed] as const)
      expect((await show("PUBLISH_OPEN", wide)).sort()[0]).toBe("unauthorized")
      const mine = await issue(mallorys)
      expect((await show("SUBSCRIBE", mine)).sort()).toEqual(["ok", "unknown-channel"])
      await ada.evaluate(() => globalThis.attackPage.revokeAll())
      expect((await show("SUBSCRIBE", mine)).sort()).toEqual(both)
      expect((await stats(ada)).control.tokensDroppedByGeneration).toBeGreaterThan(0)
      await mallory.evaluate(() => globalThis.attackPage.speakUnasked())
      await until(
        "the data is counted",
        () => stats(ada),
        ({ control }) => control.dropped.unboundData === 1,
      )

      const again = await issue(bobs)
      await bob.evaluate(([root, token]) => globalThis.attackPage.listen("captions", root, token), [root, again] as const)
      await ada.evaluate(() => globalThis.attackPage.openChannel("captions"))
      const heard = () => bob.evaluate(() => globalThis.attackPage.heard())
      await until(
        "Bob hears Ada",
        async () => {
          await ada.evaluate(() => globalThis.attackPage.publish("captions", "good morning"))
          return heard()
        },
        ({ length }) => length > 0,
      )
      expect(new Set(await heard())).toEqual(new Set(["good morning"]))
      expect(await mallory.evaluate(() => globalThis.attackPage.heard())).toEqual([])
    })
  })

  test("NAT-R4, NAT-R13: introductions that nobody asked for, with the addresses of a third party: nothing is sent there", async () => {
    const listener = await Listener.open()
    try {
      await unharmed(async () => {
        const nobody = await signerFromSeeds(new Uint8Array(randomBytes(32)))
        const { near, foreign } = addressesHere(listener.port)
        const candidates = [...near, ...foreign].slice(0, 8).map(candidate)
        expect(candidates.length).toBeGreaterThan(0)
        const descriptions: number[][] = []
        for (let attempt = 1n; attempt <= 6n; attempt++) {
          descriptions.push([...(await describeSession(nobody, node.ada, attempt, { candidates }))])
        }
        const before = await counted("LimitExceeded")
        await mallory.evaluate(([from, these]) => globalThis.attackPage.introduce(from, these), [
          nobody.nodeId,
          descriptions,
        ] as const)
        const answers = () => mallory.evaluate(() => globalThis.attackPage.introductions())
        // Bob, to whom they are not even addressed, counts them the same way.
        await until("the budgets have ended", answers, (all) => all.filter((reason) => reason === "rate-limited").length === 4)
        await ada.waitForTimeout(LISTEN_MS)
        expect(listener.packets).toBe(0)
        expect((await counted("LimitExceeded")) - before).toBe(2)
      })
    } finally {
      listener.close()
    }
  })

  test("floods of announcements and of requests end in budgets", async () => {
    await unharmed(async () => {
      const before = await rejected()
      await mallory.evaluate(() => globalThis.attackPage.flood(400))
      const more = async () => {
        const now = await rejected()
        const risen = (code: string) => (now[code] ?? 0) - (before[code] ?? 0)
        return { bad: risen("BadSignature"), limited: risen("NeighbourRateLimited") }
      }
      await until("all are counted", more, ({ bad, limited }) => bad + limited === 400)
      expect((await more()).limited).toBeGreaterThan(50)
      const denied = async () => {
        const { secret = 0, down = 0, up = 0, both = 0 } = (await stats(ada)).control.deniedByCalleesGate
        return secret + down + up + both
      }
      const deniedBefore = await denied()
      await mallory.evaluate(() => {
        globalThis.attackPage.forgetAnswers()
        globalThis.attackPage.requestAll(50)
      })
      await until("all are refused", denied, (count) => count - deniedBefore === 200)
      const answered = (await mallory.evaluate(() => globalThis.attackPage.statuses())).filter((status) => status === DENIED)
      expect(answered.length).toBeLessThanOrEqual(64)
    })
  })

  test("messages that are too large, and messages that never end", async () => {
    await unharmed(async () => {
      const before = { fragments: await counted("FragmentInvalid"), frames: await counted("FrameInvalid") }
      await mallory.evaluate(() => {
        globalThis.attackPage.forgetAnswers()
        globalThis.attackPage.oversize(20)
      })
      // Sixteen may be under way; one cannot be; the longest frame is longer than a frame.
      await until(
        "five are refused at once",
        () => counted("FragmentInvalid"),
        (now) => now - before.fragments === 5,
      )
      await until(
        "so is the frame",
        () => counted("FrameInvalid"),
        (now) => now - before.frames === 1,
      )
      await until(
        "the body that is not there is answered",
        () => mallory.evaluate(() => globalThis.attackPage.statuses()),
        (statuses) => statuses.includes(0x0007),
      )
      await ada.waitForTimeout(SLOW_MS)
      expect((await counted("FragmentInvalid")) - before.fragments).toBe(21)
    })
    // After all of it the attacker is still a member like any other.
    expect(await mallory.evaluate(() => globalThis.attackPage.call("ada", "echo"))).toBe("x")
  })
})
