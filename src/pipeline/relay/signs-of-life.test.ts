import { expect, test } from "vitest"
import { Inbound } from "../mesh/hop/inbound.ts"
import type { MeshLink } from "../mesh/hop/link.ts"
import { streamKeyOf } from "../mesh/stream-key.ts"
import type { MeshEvent } from "../mesh/types.ts"
import { SignsOfLife } from "./signs-of-life.ts"

const streamId = new Uint8Array(32).fill(7)
const streamKey = streamKeyOf(streamId)
const opener = { open: async () => ({ kind: "dropped", error: "UnknownStream" }) as const }

function scene() {
  const events: MeshEvent[] = []
  const clock = { now: 0 }
  const life = new SignsOfLife({ now: () => clock.now, emit: (event) => void events.push(event) })
  const inbound = new Inbound({ chunk: async () => {}, heard: () => {} }, () => clock.now)
  const add = (id: string, peer: string) => {
    inbound.add(streamId, { id } as MeshLink, peer, opener)
    return inbound.of(streamKey).find(({ link }) => link.id === id)!
  }
  const silences = () => events.flatMap((event) => (event.type === "stream-silent" ? [event.from] : []))
  /** Time passes; these are heard all the while. */
  const run = (ms: number, heard: ReturnType<typeof add>[]) => {
    for (const end = clock.now + ms; clock.now < end; ) {
      clock.now += 100
      for (const inflow of heard) {
        inflow.heardAt = clock.now
        life.heard(inflow)
      }
      life.tick(clock.now, inbound)
    }
  }
  return { inbound, add, silences, run }
}

test("a parent that falls silent is told of, every 2 s", () => {
  const { add, silences, run } = scene()
  const [ann, bob] = [add("a", "ann"), add("b", "bob")]
  run(1_000, [ann, bob])
  run(6_000, [bob])
  expect(silences()).toEqual(["ann", "ann", "ann"])
})

test("a link that another one to the same parent has replaced is not, and is forgotten", () => {
  const { inbound, add, silences, run } = scene()
  const old = add("a", "ann")
  run(1_000, [old])
  const fresh = add("a2", "ann")
  run(6_000, [fresh])
  expect(silences()).toEqual([])
  expect(inbound.of(streamKey)).toEqual([fresh])
})

test("while nothing came over the new link the old one stays", () => {
  const { inbound, add, silences, run } = scene()
  const old = add("a", "ann")
  run(1_000, [old])
  add("a2", "ann")
  run(2_000, [])
  expect(inbound.of(streamKey)).toHaveLength(2)
  expect(new Set(silences())).toEqual(new Set(["ann"]))
})
