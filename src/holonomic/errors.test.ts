/** Every name that an error, a refusal or a verdict of this part can have is met in some test. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { expect, test } from "vitest"

const NAMES = {
  encoding: ["IllFormedString", "IntegerOutOfRange", "Base64Invalid", "CanonSerialize"],
  "witness verification": [
    "Valid",
    "PqcMissing",
    "ClassicalSignatureInvalid",
    "PqcSignatureInvalid",
    "BothSignaturesInvalid",
    "CanonicalSerializationFailed",
  ],
  "witness taken in": [
    "UnsupportedVersion",
    "ForbiddenNamespace",
    "DuplicateNamespace",
    "LeafCountMismatch",
    "EpochInFuture",
    "Duplicate",
    "NamespaceFork",
    "Equivocation",
    "Rollback",
  ],
  advertisements: [
    "Stale",
    "SignatureInvalid",
    "InsufficientCapacity",
    "WireDecode",
    "PqcPubkeyMissing",
    "SignerLacksPqc",
    "SignerError",
  ],
  "admission of contents": [
    "UnsupportedManifestVersion",
    "HybridRequired",
    "HybridVerify",
    "Canonicalization",
    "SymbolHashesLenMismatch",
    "SymbolContentIdMismatch",
    "SymbolIdOutOfRange",
    "DuplicateSymbolId",
    "SymbolHashMismatch",
    "ContentRevoked",
    "ManifestConflict",
    "HardDeleteFailed",
  ],
  policies: ["TotalSymbols", "MinViable", "TargetBelowTotal", "RepairBand", "InvalidRange"],
  "admission of peers": [
    "ChainExhausted",
    "ChainTooLong",
    "BudgetExceeded",
    "TrustGraphCycle",
    "AggregateWeightCapExceeded",
    "CandidateStale",
    "ChainClaimMalformed",
    "ChainUnlinked",
    "GrantExpired",
    "GrantRevoked",
  ],
  ageing: ["PersistUnavailable", "InvalidConsentClass", "OverdueBacklog"],
  folds: [
    "MissingAggregatorPubkey",
    "MalformedInput",
    "MemberCommitmentMismatch",
    "Dominated",
    "Multiplicity",
    "AggregationShapeMismatch",
    "AggregationConflict",
    "AggregationNotFound",
    "DuplicateSource",
    "SourceCountMismatch",
    "NoMembers",
    "EmptyMember",
    "TooManyMembers",
  ],
  topology: ["TopologyDivergence"],
  storage: ["StorageUnavailable", "StorageCorrupt", "QuotaExceeded"],
} as const

const SRC = join(dirname(fileURLToPath(import.meta.url)), "..")

function testsBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return testsBelow(path)
    return entry.name.endsWith(".test.ts") && path !== fileURLToPath(import.meta.url) ? [path] : []
  })
}

test("no name is without a test that expects it", () => {
  const texts = ["holonomic", "store", "wire", "identity", "alm", "crypto"].flatMap((part) =>
    testsBelow(join(SRC, part)).map((path) => readFileSync(path, "utf8")),
  )
  expect(texts.length).toBeGreaterThan(50)
  for (const [family, names] of Object.entries(NAMES)) {
    for (const name of names) {
      const met = texts.some((text) => text.includes(`"${name}"`) || text.includes(`toThrow("${name}`))
      expect(met, `${family}: ${name}`).toBe(true)
    }
  }
})
