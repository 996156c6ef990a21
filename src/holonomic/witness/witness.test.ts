import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { sha256Sync } from "../../crypto/hash.ts"
import { mlDsaPublicKey } from "../../crypto/ml-dsa.ts"
import { signerFromSeeds } from "../../identity/index.ts"
import { concatBytes, toBase64, toHex, utf8Encode } from "../../wire/bytes.ts"
import { codeOf } from "../../wire/testing.ts"
import type { Bytes } from "../../wire/types.ts"
import { separator } from "../separators.ts"
import { compareWitnesses } from "./compare.ts"
import { acceptEquivocationProof, detectEquivocation, equivocationBytes, provenEquivocation } from "./equivocation.ts"
import { emptyRoot, leafSet, merkleRoot } from "./merkle.ts"
import { filterWitnessLeaves, guardNamespaces, sameNamespaces } from "./namespaces.ts"
import { verifyWitnessHybrid, type WitnessKeys } from "./verify.ts"
import { type WholenessWitness, type WitnessStatement, witnessDebugJson, witnessPreimage } from "./witness.ts"

const bytes = (text: string) => utf8Encode(text)
const STATEMENT: WitnessStatement = {
  peerId: "peer",
  epochId: (1n << 64n) - 1n,
  merkleRoot: new Uint8Array(32).fill(0xab),
  leafCount: 7,
  claimNamespaces: ["b", "a"],
  observedAtUnixMs: 1_700_000_000_000n,
  witnessVersion: 1,
}

describe("the root over leaves", () => {
  const hash = sha256Sync
  const join = concatBytes

  it("follows the construction, layer by layer", () => {
    const [a, b, c] = ["a", "b", "c"].map((leaf) => hash(bytes(leaf))) as [Bytes, Bytes, Bytes]
    expect(toHex(emptyRoot())).toBe("2280d27f232100367e86211b5349fe0d6fbaee98e4c2b489a86008049563464f")
    expect(merkleRoot([])).toEqual(emptyRoot())
    expect(merkleRoot([bytes("a")])).toEqual(a)
    expect(merkleRoot([bytes("b"), bytes("a")])).toEqual(hash(join(a, b)))
    expect(merkleRoot([bytes("a"), bytes("b"), bytes("c")])).toEqual(hash(join(hash(join(a, b)), hash(join(c, c)))))
  })

  it("does not depend on the order of the leaves", () => {
    const leaf = fc.uint8Array({ maxLength: 6 })
    fc.assert(
      fc.property(fc.array(leaf, { maxLength: 20 }), (leaves) => {
        expect(merkleRoot(leaves.toReversed())).toEqual(merkleRoot(leaves))
      }),
    )
  })

  it("has the weakness that the rule for leaves closes", () => {
    const leaf = (text: string) => concatBytes(separator("signedClaim"), bytes(text))
    const three = ["a", "b", "c"].map(leaf)
    expect(merkleRoot([...three, leaf("c")])).toEqual(merkleRoot(three))
    expect(leafSet([...three, leaf("c")])).toEqual(leafSet(three))
    expect(codeOf(() => leafSet([...three, new Uint8Array(64)]))).toBe("UsageError")
    expect(codeOf(() => leafSet([bytes("CIRIS-CLAIM-v1")]))).toBe("UsageError")
  })
})

describe("the bytes of a witness", () => {
  it("begin with their separator and ignore the order of namespaces and the signatures", () => {
    const preimage = witnessPreimage(STATEMENT)
    expect(preimage.subarray(0, 16)).toEqual(separator("witness"))
    expect(witnessPreimage({ ...STATEMENT, claimNamespaces: ["a", "b"] })).toEqual(preimage)
    const signed: WholenessWitness = { ...STATEMENT, signature: "x", signatureMlDsa65: "y", pqcKeyId: "z" }
    expect(witnessPreimage(signed)).toEqual(preimage)
  })

  it("change with every field", () => {
    const changes: Partial<WitnessStatement>[] = [
      {},
      { peerId: "peeR" },
      { epochId: 1n },
      { merkleRoot: new Uint8Array(32) },
      { leafCount: 8 },
      { claimNamespaces: ["a"] },
      { claimNamespaces: ["a", "b", "b"] },
      { observedAtUnixMs: 1n },
      { witnessVersion: 2 },
    ]
    const all = changes.map((change) => toHex(witnessPreimage({ ...STATEMENT, ...change })))
    expect(new Set(all).size).toBe(changes.length)
  })

  it("as JSON have a fixed order, sorted namespaces, lower-case hex and no signatures", () => {
    expect(witnessDebugJson({ ...STATEMENT, claimNamespaces: ["～", "😀", 'é\u0001"\\/\u007f', "A"] })).toBe(
      `{"peer_id":"peer","epoch_id":18446744073709551615,"merkle_root":"${"ab".repeat(32)}","leaf_count":7,"claim_namespaces":["A","é\\u0001\\"\\\\/\u007f","～","😀"],"observed_at_unix_ms":1700000000000,"witness_version":1}`,
    )
    expect(codeOf(() => witnessDebugJson({ ...STATEMENT, peerId: "\ud800" }))).toBe("CanonSerialize")
  })
})

describe("two witnesses", () => {
  const at = (epochId: bigint, root = 1) => ({ epochId, merkleRoot: new Uint8Array(32).fill(root) })

  it("are compared by epoch first, then by root", () => {
    expect(compareWitnesses(at(5n), at(5n))).toEqual({ kind: "Identical" })
    expect(compareWitnesses(at(5n), at(5n, 2))).toEqual({ kind: "Divergent" })
    expect(compareWitnesses(at(8n), at(5n, 2))).toEqual({ kind: "EpochAhead", by: 3n })
    expect(compareWitnesses(at(1n), at(8n))).toEqual({ kind: "EpochBehind", by: 7n })
  })
})

describe("a signed witness", () => {
  let keys: WitnessKeys
  let sign: (statement: WitnessStatement) => Promise<WholenessWitness>

  beforeAll(async () => {
    const seed = new Uint8Array(32).fill(5)
    const signer = await signerFromSeeds(seed, seed)
    keys = { ed25519: signer.entityId, mlDsa65: mlDsaPublicKey(seed) }
    sign = async (statement) => {
      const { ed, pq } = await signer.signHybrid(witnessPreimage(statement))
      return { ...statement, signature: toBase64(ed), signatureMlDsa65: toBase64(pq), pqcKeyId: "k" }
    }
  })

  it("verifies, and each failure has its name", async () => {
    const witness = await sign(STATEMENT)
    const other = await sign({ ...STATEMENT, epochId: 3n })
    const result = (change: Partial<WholenessWitness>) => verifyWitnessHybrid({ ...witness, ...change }, keys)
    expect(await result({})).toBe("Valid")
    expect(await result({ signatureMlDsa65: "", signature: "?" })).toBe("PqcMissing")
    expect(await result({ signatureMlDsa65: other.signatureMlDsa65 })).toBe("PqcSignatureInvalid")
    expect(await result({ signatureMlDsa65: "not base64" })).toBe("PqcSignatureInvalid")
    // The second half covers the first one: another first half breaks both.
    expect(await result({ signature: other.signature })).toBe("BothSignaturesInvalid")
    expect(await result({ signature: "not base64" })).toBe("BothSignaturesInvalid")
    expect(await result({ leafCount: 8 })).toBe("BothSignaturesInvalid")
    expect(await result({ peerId: "\ud800" })).toBe("CanonicalSerializationFailed")
    expect(await result({ merkleRoot: new Uint8Array(31) })).toBe("CanonicalSerializationFailed")
  })

  it("has its second half over statement and first half", async () => {
    const witness = await sign(STATEMENT)
    const messages: string[] = []
    const answer = await verifyWitnessHybrid(witness, keys, {
      ed25519: () => false,
      mlDsa65: (message) => messages.push(toHex(message)) > 0,
    })
    expect(answer).toBe("ClassicalSignatureInvalid")
    const first = Uint8Array.from(atob(witness.signature), (c) => c.charCodeAt(0))
    expect(messages).toEqual([toHex(concatBytes(witnessPreimage(STATEMENT), first))])
  })

  it("contradicts another one of the same epoch", async () => {
    const a = await sign(STATEMENT)
    const b = await sign({ ...STATEMENT, merkleRoot: new Uint8Array(32) })
    const proof = detectEquivocation(a, b, 9n)!
    expect(proof).toMatchObject({ peerId: "peer", epochId: STATEMENT.epochId, witnessA: a, witnessB: b })
    expect(detectEquivocation(a, a, 9n)).toBeUndefined()
    expect(detectEquivocation(a, { ...b, epochId: 1n }, 9n)).toBeUndefined()
    expect(detectEquivocation(a, { ...b, peerId: "other" }, 9n)).toBeUndefined()
    const written = [proof, { ...proof, observedAtUnixMs: 10n }, detectEquivocation(b, a, 9n)!].map((one) =>
      toHex(equivocationBytes(one)),
    )
    expect(new Set(written).size).toBe(3)
    expect(written[0]).toMatch(new RegExp(`^${toHex(separator("equivocationProof"))}`))
    expect(provenEquivocation(a, b, 9n)).toEqual(provenEquivocation(b, a, 9n))
    expect(provenEquivocation(a, b, 9n)?.witnessA).toBe(b)
  })

  it("proves a contradiction to others only with everything in order", async () => {
    const a = await sign(STATEMENT)
    const b = await sign({ ...STATEMENT, merkleRoot: new Uint8Array(32) })
    const elsewhere = await sign({ ...STATEMENT, merkleRoot: new Uint8Array(32), claimNamespaces: ["c"] })
    const proof = detectEquivocation(a, b, 9n)!
    expect(await acceptEquivocationProof(proof, keys)).toBe(true)
    expect(await acceptEquivocationProof({ ...proof, peerId: "other" }, keys)).toBe(false)
    expect(await acceptEquivocationProof({ ...proof, epochId: 1n }, keys)).toBe(false)
    expect(await acceptEquivocationProof({ ...proof, witnessB: a }, keys)).toBe(false)
    expect(await acceptEquivocationProof({ ...proof, witnessB: elsewhere }, keys)).toBe(false)
    expect(await acceptEquivocationProof({ ...proof, witnessB: { ...b, leafCount: 1 } }, keys)).toBe(false)
  })
})

describe("namespaces of a witness", () => {
  it("leave deniable, private and unmarked leaves out", () => {
    const namespaces = ["ok", "anonymous", "anonymous:rumor", "anonymous-tier:x", "Anonymous", "ok", "ok"]
    const scopes = ["all", "all", "all", "all", "Self", "self"]
    expect(filterWitnessLeaves([0, 1, 2, 3, 4, 5, 6], namespaces, scopes)).toEqual([0, 4])
  })

  it("are guarded at ingest", () => {
    const guard = (claimNamespaces: string[], leafCount = 1) => codeOf(() => guardNamespaces({ claimNamespaces, leafCount }))
    expect(guard(["trust_grant@m-1", "consent_state@m-1"])).toBeUndefined()
    expect(guard(["x:SELF"])).toBe("ForbiddenNamespace")
    expect(guard(["Anonymous:x"])).toBe("ForbiddenNamespace")
    expect(guard(["a", "a"])).toBe("DuplicateNamespace")
    expect(guard([], 1)).toBe("LeafCountMismatch")
    expect(guard([], 0)).toBeUndefined()
    // Only ASCII letters have two cases here: these are other words.
    expect(guard(["x:ſelf", "x:\u212A"])).toBeUndefined()
  })

  it("are compared as sets", () => {
    const of = (...claimNamespaces: string[]) => ({ claimNamespaces })
    expect(sameNamespaces(of("a", "b", "a"), of("b", "a"))).toBe(true)
    expect(sameNamespaces(of("a"), of("a", "b"))).toBe(false)
  })
})
