/** Items: parts name each other, belong to their producer, and nobody else can add any. */
import { expect, test } from "vitest"
import { utf8Encode } from "../../wire/bytes.ts"
import { codeOf } from "../../wire/testing.ts"
import { testContent } from "../content/testing.ts"
import { testPeer } from "../testing.ts"
import {
  encodeItemHead,
  gatherItems,
  type ItemHead,
  itemId,
  itemPartOf,
  MAX_ITEM_BYTES,
  PART_BYTES,
  partLength,
  partRef,
  partsOf,
} from "./item.ts"

const nonce = new Uint8Array(16).fill(7)
const head: ItemHead = {
  nonce,
  part: 1,
  parts: 2,
  kind: "file",
  name: "plan \u{1f600}.pdf",
  type: "application/pdf",
  size: PART_BYTES + 1_280,
  at: 1_000,
}

async function partBy(signer: number, owner: number, change: Partial<ItemHead> = {}, id?: string) {
  const producer = await testPeer(signer)
  const item = id ?? itemId((await testPeer(owner)).keyId, nonce)
  const ref = partRef(item, 1, "file")
  const application = encodeItemHead({ ...head, ...change })
  // 20 symbols of 64 bytes.
  return (await testContent(producer, ref, {}, { application })).manifest
}

test("a part says what it belongs to", async () => {
  const part = itemPartOf(await partBy(1, 1))
  expect(part).toMatchObject({ name: head.name, part: 1, parts: 2, producer: (await testPeer(1)).keyId })
  expect(part?.item).toBe(itemId((await testPeer(1)).keyId, nonce))
})

test("nobody adds a part to somebody else's item, or one that does not fit", async () => {
  expect(itemPartOf(await partBy(2, 1))).toBeUndefined()
  expect(itemPartOf(await partBy(1, 1, { part: 0 }))).toBeUndefined()
  expect(itemPartOf(await partBy(1, 1, { parts: 3 }))).toBeUndefined()
  expect(itemPartOf(await partBy(1, 1, { size: PART_BYTES + 1_281 }))).toBeUndefined()
  expect(itemPartOf(await partBy(1, 1, { kind: "recording" }))).toBeUndefined()
  expect(itemPartOf(await partBy(1, 1, { name: "" }))).toBeUndefined()
  expect(itemPartOf((await testContent(await testPeer(1))).manifest)).toBeUndefined()
  const junk = { application: utf8Encode('{"nonce":1,"__proto__":{"part":1}}') }
  expect(itemPartOf((await testContent(await testPeer(1), {}, {}, junk)).manifest)).toBeUndefined()
})

test("parts cover the whole, and there is a largest one", () => {
  for (const size of [0, 1, PART_BYTES, PART_BYTES + 1, 3 * PART_BYTES]) {
    const lengths = Array.from({ length: partsOf(size) }, (_, part) => partLength(size, part))
    expect(lengths.reduce((sum, length) => sum + length)).toBe(size)
  }
  expect(codeOf(() => partsOf(MAX_ITEM_BYTES + 1))).toBe("PayloadTooLarge")
})

test("parts gather into items, the newest first; what contradicts is left out", async () => {
  const part = itemPartOf(await partBy(1, 1))!
  const other = { ...part, item: "0".repeat(32), at: 5_000 }
  const items = gatherItems([part, { ...part, part: 0 }, { ...part, part: 0, name: "x" }, other])
  expect(items.map(({ head: { item }, parts }) => [item, [...parts.keys()]])).toEqual([
    [other.item, [1]],
    [part.item, [1, 0]],
  ])
  expect(items[1]!.parts.get(0)!.name).toBe(head.name)
})
