import { describe, expect, it } from "vitest"
import { toHex, utf8Encode } from "../../wire/bytes.ts"
import { codeOf } from "../../wire/testing.ts"
import { separator } from "../separators.ts"
import { merkleRoot } from "../witness/merkle.ts"
import { type AggregationMeta, aggregationMetaBytes, descendOrder, memberCommitment } from "./meta.ts"

const META: AggregationMeta = {
  version: 3,
  contentId: "content",
  corpusKind: "trace",
  tier: 2,
  aggregationAlgorithmId: "mean",
  sourceCount: 3,
  memberCommitment: new Uint8Array(32).fill(1),
  noiseFloorDescriptor: "floor",
  nEff: 2,
  maxSourceMultiplicity: 1,
  massCommitment: new Uint8Array(32).fill(2),
}
const hex = (change: Partial<AggregationMeta>) => toHex(aggregationMetaBytes({ ...META, ...change }))

describe("the bytes of an aggregate's description", () => {
  it("grow with the version and leave out what came later", () => {
    const later = { nEff: 9, maxSourceMultiplicity: 9, massCommitment: new Uint8Array(32) }
    expect(hex({ version: 1, ...later })).toBe(hex({ version: 1 }))
    expect(hex({ version: 2, ...later, nEff: META.nEff })).toBe(hex({ version: 2 }))
    expect(hex({ version: 3 }).length - hex({ version: 2 }).length).toBe(2 * 36)
    expect(aggregationMetaBytes(META).subarray(0, 16)).toEqual(separator("aggregation"))
  })

  it("change with every signed field", () => {
    const changes: Partial<AggregationMeta>[] = [
      {},
      { version: 2 },
      { contentId: "c" },
      { corpusKind: "c" },
      { tier: 1 },
      { aggregationAlgorithmId: "c" },
      { sourceCount: 1 },
      { memberCommitment: new Uint8Array(32) },
      { noiseFloorDescriptor: "c" },
      { nEff: 1 },
      { maxSourceMultiplicity: 2 },
      { massCommitment: new Uint8Array(32) },
    ]
    expect(new Set(changes.map(hex)).size).toBe(changes.length)
  })

  it("refuse a version nobody knows", () => {
    expect(codeOf(() => aggregationMetaBytes({ ...META, version: 4 as 3 }))).toBe("MalformedInput")
  })
})

describe("the commitment to members", () => {
  it("is a root over their ids, in any order", () => {
    expect(memberCommitment([])).toEqual(merkleRoot([]))
    expect(memberCommitment(["b", "a"])).toEqual(merkleRoot([utf8Encode("a"), utf8Encode("b")]))
    expect(codeOf(() => memberCommitment(["\ud800"]))).toBe("IllFormedString")
    expect(descendOrder(["😀", "～", "é", "a"])).toEqual(["a", "é", "～", "😀"])
  })
})
