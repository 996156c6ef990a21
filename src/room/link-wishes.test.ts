import { describe, expect, test } from "vitest"
import { LinkWishes } from "./link-wishes.ts"

describe("links that streams need", () => {
  test("are told once, and again when they change", () => {
    const wishes = new LinkWishes()
    expect(wishes.tick([], 0)).toEqual({ call: [], keep: [] })
    expect(wishes.tick([], 1)).toBeUndefined()
    expect(wishes.tick(["b", "a", "b"], 2)).toEqual({ call: ["a", "b"], keep: [] })
    wishes.child("c", "s1", "r1", true)
    wishes.child("c", "s2", "r2", true)
    wishes.child("c", "s1", "r1", false)
    expect(wishes.tick(["a", "b"], 3)).toEqual({ call: ["a", "b"], keep: ["c"] })
    wishes.child("c", "s2", "older", false)
    expect(wishes.tick(["a", "b"], 3)).toBeUndefined()
    wishes.child("c", "s2", "r2", false)
    expect(wishes.tick(["a", "b"], 4)).toEqual({ call: ["a", "b"], keep: [] })
    wishes.child("c", "s1", "r1", true)
    wishes.lost("c")
    expect(wishes.tick(["a", "b"], 5)).toBeUndefined()
  })

  test("are those of calls that run as well, for as long as they run", () => {
    const wishes = new LinkWishes()
    wishes.child("c", "s1", "r1", true)
    expect(wishes.tick(["a"], 0, ["b", "c"])).toEqual({ call: ["a"], keep: ["b", "c"] })
    expect(wishes.tick(["a"], 1, ["c", "b"])).toBeUndefined()
    expect(wishes.tick(["a"], 2)).toEqual({ call: ["a"], keep: ["c"] })
  })

  test("one that is waited for comes up", async () => {
    const wishes = new LinkWishes()
    const [first, second] = [wishes.want("a", 0), wishes.want("a", 10)]
    expect(wishes.tick([], 20)).toEqual({ call: ["a"], keep: [] })
    wishes.opened("a")
    await Promise.all([first, second])
    // It stays wanted for a while: a stream is about to use it.
    expect(wishes.tick([], 20_000)).toBeUndefined()
    expect(wishes.tick([], 30_010)).toEqual({ call: [], keep: [] })
  })

  test("one that stays away is refused after 15 s, and goes on being tried", async () => {
    const wishes = new LinkWishes()
    const waiting = wishes.want("a", 0)
    wishes.tick([], 14_999)
    expect(wishes.tick([], 15_000)).toBeUndefined()
    await expect(waiting).rejects.toMatchObject({ code: "LinkFailed" })
  })

  test("of a member that left are not waited for", async () => {
    const wishes = new LinkWishes()
    const waiting = wishes.want("a", 0)
    wishes.forget("a")
    await expect(waiting).rejects.toMatchObject({ code: "LinkFailed" })
    const other = wishes.want("b", 0)
    wishes.close()
    await expect(other).rejects.toMatchObject({ code: "LinkFailed" })
    expect(wishes.tick([], 1)).toEqual({ call: [], keep: [] })
  })

  test("are bounded", async () => {
    const wishes = new LinkWishes()
    const all = Array.from({ length: 65 }, (_, i) => wishes.want(`k${i}`, 0))
    await expect(all[64]).rejects.toMatchObject({ code: "LimitExceeded" })
    for (const waiting of all.slice(0, 64)) waiting.catch(() => undefined)
    wishes.close()
  })
})
