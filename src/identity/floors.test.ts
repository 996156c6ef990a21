/** Floors, certificates, pins and the bounded map under them. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { clampSkew } from "./clock-skew.ts"
import { signFloorRecord, verifyFloorRecord } from "./floor-record.ts"
import { FloorTable } from "./floors.ts"
import { LruMap } from "./lru-map.ts"
import { certifiedId, isCertLive, issueMembershipCert, verifyMembershipCert } from "./membership-cert.ts"
import { PinTable } from "./pins.ts"
import { publicOnly } from "./public-only.ts"
import { signerFromSeeds } from "./signer.ts"

const entity = (n: number) => new Uint8Array(32).fill(n)
const owner = await signerFromSeeds(entity(1))
const member = await signerFromSeeds(entity(2))

async function codeOf(run: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await run()
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
  return undefined
}

/** Runs `check` with every bit of `bytes` flipped once, in parallel batches. */
async function everyFlip(bytes: Bytes, check: (changed: Bytes) => Promise<boolean>): Promise<number[]> {
  const verdicts = await Promise.all(
    Array.from({ length: bytes.length * 8 }, async (_, bit) => {
      const changed = bytes.slice()
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      return check(changed)
    }),
  )
  return verdicts.flatMap((accepted, bit) => (accepted ? [bit] : []))
}

describe("floor records (1.8)", () => {
  test("AUTH-R8b: only the entity itself can raise its floor; P5: every flipped bit is refused", async () => {
    const record = await signFloorRecord(owner, 3, 1000)
    expect(await verifyFloorRecord(record)).toEqual({ entity: owner.entityId, generation: 3, issuedMs: 1000n })
    const foreign = await signFloorRecord({ entityId: owner.entityId, signEd25519: member.signEd25519 }, 3, 1000)
    expect(await codeOf(() => verifyFloorRecord(foreign))).toBe("BadSignature")
    expect(await everyFlip(record, async (changed) => (await codeOf(() => verifyFloorRecord(changed))) === undefined)).toEqual([])
  })

  test("floors only rise, survive storage, and those of roots are never evicted", () => {
    const floors = new FloorTable(4)
    floors.protect(entity(9))
    expect([floors.raise(entity(9), 2), floors.raise(entity(9), 1), floors.raise(entity(9), 2)]).toEqual([true, false, false])
    for (let n = 10; n < 30; n++) floors.raise(entity(n), 1)
    expect([floors.size, floors.get(entity(9)), floors.get(entity(10)), floors.get(entity(29))]).toEqual([4, 2, 0, 1])
    const again = new FloorTable()
    again.restore([...floors.snapshot(), { entity: "zz", generation: 4 }, { entity: "00".repeat(32), generation: 1.5 }])
    expect(again.snapshot()).toEqual(floors.snapshot())
  })

  test("newcomers are given the records of roots first", () => {
    const floors = new FloorTable()
    floors.raise(entity(1), 1, entity(101))
    floors.raise(entity(2), 1)
    floors.raise(entity(3), 1, entity(103))
    floors.protect(entity(1))
    expect(floors.records(1)).toEqual([entity(101)])
    expect(floors.records(9)).toEqual([entity(101), entity(103)])
    // A floor known by word gains the record that proves it.
    floors.raise(entity(2), 1, entity(102))
    expect(floors.records(9)).toContainEqual(entity(102))
  })
})

describe("membership certificates (1.3)", () => {
  test("prove a derived id to their member, for their time", async () => {
    const cert = await issueMembershipCert(owner, { kind: "subnet", member: member.entityId, notBefore: 100n, notAfter: 200n })
    const proven = await verifyMembershipCert(cert, member.entityId)
    expect(proven.id).toEqual(certifiedId("subnet", owner.entityId))
    const live = [39n, 40n, 259n, 260n].map((now) => isCertLive(proven, now))
    expect(live).toEqual([false, true, true, false])
    expect(await codeOf(() => verifyMembershipCert(cert, owner.entityId))).toBe("NotAuthorized")
  })

  test("P5: every flipped bit is refused", async () => {
    const cert = await issueMembershipCert(owner, { kind: "group", member: member.entityId, notBefore: 0n, notAfter: 1n << 40n })
    const accepted = await everyFlip(
      cert,
      async (c) => (await codeOf(() => verifyMembershipCert(c, member.entityId))) === undefined,
    )
    expect(accepted).toEqual([])
  })
})

test("an identity without its signing half says so (1.1)", async () => {
  expect(await codeOf(() => signFloorRecord(publicOnly(owner.entityId), 1, 0))).toBe("ReadOnly")
})

test("the clock tolerance is bounded (5.5)", () => {
  expect([undefined, 0, 61.9, -5, 900, Number.NaN, Number.POSITIVE_INFINITY].map((s) => clampSkew(s))).toEqual([
    60, 0, 61, 0, 300, 60, 300,
  ])
})

test("pins: contradictions are counted, permanent ones known", () => {
  const pins = new PinTable(2)
  pins.pinForever("0000000000000001", entity(1))
  for (const n of [2, 3, 4]) pins.pin(`000000000000000${n}`, entity(n))
  expect([pins.size, pins.isPermanent("0000000000000001"), pins.get("0000000000000002")]).toEqual([3, true, undefined])
  expect(() => pins.pin("0000000000000001", entity(9))).toThrow(/EntityRebind/)
  expect([pins.refused, pins.get("0000000000000001")]).toEqual([1, entity(1)])
})

test("the bounded map agrees with a plain one that forgets its oldest unprotected key", () => {
  const isProtected = (key: number) => key % 5 === 0
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 30 }), fc.boolean()), { maxLength: 200 }), (steps) => {
      const lru = new LruMap<number, number>(8, isProtected)
      let age = 0
      const model = new Map<number, number>()
      for (const [key, remove] of steps) {
        if (remove) {
          expect(lru.delete(key)).toBe(model.delete(key))
          continue
        }
        const room = model.has(key) || model.size < 8 || [...model.keys()].some((k) => !isProtected(k))
        expect(lru.set(key, ++age)).toBe(room)
        if (!room) continue
        model.delete(key)
        const victim = [...model].filter(([k]) => !isProtected(k)).sort((a, b) => a[1] - b[1])[0]
        if (model.size >= 8 && victim !== undefined) model.delete(victim[0])
        model.set(key, age)
        expect(lru.size).toBeLessThanOrEqual(8)
        for (let k = 0; k <= 30; k++) if (lru.has(k) !== model.has(k)) throw new Error(`key ${k}`)
      }
    }),
  )
})
