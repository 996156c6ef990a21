/** The planned tree as the choice of parents uses it (D-44): nobody can be fed by somebody it feeds. */
import fc from "fast-check"
import { expect, it } from "vitest"
import { mayFeed } from "../../alm/tree-candidates.ts"
import type { TreeView } from "../../alm/types.ts"
import { roomCapacityId } from "../../identity/capacity.ts"
import { RoomPlan, type TreeOfReceiver } from "./room-plan.ts"
import { ad, STREAM } from "./testing.ts"

const ROOM = new Uint8Array(32).fill(3)
const NOW = 1_700_000_000_500

it("leaves no way for a cycle, whichever of the allowed parents everybody takes", () => {
  const subscribers = fc.array(fc.constantFrom(0, 0, 1, 2, 5), { minLength: 2, maxLength: 14 })
  fc.assert(
    fc.property(subscribers, (limits) => {
      const ids = limits.map((_, i) => `${["mk", "é", "～", "😀"][i % 4]}${i}`)
      const plan = new RoomPlan()
      const view = () => ({
        roomId: ROOM,
        members: ids.map((keyId, i) => ({ keyId, nodeId: (i + 1).toString(16).padStart(16, "0"), links: [] })),
        relays: [],
        ads: ids
          .filter((_, i) => i === 0 || limits[i]! > 0)
          .map((id) => ad(id, { subscribers: limits[ids.indexOf(id)]! + 1, streamId: roomCapacityId(ROOM), measuredAt: NOW })),
      })
      plan.update(view, NOW)
      plan.update(view, NOW + 2_000)
      const options = { streamId: STREAM, sourcePeerId: ids[0]! }
      const trees = ids.map((id): TreeOfReceiver & TreeView => plan.treeFor(id, options)!)
      const tree = plan.tree(options)!
      const feeders = new Map(ids.map((me, i) => [me, ids.filter((other) => mayFeed(trees[i]!, me, other))]))
      for (const me of ids) {
        const parent = tree.parentOf(me)
        if (parent !== undefined) expect(feeders.get(me)).toContain(parent)
        for (const below of tree.descendantsOf(me)) expect(feeders.get(me)).not.toContain(below)
        // Upwards along every allowed edge: nobody comes back to itself.
        const above = new Set(feeders.get(me))
        for (const peer of above) for (const next of feeders.get(peer)!) above.add(next)
        expect(above.has(me)).toBe(false)
      }
    }),
    { numRuns: 300 },
  )
})
