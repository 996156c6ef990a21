import { expect, it } from "vitest"
import { openIndexedDbStore } from "./indexed-db.ts"
import { MemoryStore } from "./store.ts"

it("stores, replaces and forgets; `add` only takes a free place", async () => {
  const store = new MemoryStore<number>()
  expect([await store.add("a", 1), await store.add("a", 2), await store.get("a")]).toEqual([true, false, 1])
  await store.put("a", 3)
  await store.put("b", 4)
  expect([await store.get("a"), await store.keys()]).toEqual([3, ["a", "b"]])
  await store.delete("a")
  expect(await store.get("a")).toBeUndefined()
  store.close()
  expect(await store.keys()).toEqual([])
})

it("says so where there is no IndexedDB", async () => {
  await expect(openIndexedDbStore("identity")).rejects.toMatchObject({ code: "StoreError" })
})
