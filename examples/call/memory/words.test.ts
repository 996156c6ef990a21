import { expect, test } from "vitest"
import { endInWords, lengthInWords, safetyInWords } from "./words.ts"

test("lengths, ends and safety in words", () => {
  expect(lengthInWords(61_400)).toBe("1:01")
  expect(endInWords(undefined, 0)).toBe("stays until it is taken back")
  expect(endInWords(86_400_000 * 30, 0)).toBe("stays 30 more days")
  expect(endInWords(3_700_000, 0)).toBe("stays 1 more hour")
  expect(endInWords(10, 0)).toBe("ends within a minute")
  const nameOf = (id: string) => id.toUpperCase()
  const holders = [{ id: "a", share: 1, participant: undefined }]
  expect(safetyInWords({ readable: true, needed: ["a"], holders }, nameOf)).toBe("Still depends on A.")
  expect(safetyInWords({ readable: true, needed: [], holders }, nameOf)).toContain("anybody may leave")
  expect(safetyInWords({ readable: false, needed: [], holders }, nameOf)).toContain("Too few")
})
