/** The six scenarios of the conformance contract (control-plane 3.6) between Node peers: real links, a real server, real data channels. */
import { afterAll, beforeAll, describe, test } from "vitest"
import { peerHere } from "../../e2e/contract/peers.ts"
import { type Cast, prepare, SCENARIOS } from "../../e2e/contract/scenarios.ts"
import { NodeRoom } from "./test-room.ts"

/** Links need a second; a busy machine needs more. */
const SLOW_MS = 60_000

describe("conformance contract between Node peers", () => {
  const garden = new NodeRoom("contract")
  let cast: Cast

  beforeAll(async () => {
    const [ada, bob, cleo] = [await garden.join("ada"), await garden.join("bob"), await garden.join("cleo")]
    await garden.linked(3)
    cast = { server: peerHere("ada", ada), friend: peerHere("bob", bob), stranger: peerHere("cleo", cleo) }
    await prepare(cast)
  }, SLOW_MS)
  afterAll(() => garden.close(), SLOW_MS)

  test.each(SCENARIOS)("$name", ({ run }) => run(cast))
})
