import { expect, test } from "vitest"
import { AvError } from "../../wire/errors.ts"
import { FileChunks } from "./file-chunks.ts"

const MIB = 1_048_576
const bytes = (length: number, value: number) => new Uint8Array(length).fill(value)

/** The same file in one piece. */
class Plain {
  content = new Uint8Array(0)

  write(position: number, data: Uint8Array): void {
    const length = Math.max(this.content.length, position + data.length)
    const grown = new Uint8Array(length)
    grown.set(this.content)
    grown.set(data, position)
    this.content = grown
  }
}

async function same(chunks: FileChunks, plain: Plain): Promise<void> {
  const got = new Uint8Array(await new Blob(chunks.parts()).arrayBuffer())
  expect(got.length).toBe(plain.content.length)
  expect(got.every((byte, i) => byte === plain.content[i])).toBe(true)
  expect(chunks.length).toBe(plain.content.length)
}

test("what is appended and what is written again further in front ends where it belongs, over the borders of chunks too", async () => {
  const [chunks, plain] = [new FileChunks(), new Plain()]
  const write = (position: number, data: Uint8Array<ArrayBuffer>) => {
    chunks.write(position, data)
    plain.write(position, data)
  }
  write(0, bytes(100, 1))
  write(100, bytes(2 * MIB, 2))
  write(40, bytes(8, 3))
  write(MIB - 3, bytes(6, 4))
  write(MIB - 1, bytes(MIB + 2, 5))
  // Across the border between what is a chunk already and what is still being filled, and beyond the end.
  write(2 * MIB - 10, bytes(300, 6))
  write(chunks.length, bytes(3 * MIB, 7))
  write(0, bytes(4, 8))
  await same(chunks, plain)
})

test("an empty file, one that ends with a chunk, and a hole", async () => {
  const chunks = new FileChunks()
  await same(chunks, new Plain())
  const plain = new Plain()
  chunks.write(0, bytes(MIB, 9))
  plain.write(0, bytes(MIB, 9))
  await same(chunks, plain)
  expect(() => chunks.write(MIB + 1, bytes(1, 0))).toThrow(AvError)
})

test("what the writer does with its buffer afterwards changes nothing", async () => {
  const chunks = new FileChunks()
  const data = bytes(10, 1)
  chunks.write(0, data)
  data.fill(2)
  expect(new Uint8Array(await new Blob(chunks.parts()).arrayBuffer())).toEqual(bytes(10, 1))
})
