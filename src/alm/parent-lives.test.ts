/** What holds of a subscription whatever its relays do, over random lives of them. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { seeded } from "../wire/seeded.ts"
import { MAX_IN_NEED } from "./parent-slot.ts"
import { ParentWorld, START } from "./test-parents.ts"

/** Random lives: relays die, come back, refuse, get nearer or farther, say that they leave. */
function randomLife(seed: number, ms: number, check: (world: ParentWorld) => void): ParentWorld {
  const random = seeded(seed)
  const names = Array.from({ length: 3 + Math.floor(random() * 8) }, (_, i) => `r${i}`)
  const relays = Object.fromEntries(names.map((name) => [name, { rttMs: 10 + Math.floor(random() * 200) }]))
  const world = new ParentWorld(relays, { random })
  world.run(ms, () => {
    const name = names[Math.floor(random() * names.length)] as string
    const relay = world.relays.get(name)!
    const dice = random()
    if (dice < 0.01) relay.alive = !relay.alive
    else if (dice < 0.015) {
      if (relay.refuses === undefined) relay.refuses = "CapacityExceeded"
      else delete relay.refuses
    } else if (dice < 0.02) relay.rttMs = 10 + Math.floor(random() * 200)
    else if (dice < 0.025) world.do(world.manager.leaving(name, 1_000, world.now))
    else if (dice < 0.03) {
      world.serving.delete(name)
      world.do(world.manager.lost(name, world.now))
    } else if (dice < 0.035) world.do(world.manager.suspect(name, world.now))
    else if (dice < 0.04) world.do(world.manager.setDownstream(random() < 0.5 ? [name] : [], world.now))
    check(world)
  })
  return world
}

describe("whatever happens", () => {
  it("there are never more than eight parents, nor two slots for one", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        randomLife(seed, 60_000, ({ manager }) => {
          const keyIds = manager.parents.map(({ keyId }) => keyId)
          expect(keyIds.length).toBeLessThanOrEqual(MAX_IN_NEED)
          expect(new Set(keyIds).size).toBe(keyIds.length)
        })
      }),
      { numRuns: 25 },
    )
  })

  it("no subscription is left behind at a parent that the manager forgot", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        randomLife(seed, 60_000, ({ manager, serving }) => {
          const keyIds = new Set(manager.parents.map(({ keyId }) => keyId))
          for (const keyId of serving) expect(keyIds.has(keyId)).toBe(true)
        })
      }),
      { numRuns: 25 },
    )
  })

  it("it is fed again soon after somebody can feed it", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const world = randomLife(seed, 40_000, () => {})
        // From here on nothing bad happens, and one relay is good.
        world.do(world.manager.setDownstream([], world.now))
        const good = world.relays.get("r0")!
        good.alive = true
        delete good.refuses
        world.advertise()
        world.run(20_000)
        expect(world.feeding.length).toBeGreaterThan(0)
      }),
      { numRuns: 25 },
    )
  })

  it("the same seed gives the same actions", () => {
    const life = () => JSON.stringify(randomLife(7, 60_000, () => {}).log)
    expect(life()).toBe(life())
  })

  it("in a steady room with noisy round trips nobody moves more often than every 30 s, and only for a gain", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seeded(seed)
        const relays = Object.fromEntries(Array.from({ length: 8 }, (_, i) => [`r${i}`, { rttMs: 50 + 20 * i }]))
        const world = new ParentWorld(relays, { random })
        world.run(180_000, () => {
          if ((world.now - START) % 2_000 !== 0) return
          for (const [i, relay] of [...world.relays.values()].entries()) {
            relay.rttMs = Math.round((50 + 20 * i) * (0.9 + 0.2 * random()))
          }
          world.advertise()
        })
        expect(world.manager.counts.switched).toBe(0)
        expect(world.actions("subscribe").length).toBe(2)
      }),
      { numRuns: 10 },
    )
  })
})
