/** What the reference pins about rarity, ejection, tiers, room and age. */
import { expect, test } from "vitest"
import { retentionPriority } from "../../fountain/config.ts"
import type { ErrorCode } from "../../wire/errors.ts"
import { codeOf } from "../../wire/testing.ts"
import { codeOfRejection } from "../testing.ts"
import { CONSENT_CLASSES, computeDecayTier, type DecayTier, thresholdsOf, tierOfDecay } from "./decay.ts"
import { ConsentDecayScheduler, type ConsentDecayStore, unwiredDecayStore } from "./decay-scheduler.ts"
import { headroomLevel, isWorse, pressureOrder, pressureTier } from "./headroom.ts"
import { type FountainPolicy, recommendedPolicy, validatePolicy } from "./policy.ts"
import {
  consentAwareRarity,
  ejectionVerdict,
  type HoldingVerification,
  overTargetThreshold,
  rarityScore,
  shouldEjectAboveTarget,
} from "./rarity.ts"
import { classify, keepCount, moreSevere, RETENTION_TIERS, survivors } from "./tiers.ts"

const DAY = 86_400_000n
const claim = (peerId: string, symbolIds = [1], contentId = "c") => ({ peerId, contentId, symbolIds })
const judged = (count: number, verification: HoldingVerification) =>
  Array.from({ length: count }, (_, i) => ({ claim: claim(`p${i}`), verification }))

test("rarity counts distinct peers of this content and symbol", () => {
  expect(rarityScore("c", 1, [])).toBe(0)
  const claims = [claim("a"), claim("a", [1, 2]), claim("b"), claim("c", [2]), claim("d", [1], "other")]
  expect(rarityScore("c", 1, claims)).toBe(2)
  expect(rarityScore("c", 1, claims.toReversed())).toBe(2)
})

test("consent comes before rarity, and proof weighs twice", () => {
  const rare = (count: number, verification: HoldingVerification) =>
    consentAwareRarity("c", 1, judged(count, verification), "Active")
  expect(rare(1, "PossessionVerified")).toEqual({ kind: "RetainRare", weight: 2 })
  expect([rare(2, "PossessionVerified"), rare(4, "SignatureOnly")]).toEqual(Array(2).fill({ kind: "RetainRare", weight: 4 }))
  expect(rare(10, "Unverified")).toEqual({ kind: "RetainRare", weight: 0 })
  expect(rare(30, "PossessionVerified")).toEqual({ kind: "EvictEligible", reason: "NotRare" })
  for (const count of [0, 1]) {
    const claims = judged(count, "PossessionVerified")
    expect(consentAwareRarity("c", 1, claims, "Revoked")).toEqual({ kind: "EvictEligible", reason: "ConsentRevoked" })
    expect(consentAwareRarity("c", 1, claims, "Unknown")).toEqual({ kind: "EvictEligible", reason: "ConsentUnknown" })
  }
  const twice = [...judged(1, "SignatureOnly"), ...judged(1, "PossessionVerified"), ...judged(1, "Unverified")]
  expect(consentAwareRarity("c", 1, twice, "Active")).toEqual({ kind: "RetainRare", weight: 2 })
})

test("ejection above the target", () => {
  const policy = recommendedPolicy()
  expect(policy).toEqual({ nSource: 20, kRepair: 6, minViableSymbols: 5, targetHolders: 30 })
  expect(overTargetThreshold(30)).toBe(34)
  const eject = (holders: number, rarity: number, consent: "Active" | "Unknown" | "Revoked" = "Active") =>
    shouldEjectAboveTarget(holders, policy, consent, rarity)
  expect([0, 10, 20, 30, 34].map((holders) => eject(holders, 99))).toEqual(Array(5).fill("Keep"))
  expect([eject(35, 20), eject(100, 5), eject(20, 50, "Unknown"), eject(50, 50, "Unknown")]).toEqual([
    "EjectToTier",
    "Keep",
    "Keep",
    "EjectToTier",
  ])
  expect([eject(0, 0, "Revoked"), eject(30, 30, "Revoked"), eject(200, 1, "Revoked")]).toEqual(Array(3).fill("EjectHardDelete"))
  expect(shouldEjectAboveTarget(2 ** 40, { targetHolders: 2 ** 32 - 1 }, "Active", 2 ** 31)).toBe("EjectToTier")
  const verdicts = (["Active", "Unknown", "Revoked"] as const).flatMap((one) => [
    ejectionVerdict(one, false),
    ejectionVerdict(one, true),
  ])
  expect(verdicts).toEqual(["Keep", "EjectToTier", "Keep", "EjectToTier", "EjectHardDelete", "EjectHardDelete"])
})

test("policies of applications are checked", () => {
  const check = (change: Partial<FountainPolicy>, total?: number): ErrorCode | undefined =>
    codeOf(() => validatePolicy({ ...recommendedPolicy(), ...change }, total))
  expect(check({})).toBeUndefined()
  expect(check({}, 27)).toBe("TotalSymbols")
  expect([check({ minViableSymbols: 0 }), check({ minViableSymbols: 20 })]).toEqual(["MinViable", "MinViable"])
  expect(check({ targetHolders: 25 })).toBe("TargetBelowTotal")
  expect([check({ kRepair: 3 }), check({ kRepair: 9 })]).toEqual(["RepairBand", "RepairBand"])
  expect([check({ nSource: 0.5 }), check({ kRepair: -1 })]).toEqual(["UsageError", "UsageError"])
})

test("what goes first: worse layers, then repair, then the tail", () => {
  expect([retentionPriority(0, 0, 8), retentionPriority(0, 7, 8), retentionPriority(0, 8, 8)]).toEqual([0, 28, 32])
  expect([0, 1, 2, 3].map((r) => retentionPriority(0, 8 + r, 8))).toEqual([32, 48, 53, 56])
  for (const quality of [4, 255]) expect(retentionPriority(quality, 5, 8)).toBe(retentionPriority(3, 5, 8))
  expect([3, 1, 0].map((quality) => retentionPriority(quality, 0, 8) & 0xc0)).toEqual([0xc0, 0x40, 0])
  // Products that leave 32 bits stay at the largest number.
  expect([retentionPriority(0, 2 ** 31, 2 ** 32 - 1), retentionPriority(0, 2 ** 31, 0)]).toEqual([1, 33])
  for (let layer = 0; layer < 3; layer++) {
    const ranks = Array.from({ length: 26 }, (_, id) => retentionPriority(layer, id, 20))
    expect(Math.max(...ranks.slice(0, 20))).toBeLessThan(Math.min(...ranks.slice(20)))
    expect(Math.max(...ranks)).toBeLessThan(retentionPriority(layer + 1, 0, 20))
  }
})

test("classes and tiers at their bounds", () => {
  const classes = [10, 11, 9, 3, 2, 0].map((present) => classify(present, 10, 3))
  expect(classes).toEqual(["Full", "Full", "Partial", "Partial", "EnvelopeOnly", "EnvelopeOnly"])
  const keeps = (nSource: number, kRepair: number, minViableSymbols: number) =>
    RETENTION_TIERS.map((tier) => keepCount(tier, { nSource, kRepair, minViableSymbols }))
  expect(keeps(10, 4, 3)).toEqual([14, 10, 7, 3, 0, 0])
  expect(keeps(20, 6, 5)).toEqual([26, 20, 13, 5, 0, 0])
  expect(keeps(4, 1, 9)).toEqual([5, 4, 4, 4, 0, 0])
  expect([moreSevere("T2", "T4"), moreSevere("T5", "Full"), moreSevere("HardDelete", "T5")]).toEqual(["T4", "T5", "HardDelete"])
  expect(
    survivors(
      [
        { symbolId: 9, priority: 1 },
        { symbolId: 2, priority: 1 },
        { symbolId: 1, priority: 7 },
      ],
      2,
    ),
  ).toEqual([2, 9])
})

test("headroom: the smaller limit counts, and equality reaches it", () => {
  const MIB = 1_048_576
  const level = (quota: number, left: number) => headroomLevel(quota, quota - left)
  const small = 1_000 * MIB
  expect([21, 20, 10, 5, 1].map((percent) => level(small, (small / 100) * percent))).toEqual([
    "normal",
    "warn",
    "crit",
    "stop",
    "host_at_risk",
  ])
  const large = 2 ** 45
  expect([1_025, 1_024, 500, 200, 50].map((mib) => level(large, mib * MIB))).toEqual([
    "normal",
    "warn",
    "crit",
    "stop",
    "host_at_risk",
  ])
  expect(headroomLevel(10, 20)).toBe("host_at_risk")
  expect([isWorse("stop", "warn"), isWorse("warn", "warn")]).toEqual([true, false])
  expect(["normal", "warn", "crit", "stop", "host_at_risk"].map((one) => pressureTier(one as "crit", false))).toEqual([
    "Full",
    "T2",
    "T3",
    "T4",
    "T5",
  ])
  expect(pressureTier("host_at_risk", true)).toBe("T2")
})

test("who gives way first", () => {
  const one = (name: string, own: boolean, consentUnknown: boolean, hasRare: boolean, at: bigint) => ({
    name,
    own,
    consentUnknown,
    hasRare,
    admittedAtUnixMs: at,
  })
  const order = pressureOrder([
    one("own", true, true, false, 0n),
    one("rare", false, false, true, 1n),
    one("younger", false, false, false, 3n),
    one("older", false, false, false, 2n),
    one("unknown", false, true, true, 9n),
  ])
  expect(order.map(({ name }) => name)).toEqual(["unknown", "older", "younger", "rare", "own"])
})

test("every day of the known classes", () => {
  const tiers: DecayTier[] = ["Full", "T2DropRepair", "T3DropHighQuality", "T4MinViableOnly", "EnvelopeOnly"]
  for (const [name, ends] of [
    ["TEMPORARY", [4, 8, 11, 14]],
    ["STANDARD", [26, 51, 70, 90]],
    ["PERSISTENT", [1095, 2190, 2920, 3650]],
  ] as const) {
    const thresholds = thresholdsOf(name)!
    for (let day = 0; day <= ends[3] + 1; day++) {
      const expected = tiers[ends.filter((end) => day >= end).length]
      const at = (ms: bigint) => computeDecayTier({ admittedAtUnixMs: 7n, revokedAtUnixMs: null, thresholds }, ms)
      expect([at(7n + BigInt(day) * DAY), at(6n + BigInt(day + 1) * DAY)]).toEqual([expected, expected])
    }
  }
  const thresholds = CONSENT_CLASSES.STANDARD!
  const at = (now: bigint, revokedAtUnixMs: bigint | null = null) =>
    computeDecayTier({ admittedAtUnixMs: 1_000n, revokedAtUnixMs, thresholds }, now)
  expect([at(0n), at(1_000n), at(2n ** 63n), at(0n, 2n ** 60n)]).toEqual(["Full", "Full", "EnvelopeOnly", "HardDelete"])
  expect(thresholdsOf("constructor")).toBeUndefined()
  expect(thresholdsOf("OWN", thresholds)).toBe(thresholds)
})

/** Contents `0 … count - 1`, all admitted at 0. */
function fakeStore(count: number, change: Partial<ConsentDecayStore<number>> = {}) {
  const calls = { list: 0, schedule: 0, deleted: [] as number[] }
  const tiers = new Map<number, DecayTier>(Array.from({ length: count }, (_, i) => [i, "Full"]))
  const store: ConsentDecayStore<number> = {
    listFountainContent: async () => {
      calls.list += 1
      return [...tiers]
    },
    getConsentSchedule: async () => {
      calls.schedule += 1
      const thresholds = CONSENT_CLASSES.TEMPORARY
      return { admittedAtUnixMs: 0n, revokedAtUnixMs: null, className: "TEMPORARY", thresholds }
    },
    setDecayTier: async (content, tier) => {
      tiers.set(content, tier)
    },
    hardDelete: async (content) => {
      calls.deleted.push(content)
    },
    ...change,
  }
  return { store, calls, tiers }
}

test("a walk looks at each content once, writes what differs, and no failure stops it", async () => {
  const { store, calls, tiers } = fakeStore(5)
  tiers.set(2, "T2DropRepair")
  const failed: unknown[] = []
  const scheduler = new ConsentDecayScheduler(store, { failed: (content) => failed.push(content) })
  expect(await scheduler.tick(5n * DAY)).toBe(4)
  expect(calls).toMatchObject({ list: 1, schedule: 5 })
  expect([...tiers.values()]).toEqual(Array(5).fill("T2DropRepair"))
  expect(await scheduler.tick(0n)).toBe(0)
  const { setDecayTier } = store
  store.setDecayTier = async (content, tier) => {
    if (content === 3) throw new Error("no")
    await setDecayTier(content, tier)
  }
  expect(await scheduler.tick(9n * DAY)).toBe(4)
  expect(failed).toEqual([3])
  expect(await scheduler.tick(9n * DAY)).toBe(0)
})

test("a revoked content goes by its own way, an unexplained class stays as it is, a backlog is told", async () => {
  const revoked = { admittedAtUnixMs: 0n, revokedAtUnixMs: 1n, className: "X", thresholds: undefined }
  const gone = fakeStore(1, { getConsentSchedule: async () => revoked })
  expect(await new ConsentDecayScheduler(gone.store).tick(0n)).toBe(1)
  expect([gone.calls.deleted, gone.tiers.get(0)]).toEqual([[0], "Full"])
  const unknown = fakeStore(1, { getConsentSchedule: async () => ({ ...revoked, revokedAtUnixMs: null }) })
  const errors: unknown[] = []
  await new ConsentDecayScheduler(unknown.store, { failed: (_, error) => errors.push(error) }).tick(99n * DAY)
  expect(errors).toMatchObject([{ code: "InvalidConsentClass", details: { name: "X" } }])
  const overdue: unknown[] = []
  const events = { overdue: (backlog: unknown) => overdue.push(backlog) }
  await new ConsentDecayScheduler(fakeStore(1_000).store, events).tick(99n * DAY)
  await new ConsentDecayScheduler(fakeStore(1_001).store, events).tick(99n * DAY)
  expect(overdue).toMatchObject([{ code: "OverdueBacklog", details: { contents: 1_001 } }])
})

test("the loop walks at once, skips what it missed, survives a failing walk, and ends when told", async () => {
  const abort = new AbortController()
  let now = 1_000
  const sleeps: number[] = []
  const { store, calls } = fakeStore(0)
  const { listFountainContent } = store
  store.listFountainContent = async () => {
    if (calls.list === 1) {
      calls.list += 1
      throw new Error("no list")
    }
    return listFountainContent()
  }
  const failures: unknown[] = []
  const sleep = async (ms: number) => {
    sleeps.push(ms)
    // The machine slept through ten walks.
    now += sleeps.length === 2 ? 10 * 60_000 + 7 : ms
    if (sleeps.length === 4) abort.abort()
  }
  const scheduler = new ConsentDecayScheduler(store, { tickFailed: (error) => failures.push(error) })
  await scheduler.run(abort.signal, { now: () => BigInt(now), sleep })
  expect(calls.list).toBe(4)
  expect(sleeps).toEqual([60_000, 60_000, 59_993, 60_000])
  expect(failures).toHaveLength(1)
})

test("a scheduler without a store says so", async () => {
  const store = unwiredDecayStore<string>()
  const calls = [
    () => store.listFountainContent(),
    () => store.getConsentSchedule("x"),
    () => store.setDecayTier("x", "Full"),
    () => store.hardDelete("x"),
    () => new ConsentDecayScheduler(store).tick(0n),
  ]
  for (const call of calls) expect(await codeOfRejection(call)).toBe("PersistUnavailable")
  expect(tierOfDecay("T4MinViableOnly")).toBe("T4")
})
