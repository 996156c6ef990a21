/** Files between Node peers: from a page's point of view as ever, on this side onto the disk. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import type { Room } from "../room/types.ts"
import { NodeTreeSink } from "../transfer/node-sink.ts"
import { NodeRoom, until } from "./test-room.ts"

const SLOW_MS = 60_000
const folder = mkdtempSync(join(tmpdir(), "holomesh-node-files-"))
const shed = new NodeRoom("shed")
let ada: Room
let bob: Room

beforeAll(async () => {
  ada = await shed.join("ada")
  bob = await shed.join("bob")
  await shed.linked(2)
}, SLOW_MS)
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await shed.close()
}, SLOW_MS)

test("a folder that somebody shares is installed on the disk as a whole", async () => {
  const large = Uint8Array.from({ length: 700_000 }, (_, i) => (i * 7) & 255)
  const share = await ada.files.share([
    { path: "notes/today.txt", file: new Blob(["good morning"]) },
    { path: "notes/large.bin", file: new Blob([large]) },
  ])
  await until("the offer", () => bob.files.offers.length === 1)
  const [offer] = bob.files.offers
  const destination = join(folder, "fetched")
  const seen: number[] = []
  await bob.files.fetchInto(offer!, new NodeTreeSink(destination), { onProgress: ({ bytes }) => seen.push(bytes) })
  expect(readFileSync(join(destination, "notes/today.txt"), "utf8")).toBe("good morning")
  expect(Buffer.compare(readFileSync(join(destination, "notes/large.bin")), large)).toBe(0)
  expect(statSync(join(destination, "notes/today.txt")).mode & 0o777).toBe(0o644)
  expect(seen.at(-1)).toBe(large.length + "good morning".length)
  // Nothing is left beside it.
  expect(readdirSync(folder)).toEqual(["fetched"])
  share.stop()
  await until("no offer", () => bob.files.offers.length === 0)
  await expect(bob.files.fetchInto(offer!, new NodeTreeSink(join(folder, "late")))).rejects.toMatchObject({
    code: "BlobNotFound",
  })
})
