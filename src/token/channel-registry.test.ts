/** Which rules hold for a channel (control-plane 5.2). */
import { describe, expect, test } from "vitest"
import { codeOf } from "../wire/testing.ts"
import { ChannelRegistry } from "./channel-registry.ts"
import { SCOPE } from "./permission-token.ts"
import { ALICE, BOB, grant, Net, registry, rooted } from "./test-channels.ts"

describe("the registry (5.2)", () => {
  test("exact wins, then the longest prefix of whole segments; operators are not overwritten", () => {
    const r = registry({ name: "A/B", priority: 1 }, { name: "a/", priority: 2 }, { name: "a/b/c/", priority: 3 })
    expect(["a/b", "a/x", "a/b/c/d", "a/b/cd", "a", "ab/c"].map((name) => r.lookup(name)?.priority)).toEqual([
      1,
      2,
      3,
      2,
      undefined,
      undefined,
    ])
    expect([r.registerIfAbsent({ name: "a/b", priority: 9 }), r.registerIfAbsent({ name: "n" })]).toEqual([false, true])
    expect(r.lookup("a/b")?.priority).toBe(1)
    r.unregister("A/b")
    expect(r.lookup("a/b")?.priority).toBe(2)
    expect(codeOf(() => r.register({ name: "//" }))).toBe("Malformed")
  })

  test("CHAN-R2: tokens without roots let nobody in, and whoever registers it is warned", async () => {
    const net = new Net()
    const r = new ChannelRegistry()
    expect(r.register({ name: "a", requireToken: true })).toBe("nobody-authorized")
    expect(r.register({ name: "b", ...rooted })).toBeUndefined()
    net.add(ALICE, { registry: r })
    const bob = net.add(BOB)
    await net.act(BOB, bob.subscribe(ALICE.nodeId, "a", { chain: await grant(BOB, SCOPE.SUBSCRIBE) }, net.now))
    expect(net.answers(BOB)).toEqual(["subscribe unauthorized"])
  })
})
