import { describe, expect, test } from "vitest"
import { ResponderBudget } from "./responder.ts"

describe("introductions that nobody asked for", () => {
  test("NAT-R5: four of each member in ten seconds, and then it says how long to wait", () => {
    const budget = new ResponderBudget()
    for (let i = 0; i < 4; i++) expect(budget.take("m1", 1_000 + i)).toBe(0)
    expect(budget.take("m1", 2_000)).toBe(9_000)
    expect(budget.take("m2", 2_000)).toBe(0)
    expect(budget.take("m1", 11_000)).toBe(0)
  })

  test("thirty-two of the own server", () => {
    const budget = new ResponderBudget()
    for (let i = 0; i < 32; i++) expect(budget.take("server", 0)).toBe(0)
    expect(budget.take("server", 1)).toBeGreaterThan(0)
    expect(budget.take("m1", 1)).toBe(0)
  })

  test("eight at once, and eight more that the server vouches for", () => {
    const budget = new ResponderBudget()
    expect(budget.room("m1", true, 7)).toBe(true)
    expect(budget.room("m1", true, 8)).toBe(false)
    expect(budget.room("server", false, 8)).toBe(false)
    expect(budget.room("server", true, 15)).toBe(true)
    expect(budget.room("server", true, 16)).toBe(false)
  })

  test("an attempt is refused once; the memory of it is bounded", () => {
    const budget = new ResponderBudget()
    expect(budget.mayRefuse("m1", 1n)).toBe(true)
    expect(budget.mayRefuse("m1", 1n)).toBe(false)
    for (let id = 2n; id < 4_100n; id++) expect(budget.mayRefuse("m1", id)).toBe(true)
    expect(budget.mayRefuse("m1", 1n)).toBe(true)
  })
})
