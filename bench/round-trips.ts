/** Calls over a real link, timed one by one; in Node and in a page. */
import type { Room } from "../src/room/types.ts"
import { quantile, round } from "./measure.ts"
import type { BenchRow } from "./subject.ts"

const ECHO = "bench/echo"
/** Body sizes in bytes, and how many calls are under way together. */
export const ROUND_TRIPS: readonly [size: number, together: number][] = [
  [32, 1],
  [32, 16],
  [32, 128],
  [1_024, 1],
  [1_024, 16],
  [16_384, 1],
  [16_384, 16],
]

export function serveEcho(room: Room): void {
  room.rpc.serve(ECHO, (body) => body)
}

/** Waits until the other member of the room offers the service, over a direct link. */
export async function findEcho(room: Room): Promise<string> {
  for (;;) {
    const [peer] = room.capabilities.providers(ECHO)
    if (peer?.connection === "direct") return peer.id
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** `together` callers that each wait for an answer before they ask again, for `ms`. */
export async function timeRoundTrips(room: Room, peer: string, size: number, together: number, ms: number): Promise<BenchRow> {
  const body = new Uint8Array(size)
  const callFor = async (time: number, samples: number[]) => {
    const end = performance.now() + time
    for (let at = performance.now(); at < end; ) {
      await room.rpc.call(peer, ECHO, body)
      const now = performance.now()
      samples.push(now - at)
      at = now
    }
  }
  await callFor(ms / 4, [])
  const samples: number[] = []
  const start = performance.now()
  await Promise.all(Array.from({ length: together }, () => callFor(ms, samples)))
  const seconds = (performance.now() - start) / 1_000
  return {
    body_bytes: size,
    in_flight: together,
    calls_per_second: round(samples.length / seconds),
    p50_ms: round(quantile(samples, 0.5)),
    p99_ms: round(quantile(samples, 0.99)),
  }
}
