/** Three browser processes in one room: each sees and hears both others, and goes on through joins, leaves and a dead server. */
import { expect, test } from "@playwright/test"
import type { RoomStats } from "../src/room/types.ts"
import { type Person, type Stage, setStage, toneOf } from "./browsers.ts"
import { eventually, heardTones, seenPictures, watchFrames } from "./observe.ts"
import { callPath, leaveRoom, readStats, sendChat, waitForMembers } from "./room-page.ts"

const CODES = { ada: 11, bob: 22, cleo: 37, dan: 44 }

test.describe.configure({ mode: "serial" })

test.describe("a call of three", () => {
  let stage: Stage
  const path = callPath("team-standup")
  const people: Record<string, Person> = {}

  test.beforeAll(async () => {
    stage = await setStage()
    for (const [name, code] of Object.entries(CODES).slice(0, 3)) people[name] = await stage.open(name, code, path(name))
  })
  test.afterAll(async () => stage.close())

  test("everybody sees the moving picture of both others", async () => {
    for (const [name, person] of Object.entries(people)) {
      const others = Object.entries(CODES)
        .filter(([other]) => other !== name && other in people)
        .map(([, code]) => code)
      const first = await eventually(
        `${name} sees ${others}`,
        () => seenPictures(person.page),
        (seen) => others.every((code) => seen.some((tile) => tile.code === code && tile.frame !== undefined)),
      )
      await eventually(
        `the pictures at ${name} move`,
        () => seenPictures(person.page),
        (seen) =>
          others.every((code) => {
            const before = first.find((tile) => tile.code === code)
            const now = seen.find((tile) => tile.code === code)
            return now?.frame !== undefined && now.frame !== before?.frame
          }),
      )
    }
  })

  test("everybody hears the tone of both others", async () => {
    const hears = (name: string, person: Person) => {
      const others = Object.entries(CODES).filter(([other]) => other !== name && other in people)
      return eventually(
        `${name} hears ${others.map(([, code]) => toneOf(code))} Hz`,
        () => heardTones(person.page),
        (heard) => others.every(([, code]) => heard.some((tone) => Math.abs(tone.hertz - toneOf(code)) < 25 && tone.level > -60)),
      )
    }
    await Promise.all(Object.entries(people).map(([name, person]) => hears(name, person)))
  })

  test("media travels on its own lanes, straight into the worker, and is sealed with one epoch key", async () => {
    const all = () => Promise.all(Object.values(people).map((person) => readStats(person.page)))
    const rolesOf = (links: RoomStats["links"]) =>
      links.filter(({ kind }) => kind === "direct").map(({ lanes }) => [...new Set(lanes.map(({ role }) => role))].sort().join())
    // A member may just be renewing its leaf, and what came first may have come over the server: all agree a moment later.
    await eventually(
      "one epoch and one code everywhere, and lanes for control, sound and picture on two direct links",
      async () => (await all()).map(({ room, links }) => [`${room.epoch} ${room.code}`, ...rolesOf(links)]),
      (seen) =>
        new Set(seen.map(([epoch]) => epoch)).size === 1 &&
        seen.every(([, ...roles]) => roles.length === 2 && roles.every((each) => /audio.*control.*video/.test(each))),
    )
    for (const stats of await all()) {
      expect(stats.room.members).toBe(3)
      expect(stats.links.filter((link) => link.kind === "direct")).toHaveLength(2)
      for (const link of stats.links.filter((entry) => entry.kind === "direct")) {
        const media = link.lanes.filter((lane) => lane.role !== "control")
        expect(media.every((lane) => lane.path === "transferred")).toBe(true)
        expect(media.some((lane) => lane.receivedMessages > 0)).toBe(true)
      }
    }
  })

  test("a member joins and another leaves: the rest plays on", async () => {
    const { ada, bob, cleo } = people as { ada: Person; bob: Person; cleo: Person }
    const before = (await readStats(ada.page)).room.epoch
    // The browser of the newcomer is up before: what is measured is the join, not the start of another Chromium on the same cores.
    const dan = await stage.open("dan", CODES.dan, "/script-tag/")
    const watches = await Promise.all([watchFrames(ada.page, CODES.bob), watchFrames(bob.page, CODES.ada)])
    await dan.page.goto(stage.url + path("dan"))
    await eventually(
      "ada sees dan",
      () => seenPictures(ada.page),
      (seen) => seen.some((tile) => tile.code === CODES.dan),
    )
    await leaveRoom(cleo.page)
    await waitForMembers(ada.page, 3)
    await waitForMembers(dan.page, 3)
    await eventually(
      "ada sees bob and dan only",
      () => seenPictures(ada.page),
      (seen) => seen.length === 2 && seen.every((tile) => tile.code === CODES.bob || tile.code === CODES.dan),
    )
    await ada.page.waitForTimeout(1_000)
    const gaps = (await Promise.all(watches.map((watch) => watch.longestGapMs()))).map(Math.round)
    const epochs = (await readStats(ada.page)).room.epoch - before
    test.info().annotations.push({
      type: "longest gap between rendered frames",
      description: `${gaps.join(" ms, ")} ms over ${epochs} epochs`,
    })
    console.log(`longest gap between rendered frames through ${epochs} epoch changes: ${gaps.join(" ms, ")} ms`)
    expect(epochs).toBeGreaterThanOrEqual(2)
    for (const [person, other] of [
      [ada, CODES.bob],
      [bob, CODES.ada],
    ] as const) {
      const [first] = (await seenPictures(person.page)).filter((tile) => tile.code === other)
      await eventually(
        "the picture still moves",
        () => seenPictures(person.page),
        (seen) => seen.some((tile) => tile.code === other && tile.frame !== undefined && tile.frame !== first?.frame),
      )
    }
    people.cleo = dan
  })

  test("the server is killed: pictures, sound and chat go on", async () => {
    const { ada, bob } = people as { ada: Person; bob: Person }
    await stage.server.close()
    await eventually(
      "ada knows that the server is gone",
      () => readStats(ada.page),
      (stats) => !stats.room.serverConnected,
    )
    const [first] = (await seenPictures(ada.page)).filter((tile) => tile.code === CODES.bob)
    await ada.page.waitForTimeout(3_000)
    await eventually(
      "bob's picture moves at ada's",
      () => seenPictures(ada.page),
      (seen) => seen.some((tile) => tile.code === CODES.bob && tile.frame !== undefined && tile.frame !== first?.frame),
    )
    await eventually(
      "ada hears bob",
      () => heardTones(ada.page),
      (heard) => heard.some((tone) => Math.abs(tone.hertz - toneOf(CODES.bob)) < 25 && tone.level > -60),
    )
    await sendChat(ada.page, "still here without a server")
    await expect(bob.page.getByText("still here without a server")).toBeAttached()
    await stage.server.restart()
    await eventually(
      "ada registers again",
      () => readStats(ada.page),
      (stats) => stats.room.serverConnected,
      60_000,
    )
  })

  test("no page reported an error", () => {
    for (const person of Object.values(people)) {
      expect(person.errors.filter((line) => !/WebSocket connection to|ERR_CONNECTION_REFUSED/.test(line))).toEqual([])
    }
  })
})
