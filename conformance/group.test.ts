/** Our own MLS vectors pass, and a vector with a wrong answer does not. */
import { readFileSync } from "node:fs"
import { expect, test } from "vitest"
import { runVectorFile, type VectorFile } from "./run.ts"
import { runners } from "./runners/group.ts"

const table = runners["mls-0x004d"] ?? {}
const load = (name: string): VectorFile => JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), "utf8"))

test.each(["mls-0x004d-client", "mls-0x004d-verdict"])("%s", async (name) => {
  for (const section of await runVectorFile(load(name), table)) {
    expect(section.failures).toEqual([])
    expect(section.passed).toBeGreaterThan(0)
  }
})

test("wrong answers are found", async () => {
  const { sections } = load("mls-0x004d-client") as unknown as {
    sections: { passive_client: [{ epochs: [{ epoch_authenticator: string }] }]; hpke_xwing: [{ pt: string }] }
  }
  sections.passive_client[0].epochs[0].epoch_authenticator = "00".repeat(32)
  sections.hpke_xwing[0].pt = "00"
  const results = await runVectorFile({ format: "mls-0x004d-vectors/1", sections }, table)
  expect(results.map(({ failures }) => failures.length)).toEqual([1, 1])
})

test("a verdict turned round is found", async () => {
  const { sections } = load("mls-0x004d-verdict") as unknown as {
    sections: { commit_verdict: [{ must_accept: object; must_reject: object }] }
  }
  const [verdict] = sections.commit_verdict
  const turned = { ...verdict, must_accept: verdict.must_reject, must_reject: verdict.must_accept }
  const [result] = await runVectorFile({ format: "mls-0x004d-vectors/1", sections: { commit_verdict: [turned] } }, table)
  expect(result?.failures).toHaveLength(1)
})
