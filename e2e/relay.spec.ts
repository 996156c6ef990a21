/** Three pages: one publishes, one hands on, one may not take anything from the publisher and sees it all the same. */
import { expect, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { takeOver } from "./handed-on.ts"
import { eventually, seenPictures, watchFrames } from "./observe.ts"
import { callPath, leaveRoom, onlyFrom, readStats, waitForMembers } from "./room-page.ts"

const ADA = 11
const ROB = 22
const EVE = 37

test.describe.configure({ mode: "serial" })

test.describe("a stream that is handed on", () => {
  let stage: Stage
  let ada: Person
  let rob: Person
  let eve: Person
  const ids: Record<string, string> = {}
  const path = callPath("handing-on")

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", ADA, path("ada"))
    rob = await stage.open("rob", ROB, path("rob"))
    eve = await stage.open("eve", EVE, path("eve", "&mode=audience"))
    for (const person of [ada, rob, eve]) {
      await waitForMembers(person.page, 3)
      ids[person.name] = await person.page.evaluate(() => globalThis.holomesh.room?.local.id ?? "")
    }
  })
  test.afterAll(async () => stage.close())

  test("is shown and heard at a viewer that takes nothing from the publisher", async () => {
    // Left to itself rob would take a second copy from eve.
    await onlyFrom(rob.page, ids.ada!, ids.ada!)
    const { watch, received } = await takeOver(eve, ada, { viewer: ids.eve!, publisher: ids.ada!, over: ids.rob! })
    expect(received.length).toBeGreaterThanOrEqual(2)
    expect(received.map(({ from }) => from)).toEqual(received.map(() => ids.rob))
    const { relay } = await readStats(rob.page)
    expect(relay.streams.flatMap(({ children }) => children.map(({ peer }) => peer))).toEqual(
      expect.arrayContaining([ids.eve, ids.eve]),
    )
    const handed = relay.streams.filter(({ subscription }) => subscription?.startsWith(`${ids.ada}/`))
    expect(handed.length).toBeGreaterThanOrEqual(2)
    expect(handed.every(({ from }) => from.join() === ids.ada)).toBe(true)
    const picture = received.find(({ kind }) => kind === "video")!
    report(`through a relay: ${picture.frameRate} pictures a second, longest gap ${Math.round(await watch.longestGapMs())} ms`)
  })

  test("goes on when the relay leaves: the viewer has moved before", async () => {
    const watch = await watchFrames(eve.page, ADA)
    await leaveRoom(rob.page)
    await waitForMembers(eve.page, 2)
    await eventually(
      "eve takes ada's streams from ada",
      () => readStats(eve.page),
      ({ receive }) => receive.filter(({ participant }) => participant === ids.ada).every(({ from }) => from === ids.ada),
    )
    await eve.page.waitForTimeout(1_500)
    const gap = Math.round(await watch.longestGapMs())
    report(`relay left: longest gap between rendered pictures ${gap} ms`)
    const [before] = (await seenPictures(eve.page)).filter(({ code }) => code === ADA)
    await eventually(
      "ada's picture still moves at eve",
      () => seenPictures(eve.page),
      (seen) => seen.some(({ code, frame }) => code === ADA && frame !== undefined && frame !== before?.frame),
    )
  })
})

function report(line: string): void {
  test.info().annotations.push({ type: "measured", description: line })
  console.log(line)
}
