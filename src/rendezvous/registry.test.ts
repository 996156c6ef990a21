import { describe, expect, test } from "vitest"
import { SERVER_LIMITS } from "./limits.ts"
import { isRoomName, Registry } from "./registry.ts"

describe("Registry", () => {
  test("room names are the ones of RM-1", () => {
    const good = ["a", "0", "team.one_two-3", "a".repeat(64)]
    const bad = ["", "-a", ".a", "A", "a b", "a/b", "ä", "a".repeat(65), "a\n"]
    expect(good.every(isRoomName)).toBe(true)
    expect(bad.some(isRoomName)).toBe(false)
  })

  test("the roster lists the latest first and not the asker", () => {
    const registry = new Registry(SERVER_LIMITS)
    for (const [session, node] of ["n1", "n2", "n3"].entries()) registry.register("room", node, session, 0)
    expect(registry.roster("room", "n2")).toEqual({ nodes: ["n3", "n1"], registered: 3 })
  })

  test("the roster is cut at 256 and still counts everybody", () => {
    const registry = new Registry(SERVER_LIMITS)
    for (let i = 0; i < 300; i++) registry.register("room", `n${i}`, i, 0)
    const { nodes, registered } = registry.roster("room", "n0")
    expect([nodes.length, nodes[0], registered]).toEqual([256, "n299", 300])
  })

  test("changes are told together, 250 ms after the first", () => {
    const registry = new Registry(SERVER_LIMITS)
    registry.register("room", "n1", 1, 0)
    registry.register("room", "n2", 2, 100)
    expect(registry.due(249)).toEqual([])
    expect(registry.due(250)).toEqual([{ namespace: "room", joined: ["n1", "n2"], left: [] }])
    registry.unregister("room", "n2", 300)
    expect(registry.due(550)).toEqual([{ namespace: "room", joined: [], left: ["n2"] }])
  })

  test("a lost socket stays for 5 s, and a return within them is not a change", () => {
    const registry = new Registry(SERVER_LIMITS)
    registry.register("room", "n1", 1, 0)
    registry.register("room", "n2", 2, 0)
    registry.due(250)
    registry.socketLost("n2", 2, 1_000)
    expect(registry.due(5_900)).toEqual([])
    registry.register("room", "n2", 3, 5_950)
    expect(registry.due(20_000)).toEqual([])
    registry.socketLost("n2", 3, 20_000)
    registry.due(25_000)
    expect(registry.due(25_250)).toEqual([{ namespace: "room", joined: [], left: ["n2"] }])
  })

  test("the loss of a replaced socket does not end the newer registration", () => {
    const registry = new Registry(SERVER_LIMITS)
    registry.register("room", "n1", 1, 0)
    registry.register("room", "n1", 2, 10)
    registry.socketLost("n1", 1, 20)
    registry.unregisterAll("n1", 1, 20)
    registry.due(60_000)
    expect(registry.sessionsIn("room")).toEqual([{ node: "n1", session: 2 }])
  })

  test("each bound has its name", () => {
    const registry = new Registry({ ...SERVER_LIMITS, rooms: 2, peersPerRoom: 2, roomsPerSession: 1 })
    expect(registry.register("Bad", "n1", 1, 0)).toBe("bad-namespace")
    expect(registry.register("one", "n1", 1, 0)).toBe("ok")
    expect(registry.register("two", "n1", 1, 0)).toBe("limit")
    expect(registry.register("one", "n2", 2, 0)).toBe("ok")
    expect(registry.register("one", "n3", 3, 0)).toBe("room-full")
    expect(registry.register("two", "n3", 3, 0)).toBe("ok")
    expect(registry.register("three", "n4", 4, 0)).toBe("limit")
    registry.unregister("two", "n3", 0)
    expect(registry.rooms).toBe(1)
  })

  test("two nodes share a room or they do not", () => {
    const registry = new Registry(SERVER_LIMITS)
    registry.register("one", "a", 1, 0)
    registry.register("one", "b", 2, 0)
    registry.register("two", "c", 3, 0)
    expect([registry.share("a", "b"), registry.share("a", "c"), registry.share("x", "a")]).toEqual([true, false, false])
  })
})
