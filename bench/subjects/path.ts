/** One frame through all the sealing of a call with a relay: publisher, relay, receiver. No network. */
import { secureRandom } from "../../src/crypto/index.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type Effort, round, takeTurns } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"
import { Hop, openFrame, openInnerChunk, Publisher } from "./hop.ts"

const PARTS = 4
const PART_BYTES = 16 * 1024

async function measure(effort: Effort): Promise<BenchRow[]> {
  const parts = Array.from({ length: PARTS }, () => secureRandom(PART_BYTES))
  const publisher = new Publisher()
  const [first, second] = await Promise.all([Hop.create(), Hop.create()])
  const [relay, receiver] = await Promise.all([first.opener(), second.opener()])
  const subscriber = publisher.opener()
  const direct = async (part: Bytes) => {
    const frame = await first.sealer.seal(await publisher.seal(part))
    return openInnerChunk(subscriber, await openFrame(relay, frame))
  }
  const relayed = async (part: Bytes) => {
    const frame = await first.sealer.seal(await publisher.seal(part))
    const onward = await second.sealer.seal(await openFrame(relay, frame))
    return openInnerChunk(subscriber, await openFrame(receiver, onward))
  }
  const times = await takeTurns(effort.rounds * 3, {
    direct: () => Promise.all(parts.map(direct)),
    relayed: () => Promise.all(parts.map(relayed)),
  })
  return [
    { path: "publisher to receiver", ...row(times.direct, 4 * PARTS) },
    { path: "publisher to relay to receiver", ...row(times.relayed, 6 * PARTS) },
  ]
}

function row(ms: number, calls: number): BenchRow {
  const us = ms * 1_000
  return {
    total_us: round(us),
    AEAD_calls: calls,
    per_AEAD_call_us: round(us / calls),
    frame_mbs: round((PARTS * PART_BYTES) / us),
  }
}

export const path: Subject = {
  name: "path",
  title: "A 64 KiB frame through every seal",
  note: "4 chunks of 16 KiB, memory to memory: inner seal, outer seal, at the relay outer open and outer seal, at the receiver outer open, deduplication and inner open.",
  run: measure,
}
