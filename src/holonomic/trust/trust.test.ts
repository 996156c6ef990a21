/** Newcomers: what the reference's walk says, and what the gate asks for beyond it. */
import { expect, test } from "vitest"
import { trustGrantBytes } from "../claims/bodies.ts"
import { extractOwnerBindingForDestinationGate } from "../claims/signed-claim.ts"
import { testClaim } from "../content/testing.ts"
import { testPeer } from "../testing.ts"
import { recursiveTrustBootstrap, recursiveTrustBootstrapTrustServe, type TrustGraph } from "./bootstrap.ts"
import { bootstrapLinked, type JudgedClaim, type LinkedBootstrap, type LinkedVerdict } from "./linked.ts"
import { judged } from "./verified.ts"

const signer = (signerPeerId: string, verified = true) => ({ signerPeerId, verified })
const grant = (granter: string, depth = 0, weight = 255, grantee = "x") => ({
  granterPeerId: granter,
  granteePeerId: grantee,
  grantedAtUnixMs: 1n,
  chainDepth: depth,
  weight,
})
const graph = (change: Partial<TrustGraph> = {}): TrustGraph => ({ roots: ["R"], grants: [], maxChainDepth: 5, ...change })

function walk(chain: readonly string[], change: Partial<TrustGraph> = {}, candidate = signer("C")): string {
  const claims = chain.map((name) => (name.startsWith("!") ? signer(name.slice(1), false) : signer(name)))
  const verdict = recursiveTrustBootstrapTrustServe(candidate, graph(change), claims)
  expect(recursiveTrustBootstrap(candidate, graph(change), claims)).toEqual(verdict)
  return verdict.kind === "Refuse" ? verdict.reason : `${verdict.trustDistance} ${verdict.anchoredToRoot}`
}

test("the reference's walk, from the newest claim to the oldest", () => {
  expect(walk([], {}, signer("R"))).toBe("0 R")
  expect(walk(["R"])).toBe("1 R")
  expect(walk(["A", "B"])).toBe("ChainExhausted")
  expect(walk(["A", "B", "R"], { maxChainDepth: 2 })).toBe("ChainTooLong")
  expect(walk(["R", "A", "B"])).toBe("3 R")
  // What is older than the first root met is not looked at.
  expect(walk(["!A", "R"])).toBe("1 R")
  expect([walk(["R"], {}, signer("C", false)), walk(["R", "!A"])]).toEqual(["SignatureInvalid", "SignatureInvalid"])
  expect(walk(["G", "A"], { maxChainDepth: 2, grants: [grant("G", 1)] })).toBe("BudgetExceeded")
  expect(walk(["G"], { maxChainDepth: 2, grants: [grant("G", 1)] })).toBe("2 G")
  const five = ["R", "A", "B", "D", "E"]
  expect([walk(five), walk(["R", "X", ...five.slice(1)], { maxChainDepth: 255 })]).toEqual(["5 R", "ChainTooLong"])
  expect(walk(["A", "B", "A"])).toBe("TrustGraphCycle")
  const heavy = { grants: ["A", "B", "D"].map((name) => grant(name, 0, 100)) }
  expect(walk(["R", "A", "B", "D"], heavy)).toBe("AggregateWeightCapExceeded")
  expect(walk(["C", "R"])).toBe("1 R")
})

/** A chain `names[0] → … → C`. */
function chainOf(names: readonly string[], change: Partial<Record<string, unknown>> = {}, signers = names): JudgedClaim[] {
  return names.map((granter, i) => ({
    ...signer(signers[i]!),
    claimKind: "trust_grant",
    claimVersion: 1,
    claimBytes: trustGrantBytes({
      granter,
      grantee: names[i + 1] ?? "C",
      grantedAtUnixMs: 100n,
      chainDepth: 0,
      weight: 255,
      expiresAtUnixMs: 0n,
      ...change,
    }),
  }))
}

const text = (verdict: LinkedVerdict): string =>
  verdict.kind === "Refuse" ? verdict.reason : `${verdict.trustDistance} ${verdict.anchoredToRoot} ${verdict.standing}`

function gate(chain: readonly JudgedClaim[], change: Partial<LinkedBootstrap> = {}): string {
  return text(
    bootstrapLinked({
      candidate: signer("C"),
      fresh: true,
      graph: graph(),
      chain,
      revokes: [],
      nowUnixMs: 1_000n,
      ...change,
    }),
  )
}

test("the gate admits a linked chain and halves the root's trust", () => {
  expect(gate([], { candidate: signer("R") })).toBe("0 R 255")
  expect(gate(chainOf(["R"]))).toBe("1 R 127")
  expect(gate(chainOf(["R", "A", "B"]))).toBe("3 R 127")
  expect(gate(chainOf(["R", "A"], { weight: 128 }))).toBe("2 R 64")
  expect(
    gate(chainOf(["A"]), { graph: graph({ roots: ["R", "Q"], grants: ["R", "Q"].map((root) => grant(root, 0, 50, "A")) }) }),
  ).toBe("2 Q 50")
  const stronger = { roots: ["R", "Q"], grants: [grant("Q", 0, 50, "A"), grant("R", 0, 51, "A"), grant("X", 0, 255, "A")] }
  expect(gate(chainOf(["A"]), { graph: graph(stronger) })).toBe("2 R 51")
})

test("the gate refuses by name", () => {
  const good = chainOf(["R", "A"])
  expect(gate(good, { candidate: signer("C", false) })).toBe("SignatureInvalid")
  expect(gate(good, { fresh: false })).toBe("CandidateStale")
  expect(gate([])).toBe("ChainExhausted")
  expect(gate(chainOf(["R", "A", "B", "D", "E", "F"]), { graph: graph({ maxChainDepth: 255 }) })).toBe("ChainTooLong")
  expect(gate(good, { graph: graph({ maxChainDepth: 1 }) })).toBe("ChainTooLong")
  expect(gate(good.map((claim) => ({ ...claim, verified: false })))).toBe("SignatureInvalid")
  expect(gate(good.map((claim) => ({ ...claim, claimKind: "holding_claim" })))).toBe("ChainClaimMalformed")
  expect(gate(good.map((claim) => ({ ...claim, claimVersion: 2 })))).toBe("ChainClaimMalformed")
  expect(gate(good.map((claim) => ({ ...claim, claimBytes: Uint8Array.of(...claim.claimBytes, 0) })))).toBe("ChainClaimMalformed")
  expect(gate(chainOf(["R", "A"], {}, ["R", "B"]))).toBe("ChainClaimMalformed")
  // A public claim of a root that says nothing about the newcomer.
  expect(gate(chainOf(["R"], { grantee: "Z" }))).toBe("ChainUnlinked")
  expect(gate(chainOf(["R", "A", "R"]))).toBe("TrustGraphCycle")
  expect(gate(chainOf(["R", "C"]))).toBe("TrustGraphCycle")
  expect(gate(chainOf(["R"], { expiresAtUnixMs: 1_000n }))).toBe("GrantExpired")
  expect(gate(chainOf(["R"], { expiresAtUnixMs: 1_001n }))).toBe("1 R 127")
  const revoke = (revokedAtUnixMs: bigint, grantee = "C") => ({ revokes: [{ granter: "A", grantee, revokedAtUnixMs }] })
  expect([gate(good, revoke(100n)), gate(good, revoke(99n)), gate(good, revoke(100n, "R"))]).toEqual([
    "GrantRevoked",
    "2 R 127",
    "2 R 127",
  ])
  expect(gate(chainOf(["A", "B"]))).toBe("ChainExhausted")
  // Somebody who issues grants to others is no anchor.
  expect(gate(chainOf(["A"]), { graph: graph({ grants: [grant("A", 0, 255, "R")] }) })).toBe("ChainExhausted")
  const far = { maxChainDepth: 2, grants: [grant("R", 0, 255, "A")] }
  expect(gate(chainOf(["A", "B"]), { graph: graph(far) })).toBe("BudgetExceeded")
  expect(gate(chainOf(["R", "A"], { weight: 1 }))).toBe("AggregateWeightCapExceeded")
})

test("real claims: only what this process has verified opens the gate, and no owner is asked for", async () => {
  const [root, newcomer] = await Promise.all([testPeer(1), testPeer(2)])
  const body = {
    granter: root.keyId,
    grantee: newcomer.keyId,
    grantedAtUnixMs: 1n,
    chainDepth: 0,
    weight: 255,
    expiresAtUnixMs: 0n,
  }
  const claim = await testClaim(root, "trust_grant", trustGrantBytes(body))
  const hello = await testClaim(newcomer, "bootstrap_hello", Uint8Array.of(1))
  const input = { fresh: true, graph: graph({ roots: [root.keyId] }), revokes: [], nowUnixMs: 5n }
  const admitted = bootstrapLinked({ ...input, candidate: judged(hello), chain: [judged(claim)] })
  expect(admitted).toEqual({ kind: "AdmitTrustServe", trustDistance: 1, anchoredToRoot: root.keyId, standing: 127 })
  const copied = bootstrapLinked({ ...input, candidate: judged(hello), chain: [judged({ ...claim })] })
  expect(copied).toEqual({ kind: "Refuse", reason: "SignatureInvalid" })
  expect(extractOwnerBindingForDestinationGate(claim)).toBeUndefined()
})
