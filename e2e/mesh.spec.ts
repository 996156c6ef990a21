/** A publisher that may send two copies, and six viewers: members feed members, and nobody sees when one of them goes. */
import { expect, test } from "@playwright/test"
import { CODE, type Crew, type Member, openCrew } from "./mesh/crew.ts"
import type { Place } from "./mesh/page.ts"
import { eventually } from "./observe.ts"

const VIEWERS = 6
const COPIES = 2
/** So often one leaves and so often a relay is killed; a new viewer takes its place in between. `bench/mesh` does it more often. */
const LEAVES = 3
const KILLS = 1
/** A room on a busy machine needs a while until nobody depends on one relay again, ms. */
const SETTLING_MS = 45_000
/** Gaps are watched for this long, before somebody goes and then again, ms. */
const WATCH_MS = 5_000
/** Pictures that are still on their way are waited for so long, ms. */
const TAIL_MS = 1_500
/** Longest gap that a relay's death may leave, ms. */
const GAP_MS = 500
/** Two pictures of the publisher: what is more than that beyond what was there before can be seen. */
const VISIBLE_MS = 2 * (1_000 / 15)

/** So many times as late as with nobody gone may pictures be while all pages change their keys. */
const BUSY = 3

test.describe.configure({ mode: "serial", timeout: 360_000 })

test.describe("a room that is fed by its members", () => {
  let crew: Crew

  test.beforeAll(async () => {
    crew = await openCrew(VIEWERS, COPIES)
  })
  test.afterAll(async () => crew?.close())

  test("all six see the picture, four or more of them through others", async () => {
    await everybodySees()
    const places = await eventually(
      "four fed by others",
      () => crew.places(),
      (all) => fedByOthers(all) >= VIEWERS - COPIES,
      60_000,
    )
    report(
      [...places.values()]
        .map(
          ({ id, parents }) =>
            `${id.slice(0, 6)} <- ${parents.map(({ peer, role }) => `${peer.slice(0, 6)} ${role}`).join(", ")}`,
        )
        .join("\n"),
    )
    expect(places.get(crew.publisher.id)?.children.length).toBeLessThanOrEqual(COPIES)
    for (const { parents } of places.values()) expect(parents.every(({ peer }) => places.has(peer))).toBe(true)
  })

  test("when a relay leaves nobody sees it", async () => {
    const { calm, calmWorst, gaps, missed } = await series("left", LEAVES, (relay) => relay.leave())
    // Where some viewer sees pictures late with nobody gone, as on a busy machine, as late and one picture more says nothing of the leave.
    const seen = Math.max(calm + VISIBLE_MS, calmWorst + VISIBLE_MS / 2)
    // Seven pages change their keys at once then, on whatever processors there are. Where these are busy anyway pictures are shown late,
    // which is no fault of the leave as long as the median viewer got all of them.
    expect(gaps).toBeLessThanOrEqual(missed === 0 ? Math.max(seen, GAP_MS, BUSY * calmWorst) : seen)
  })

  test("when a relay dies nobody is lost, and nobody misses much", async () => {
    const { calm, gaps } = await series("killed", KILLS, (relay) => relay.crash())
    // Where the machine itself shows pictures late, it does so after the death of a relay as well.
    expect(gaps).toBeLessThanOrEqual(Math.max(GAP_MS, calm + VISIBLE_MS))
  })

  /**
   * Lets the busiest relay go again and again.
   *
   * @returns median over runs and viewers of the longest gap, with nobody gone and after somebody went, and the median over runs of the
   * worst viewer's with nobody gone, ms; and how many pictures the median viewer never got when somebody went
   */
  async function series(
    what: string,
    runs: number,
    goes: (relay: Member) => Promise<void>,
  ): Promise<{ calm: number; calmWorst: number; gaps: number; missed: number }> {
    const calm: number[][] = []
    const after: number[][] = []
    const missing: number[][] = []
    for (let run = 1; run <= runs; run++) {
      if (crew.viewers.length < VIEWERS) await crew.join()
      await everybodySees()
      await settled()
      calm.push((await watchWhen(async () => undefined)).gaps)
      await settled()
      const relay = await crew.busiest()
      const served = (await relay.place()).children.length
      expect(served).toBeGreaterThan(0)
      const { gaps, missed } = await watchWhen(() => goes(relay), relay)
      after.push(gaps)
      missing.push(missed)
      report(
        `relay with ${served} children ${what}: longest gaps ${gaps.join(", ")} ms; before ${calm.at(-1)?.join(", ")} ms; ` +
          `pictures that never came ${missed.join(", ")}`,
      )
      await everybodySees()
    }
    const worst = (all: readonly number[][]) => median(all.map((gaps) => Math.max(...gaps)))
    report(
      `${what} ${runs} times: median of the longest gaps ${median(after.flat())} ms, of the worst viewer ${worst(after)} ms; ` +
        `with nobody gone ${median(calm.flat())} and ${worst(calm)} ms`,
    )
    const missed = median(missing.flat())
    return { calm: median(calm.flat()), calmWorst: worst(calm), gaps: median(after.flat()), missed }
  }

  /** Viewers that the publisher itself sends nothing to. */
  function fedByOthers(places: ReadonlyMap<string, Place>): number {
    return crew.viewers.filter(({ id }) => {
      const parents = places.get(id)?.parents ?? []
      return parents.length > 0 && parents.every(({ peer }) => peer !== crew.publisher.id)
    }).length
  }

  /**
   * Longest time without a new picture at each of those that are still there, and how many of the pictures between two pauses of the
   * publisher never came to them.
   */
  async function watchWhen(happens: () => Promise<void>, goes?: Member): Promise<{ gaps: number[]; missed: number[] }> {
    const staying = crew.viewers.filter((viewer) => viewer !== goes)
    const counts = () => Promise.all([crew.publisher.frames(), Promise.all(staying.map((viewer) => viewer.frames()))])
    await paused()
    const [before, had] = await counts()
    await crew.pause(false)
    await everybodySees()
    await Promise.all(staying.map((viewer) => viewer.mark()))
    await happens()
    await crew.publisher.page.waitForTimeout(WATCH_MS)
    const sights = await Promise.all(staying.map((viewer) => viewer.sight()))
    await paused()
    const [after, have] = await counts()
    await crew.pause(false)
    const missed = have.map(({ received }, index) => after.encoded - before.encoded - (received - (had[index]?.received ?? 0)))
    return { gaps: sights.map(({ longestGapMs }) => Math.round(longestGapMs)), missed }
  }

  /** On a busy machine somebody may be left with one parent for minutes; then a relay goes that nobody depends on alone. */
  async function settled(): Promise<void> {
    const unsettled = await crew.settled(SETTLING_MS).then(
      () => undefined,
      (error: Error) => error.message.slice(0, 80),
    )
    if (unsettled === undefined) return
    report(unsettled)
    for (const viewer of crew.viewers) {
      const parents = (await viewer.place()).parents.filter(({ role }) => role !== "asked")
      if (parents.length > 1) continue
      const log = await viewer.page.evaluate(() => globalThis.meshPage.log())
      await test.info().attach(`${viewer.name}, ${parents.length} parents`, { body: log ?? "" })
    }
  }

  async function paused(): Promise<void> {
    await crew.pause(true)
    await crew.publisher.page.waitForTimeout(TAIL_MS)
  }

  async function everybodySees(): Promise<void> {
    const before = await Promise.all(crew.viewers.map((viewer) => viewer.sight()))
    await eventually(
      "everybody sees the moving picture",
      () => Promise.all(crew.viewers.map((viewer) => viewer.sight())),
      (sights) => sights.every(({ code, frames }, index) => code === CODE && frames > (before[index]?.frames ?? 0) + 10),
      60_000,
    )
  }
})

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? Number.NaN
}

function report(line: string): void {
  test.info().annotations.push({ type: "measured", description: line })
  console.log(line)
}
