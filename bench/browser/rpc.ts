/** Calls between two tabs, each in a browser process of its own, over a real link. */
import type { Page } from "@playwright/test"
import { ROUND_TRIPS } from "../round-trips.ts"
import type { BenchRow, Result } from "../subject.ts"

export async function measureRpc(openPage: () => Promise<{ page: Page; close(): Promise<void> }>, ms: number): Promise<Result> {
  const [caller, callee] = [await openPage(), await openPage()]
  try {
    const url = await caller.page.evaluate(() => globalThis.bench.newRoom())
    await callee.page.evaluate((room) => globalThis.bench.answerCalls(room), url)
    await caller.page.evaluate((room) => globalThis.bench.joinCaller(room), url)
    const rows: BenchRow[] = []
    for (const [size, together] of ROUND_TRIPS) {
      rows.push(await caller.page.evaluate((line) => globalThis.bench.roundTrips(...line), [size, together, ms] as const))
    }
    return {
      name: "rpc-tabs",
      title: "Calls between two tabs",
      note: "Unary echo between two browser processes on one machine, members of one room without media, over the reliable data channel of the link. Each caller waits for its answer before it asks again.",
      rows,
    }
  } finally {
    await Promise.all([caller.close(), callee.close()])
  }
}
