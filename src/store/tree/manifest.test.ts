import { expect, it } from "vitest"
import { decodeBlobFrame, encodeBlobFrame, MAX_BLOB_CHUNK } from "../../wire/blob-frame.ts"
import { type DcborValue, encodeDcbor } from "../../wire/dcbor.ts"
import { checkCodec, codeOf } from "../../wire/testing.ts"
import {
  chunkCount,
  decodeBlobRef,
  decodeManifest,
  encodeBlobRef,
  encodeManifest,
  MANIFEST_LIMITS,
  TREE_CHUNK,
  type TreeEntry,
} from "./manifest.ts"

const id = (n: number) => new Uint8Array(32).fill(n)
const entries: TreeEntry[] = [
  { path: "a", kind: "dir", mode: 0o755 },
  { path: "a/f", kind: "file", mode: 0o644, blob: { size: TREE_CHUNK + 1, chunks: [id(1), id(2)] } },
  { path: "a/l", kind: "symlink", mode: 0, target: "f" },
  { path: "b", kind: "file", mode: 0, blob: { size: 0, chunks: [] } },
]
const CODES = ["Malformed", "NonCanonical", "UnsafePath", "TooLarge"] as const
const raw = (list: DcborValue[], version: DcborValue = 1) =>
  encodeDcbor(
    new Map<DcborValue, DcborValue>([
      [1, version],
      [2, list],
    ]),
  )
const entry = (...pairs: [number, DcborValue][]) => new Map<DcborValue, DcborValue>(pairs)

it("manifests come back as they were, sorted, and refuse every other form", () => {
  expect(decodeManifest(encodeManifest([...entries].reverse()), "posix")).toEqual(entries)
  expect(decodeManifest(encodeManifest([]), "opfs")).toEqual([])
  checkCodec({
    decode: (bytes) => decodeManifest(bytes, "posix"),
    encode: encodeManifest,
    codes: CODES,
    samples: [encodeManifest(entries), encodeManifest([])],
  })
})

it("DIR-R7: special mode bits do not survive, a written zero is refused", () => {
  const [setUid] = decodeManifest(encodeManifest([{ path: "a", kind: "dir", mode: 0o4755 }]), "posix")
  expect(setUid?.mode).toBe(0o755)
  for (const mode of [0, 0o1000])
    expect(codeOf(() => decodeManifest(raw([entry([1, "a"], [2, 2], [3, mode])]), "posix"))).toBe("Malformed")
})

it("DIR-R11: limits hold at their edge and beyond", () => {
  const bytes = encodeManifest(entries)
  const decode = (limits: Partial<typeof MANIFEST_LIMITS>) =>
    codeOf(() => decodeManifest(bytes, "posix", { ...MANIFEST_LIMITS, ...limits }))
  expect([decode({ entries: 4 }), decode({ entries: 3 })]).toEqual([undefined, "TooLarge"])
  expect([decode({ manifestBytes: bytes.length }), decode({ manifestBytes: bytes.length - 1 })]).toEqual([undefined, "TooLarge"])
  expect([decode({ totalBytes: TREE_CHUNK + 1 }), decode({ totalBytes: TREE_CHUNK })]).toEqual([undefined, "TooLarge"])
  const many = Array.from({ length: 5_000 }, (_, i): TreeEntry => ({ path: `f${i}`, kind: "dir", mode: 0o700 }))
  expect(decodeManifest(encodeManifest(many), "posix")).toHaveLength(5_000)
})

it("a wrong member, order, version or path refuses the whole", () => {
  const bad: [DcborValue[], DcborValue?][] = [
    [[entry([1, "b"], [2, 2]), entry([1, "a"], [2, 2])]],
    [[entry([1, "a"], [2, 2]), entry([1, "a"], [2, 2])]],
    [[entry([1, "a"], [2, 4])]],
    [[entry([1, "a"])]],
    [[entry([1, "a"], [2, 1])]],
    [[entry([1, "a"], [2, 2], [5, "x"])]],
    [[entry([1, "a"], [2, 3], [4, encodeBlobRef({ size: 0, chunks: [] })])]],
    [[], 2],
  ]
  for (const [list, version] of bad) expect(codeOf(() => decodeManifest(raw(list, version), "posix"))).toBe("Malformed")
  expect(codeOf(() => decodeManifest(raw([entry([1, "../a"], [2, 2])]), "posix"))).toBe("UnsafePath")
})

it("DIR-R10: a file's chunks fit its size", () => {
  const big = { size: 5_000 * TREE_CHUNK, chunks: Array.from({ length: 5_000 }, (_, i) => id(i & 0xff)) }
  expect(decodeBlobRef(encodeBlobRef(big))).toEqual(big)
  expect([chunkCount(0), chunkCount(1), chunkCount(TREE_CHUNK), chunkCount(TREE_CHUNK + 1)]).toEqual([0, 1, 1, 2])
  expect(codeOf(() => encodeBlobRef({ size: 1, chunks: [] }))).toBe("UsageError")
  for (const value of [[1, []], [0, [id(1)]], [1, [new Uint8Array(31)]], [2n ** 60n, []], 7] as DcborValue[]) {
    expect(codeOf(() => decodeBlobRef(encodeDcbor(value)))).toBe("Malformed")
  }
})

it("blob frames survive hostile bytes", () => {
  const frames = [
    { kind: "get", requestId: 1, chunkId: id(7) },
    { kind: "data", requestId: 65_535, offset: 0, total: MAX_BLOB_CHUNK, bytes: id(1) },
    { kind: "error", requestId: 2, error: "busy" },
  ] as const
  checkCodec({ decode: decodeBlobFrame, encode: encodeBlobFrame, codes: ["Malformed"], samples: frames.map(encodeBlobFrame) })
  expect(codeOf(() => encodeBlobFrame({ kind: "data", requestId: 1, offset: 1, total: 32, bytes: id(1) }))).toBe("UsageError")
  expect(codeOf(() => encodeBlobFrame({ kind: "data", requestId: 1, offset: 0, total: MAX_BLOB_CHUNK + 1, bytes: id(1) }))).toBe(
    "UsageError",
  )
})
