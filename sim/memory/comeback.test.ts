/** Back after three years: by two of the live peers, with a store and with a key alone, over memory and over files; and alone in the world. */
import { beforeAll, expect, test } from "vitest"
import { initFountainFromPackage } from "../../src/fountain/node.ts"
import { comeback, inverse } from "./comeback.ts"
import { buildWorld, type SavedWorld } from "./world.ts"

let world: SavedWorld

beforeAll(async () => {
  await initFountainFromPackage()
  world = await buildWorld(1)
}, 300_000)

test.each([
  { variant: "store", contact: 0, backEnd: "memory", seed: 100 },
  { variant: "key", contact: 0, backEnd: "memory", seed: 100 },
  { variant: "store", contact: 3, backEnd: "node", seed: 103 },
] as const)(
  "$variant, by peer $contact, storage $backEnd",
  async (run) => {
    expect(await comeback(world, run)).toEqual([])
  },
  300_000,
)

test("the only one left: others that trust the root go on from its view", async () => {
  expect(await inverse(world, 1)).toEqual([])
}, 300_000)
