import { expect, it } from "vitest"
import { UNCAPPED } from "../wire/layers.ts"
import { CandidateBackoff } from "./candidate-backoff.ts"
import { CandidateList } from "./candidate-list.ts"
import { SWITCH_DWELL_MS, SWITCH_INTERVAL_MS, TREE_SETTLE_MS } from "./constants.ts"
import { keyOf, ParentChoice } from "./parent-choice.ts"
import { newSlot } from "./parent-slot.ts"
import { candidate, capacity, START } from "./test-parents.ts"

const DEPTHS: Record<string, number> = { publisher: 0, top: 1, planned: 2, uncle: 2, left: 3, right: 3, zoe: 3 }
const parentOf = (keyId: string) => (keyId === "zoe" ? "planned" : undefined)
const tree = { since: START - TREE_SETTLE_MS, parent: "planned", depthOf: (keyId: string) => DEPTHS[keyId], parentOf }

/** All round trips alike: nothing but the plan can be a reason. */
function choiceOf(): { choice: ParentChoice; backoff: CandidateBackoff } {
  const list = new CandidateList({
    me: "zoe",
    publisher: "publisher",
    path: new Uint8Array(),
    policy: UNCAPPED,
    streamMaxLayer: undefined,
    bitrateMbps: 1,
  })
  const signed = (keyId: string) => ({
    advertiserKeyId: keyId,
    capacity: capacity({ measuredAtUnixMs: BigInt(START + 20_000) }),
  })
  list.set(
    ["planned", "uncle", "left", "right"].map((keyId) => candidate(keyId, 50, { signedCapacity: signed(keyId) })),
    [],
  )
  list.setTree(tree)
  const backoff = new CandidateBackoff(() => 0.5)
  return { choice: new ParentChoice(list, backoff, "publisher"), backoff }
}

/** Asks twice a second; the first answers and when they came. */
function ask(choice: ParentChoice, worst: string, kept: string, until: number): [number, string][] {
  const answers: [number, string][] = []
  for (let at = 0; at <= until; at += 500) {
    const found = choice.challenger(worst, [kept], new Map(), START + at)
    if (found !== undefined) answers.push([at, keyOf(found)])
  }
  return answers
}

it("who has only parents of its own depth takes the planned one, after the dwell and not again before the interval", () => {
  const answers = ask(choiceOf().choice, "left", "right", 10_000 + SWITCH_INTERVAL_MS)
  expect(answers[0]).toEqual([SWITCH_DWELL_MS, "planned"])
  expect(answers.length).toBeLessThanOrEqual(2)
  expect((answers[1]?.[0] ?? Number.POSITIVE_INFINITY) - answers[0]![0]).toBeGreaterThanOrEqual(SWITCH_INTERVAL_MS)
})

it("one parent that is as near to the source is enough", () => {
  expect(ask(choiceOf().choice, "left", "uncle", 25_000)).toEqual([])
})

it("a planned parent that refused is left alone", () => {
  const { choice, backoff } = choiceOf()
  backoff.failed("planned", "demoted", START)
  expect(ask(choice, "left", "right", 25_000)).toEqual([])
})

it("who was left for a better one is not taken again within a minute, unless there is nobody else", () => {
  const { choice, backoff } = choiceOf()
  choice.left("planned", START)
  expect(ask(choice, "left", "right", 25_000)).toEqual([])
  const next = (now: number) => {
    const feeding = { ...newSlot("right", false, now, undefined), state: "live", provenAt: now } as const
    const found = choice.next(new Map([["right", feeding]]), now)
    return found === undefined ? undefined : keyOf(found)
  }
  expect(next(START + 26_000)).toBe("left")
  for (const keyId of ["left", "uncle"]) backoff.failed(keyId, "demoted", START)
  expect(next(START + 26_000)).toBe("planned")
})

it("the interval counts from the end of a move as well, however long that took", () => {
  const { choice } = choiceOf()
  const begun = ask(choice, "left", "right", SWITCH_DWELL_MS)
  expect(begun).toEqual([[SWITCH_DWELL_MS, "planned"]])
  const done = SWITCH_DWELL_MS + 8_000
  choice.switched(START + done)
  const answers: number[] = []
  for (let at = done; at <= done + SWITCH_INTERVAL_MS + 1_000; at += 500) {
    if (choice.challenger("left", ["right"], new Map(), START + at) !== undefined) answers.push(at)
  }
  expect(answers).toEqual([done + SWITCH_INTERVAL_MS])
})
