/** The one-file build: two pages with nothing but a script tag call each other. */
import { test } from "@playwright/test"
import { type Stage, setStage, toneOf } from "./browsers.ts"
import { eventually, heardTones, seenPictures } from "./observe.ts"
import { callPath, inRoom } from "./room-page.ts"

test.describe("script tag", () => {
  let stage: Stage
  test.beforeAll(async () => {
    stage = await setStage()
  })
  test.afterAll(async () => stage.close())

  test("two pages see and hear each other", async () => {
    const path = callPath("one-file", "/script-tag/")
    const ada = await stage.open("ada", 71, path("ada"))
    await inRoom(ada.page)
    const bob = await stage.open("bob", 82, path("bob"))
    for (const [person, code] of [
      [ada, 82],
      [bob, 71],
    ] as const) {
      await eventually(
        `${person.name} sees ${code}`,
        () => seenPictures(person.page),
        (seen) => seen.some((tile) => tile.code === code),
      )
      await eventually(
        `${person.name} hears ${toneOf(code)} Hz`,
        () => heardTones(person.page),
        (heard) => heard.some((tone) => Math.abs(tone.hertz - toneOf(code)) < 25 && tone.level > -60),
      )
    }
  })
})
