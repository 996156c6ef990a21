/** A host decides who may hand streams on: a member without the right is not taken for one, and refuses to be; with it all works. */
import { expect, type Page, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { eventually, seenPictures } from "./observe.ts"
import { callPath, onlyFrom, readStats, waitForMembers } from "./room-page.ts"

const ADA = 11
/** Long enough for a subscription to be asked for and answered several times. */
const WITHOUT_MS = 4_000

test("the right to hand streams on comes from the host", async () => {
  const stage: Stage = await setStage()
  try {
    const path = callPath("handing-on-by-right")
    const people: Person[] = []
    for (const [name, code, mode] of [
      ["ada", ADA, ""],
      ["rob", 22, ""],
      ["eve", 37, "&mode=audience"],
    ] as const)
      people.push(await stage.open(name, code, path(name, mode)))
    for (const { page } of people) await waitForMembers(page, 3)
    const [ada, rob, eve] = people.map(({ page }) => page) as [Page, Page, Page]
    const id = (page: Page) => page.evaluate(() => globalThis.holomesh.room?.local.id ?? "")
    const ids = { ada: await id(ada), rob: await id(rob), eve: await id(eve) }
    await eventually(
      "eve sees ada",
      () => seenPictures(eve),
      (seen) => seen.some(({ code }) => code === ADA),
    )

    await ada.evaluate(() => globalThis.holomesh.room?.host.set({ relay: "token" }))
    const setting = (page: Page) => page.evaluate(() => globalThis.holomesh.room?.host.settings.relay)
    for (const page of [rob, eve])
      await eventually(
        "the room asks for the right",
        () => setting(page),
        (relay) => relay === "token",
      )
    await onlyFrom(rob, ids.ada, ids.ada)
    await onlyFrom(eve, ids.ada, ids.rob)
    /** What eve takes of ada's, and from whom. */
    const sources = async () =>
      (await readStats(eve)).receive.filter(({ participant }) => participant === ids.ada).map(({ from }) => from)
    const children = async () => (await readStats(rob)).relay.streams.flatMap(({ children: all }) => all.map(({ peer }) => peer))
    await eve.waitForTimeout(WITHOUT_MS)
    expect(await sources()).not.toContain(ids.rob)
    expect(await children()).not.toContain(ids.eve)
    // What rob publishes itself is not handed on, and goes to everybody as before.
    expect((await readStats(rob)).send.some(({ subscribers }) => subscribers.includes(ids.eve))).toBe(true)

    await ada.evaluate((to) => globalThis.holomesh.room?.host.grant(to, "relay"), ids.rob)
    const rightsOf = (page: Page) => page.evaluate((of) => globalThis.holomesh.room?.host.rightsOf(of), ids.rob)
    for (const page of [rob, eve])
      await eventually(
        "the right is known",
        () => rightsOf(page),
        (rights) => rights?.includes("relay") === true,
      )
    await onlyFrom(eve, ids.ada, ids.rob)
    await eventually(
      "eve takes ada's streams from rob",
      sources,
      (from) => from.length > 0 && from.every((peer) => peer === ids.rob),
      30_000,
    )
    const [before] = (await seenPictures(eve)).filter(({ code }) => code === ADA)
    await eventually(
      "ada's picture moves at eve",
      () => seenPictures(eve),
      (seen) => seen.some(({ code, frame }) => code === ADA && frame !== undefined && frame !== before?.frame),
    )
    expect([await rightsOf(ada), await rightsOf(eve)]).toEqual([["relay"], ["relay"]])

    await ada.evaluate((of) => globalThis.holomesh.room?.host.revoke(of, "relay"), ids.rob)
    await eventually(
      "the right is gone for eve",
      () => rightsOf(eve),
      (rights) => rights?.length === 0,
    )
  } finally {
    await stage.close()
  }
})
