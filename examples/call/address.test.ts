import { describe, expect, test } from "vitest"
import { lacksSecret, publishes, readAddress, roomNameFrom, suggestRoomName } from "./address.ts"

const PAGE = "https://example.org/"

describe("the page's address", () => {
  test("says who joins what", () => {
    expect(readAddress(`${PAGE}?room=garden&name=Ada&autojoin=1&forward=1#k=abc`)).toEqual({
      room: "garden",
      name: "Ada",
      autojoin: true,
      open: false,
      forward: true,
      mode: "call",
      uplink: undefined,
      fragment: "#k=abc",
    })
  })

  test("a room needs its secret or the word that it is open", () => {
    expect(lacksSecret(readAddress(`${PAGE}?room=garden`))).toBe(true)
    expect(lacksSecret(readAddress(`${PAGE}?room=garden#`))).toBe(true)
    expect(lacksSecret(readAddress(`${PAGE}?room=garden&open=1`))).toBe(false)
    expect(lacksSecret(readAddress(`${PAGE}?room=garden#k=abc`))).toBe(false)
    expect(lacksSecret(readAddress(PAGE))).toBe(false)
  })
})

describe("room names", () => {
  test.each([
    ["Team Standup!", "team-standup"],
    ["  Café  Zürich ", "cafe-zurich"],
    ["--..x", "x"],
    ["a_b.c", "a_b.c"],
    ["!!!", ""],
    ["n".repeat(80), "n".repeat(64)],
  ])("%j becomes %j", (typed, name) => {
    expect(roomNameFrom(typed)).toBe(name)
  })

  test("a suggested name is a room name", () => {
    for (let i = 0; i < 100; i++) expect(suggestRoomName()).toMatch(/^[a-z]+-[a-z]+-[0-9]{2}$/)
  })
})

describe("what a page is here for", () => {
  const link = "https://meet.example/?room=garden&mode=stage&uplink=2.5#k=abc"

  test("stands in the address; anything else is a call", () => {
    expect(readAddress(link)).toMatchObject({ mode: "stage", uplink: 2_500_000 })
    expect(readAddress("https://meet.example/?mode=king&uplink=-1")).toMatchObject({ mode: "call", uplink: undefined })
    expect(readAddress("https://meet.example/?uplink=")).toMatchObject({ uplink: undefined })
  })

  test("only calls and stages open devices", () => {
    expect((["call", "stage", "audience", "relay"] as const).filter((mode) => publishes({ mode }))).toEqual(["call", "stage"])
  })
})
