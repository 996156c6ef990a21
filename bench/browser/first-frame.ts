/** From `joinRoom` to the first remote frame on the screen, in a fresh browser and in a page that has called before. */
import type { Page } from "@playwright/test"
import { quantile, round } from "../measure.ts"
import type { BenchRow, Result } from "../subject.ts"
import type { FirstFrameTimes } from "./page.ts"

/** Lets the sender notice that the receiver is gone before the next one comes. */
const PAUSE_MS = 1_000

/** `undefined`: no picture came. The run goes on and the table says how often. */
type Outcome = FirstFrameTimes | undefined

/** `openPage` starts a browser process of its own with the benchmark's page in it. */
export async function measureFirstFrame(
  openPage: () => Promise<{ page: Page; close(): Promise<void> }>,
  runs: number,
): Promise<Result> {
  const sender = await openPage()
  try {
    const url = await sender.page.evaluate(() => globalThis.bench.newRoom())
    await sender.page.evaluate((room) => globalThis.bench.publish(room), url)
    const cold: Outcome[] = []
    const warm: Outcome[] = []
    for (let run = 0; run < runs; run++) {
      const receiver = await openPage()
      cold.push(await joinOnce(receiver.page, url))
      warm.push(await joinOnce(receiver.page, url))
      await receiver.close()
    }
    return {
      name: "first-frame",
      title: "From joinRoom to the first remote frame",
      note: `Two browser processes and the rendezvous server on one machine; the other member is in the room and sends video already. Cold: a new browser process and profile, nothing compiled or cached, no identity yet. Warm: the same page leaves and joins again. ${runs} runs each; the steps are cumulative.`,
      rows: [rowOf("cold", cold), rowOf("warm", warm)],
    }
  } finally {
    await sender.close()
  }
}

async function joinOnce(page: Page, url: string): Promise<Outcome> {
  const times = await page
    .evaluate((room) => globalThis.bench.receive(room), url)
    .catch((error: Error) => {
      console.error(`a join failed: ${error.message}`)
      return undefined
    })
  await page.evaluate(() => globalThis.bench.leave())
  await page.waitForTimeout(PAUSE_MS)
  return times
}

function rowOf(page: string, outcomes: Outcome[]): BenchRow {
  const runs = outcomes.filter((outcome) => outcome !== undefined)
  const first = runs.map(({ firstFrame }) => firstFrame)
  const median = (step: keyof FirstFrameTimes) =>
    round(
      quantile(
        runs.map((times) => times[step]),
        0.5,
      ),
    )
  return {
    page,
    joined_ms: median("joined"),
    track_ms: median("track"),
    first_frame_ms: median("firstFrame"),
    fastest_ms: round(Math.min(...first)),
    slowest_ms: round(Math.max(...first)),
    failed: outcomes.length - runs.length,
  }
}
