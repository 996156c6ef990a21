/**
 * Back after three years: by every live peer, with a store and with a key alone, over memory, files and IndexedDB; alone in the world;
 * and those who must not get in.
 */
import { beforeAll, expect, test } from "vitest"
import { initFountainFromPackage } from "../../src/fountain/node.ts"
import { comeback, inverse, runsOf } from "./comeback.ts"
import { negatives } from "./negatives.ts"
import { buildWorld, type SavedWorld } from "./world.ts"

let world: SavedWorld

beforeAll(async () => {
  await initFountainFromPackage()
  world = await buildWorld(1)
}, 300_000)

test.each([0, 1, 2, 3, 4, 5, 6])(
  "by live peer %i, with a store and with a key alone",
  async (contact) => {
    const runs = runsOf(world, 1).filter((run) => run.contact === contact)
    // Two worlds of their own: one goes on while the other waits for its disk.
    const failures = await Promise.all(runs.map((run) => comeback(world, run)))
    expect(runs.map(({ variant, backEnd }, i) => [variant, backEnd, failures[i]])).toEqual([
      ["store", expect.anything(), []],
      ["key", expect.anything(), []],
    ])
  },
  300_000,
)

test("the only one left: others that trust the root go on from its view", async () => {
  expect(await inverse(world, 1)).toEqual([])
}, 300_000)

test("who shows something else than its own unbroken chain, freshly and with both signatures, is not let in", async () => {
  expect(await negatives(world, 1)).toEqual([])
}, 300_000)
