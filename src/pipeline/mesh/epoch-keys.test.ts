import { describe, expect, test } from "vitest"
import { EPOCH_AHEAD, EpochKeys, SEAL_SWITCH_MS } from "./epoch-keys.ts"

function epoch(number: bigint, sealNow: boolean) {
  return { type: "epoch", epoch: number, rootSecret: new Uint8Array(32).fill(Number(number)), members: 2, sealNow } as const
}

describe("epoch keys", () => {
  test("seals with the old epoch until told, at most 250 ms", () => {
    const keys = new EpochKeys()
    keys.install(epoch(1n, true), 0)
    keys.install(epoch(2n, false), 1_000)
    expect([keys.sealing.epoch, keys.opening.epoch]).toEqual([1n, 2n])
    keys.setSealEpoch(1n, 1_001)
    expect(keys.sealing.epoch).toBe(1n)
    keys.setSealEpoch(2n, 1_002)
    expect(keys.sealing.epoch).toBe(2n)

    keys.install(epoch(3n, false), 2_000)
    keys.tick(2_000 + SEAL_SWITCH_MS - 1)
    expect(keys.sealing.epoch).toBe(2n)
    keys.tick(2_000 + SEAL_SWITCH_MS)
    expect(keys.sealing.epoch).toBe(3n)
  })

  test("a founder and a removal seal at once", () => {
    const keys = new EpochKeys()
    keys.install(epoch(5n, true), 0)
    expect(keys.sealing.epoch).toBe(5n)
    keys.install(epoch(6n, true), 1)
    expect(keys.sealing.epoch).toBe(6n)
  })

  test("a joiner seals nothing until it is told that every leaf is verified", () => {
    const keys = new EpochKeys()
    keys.install(epoch(5n, false), 0)
    keys.tick(60_000)
    expect(keys.sealing.epoch).toBeUndefined()
    expect(keys.opening.epoch).toBe(5n)
    keys.setSealEpoch(5n, 60_001)
    expect(keys.sealing.epoch).toBe(5n)
  })

  test("the word to seal may come before the key", () => {
    const keys = new EpochKeys()
    keys.setSealEpoch(5n, 0)
    keys.install(epoch(5n, false), 1)
    expect(keys.sealing.epoch).toBe(5n)
  })

  test("a removal does not make a joiner seal earlier", () => {
    const keys = new EpochKeys()
    keys.install(epoch(5n, false), 0)
    keys.install(epoch(6n, true), 1)
    expect(keys.sealing.epoch).toBeUndefined()
  })

  test("a commit before the joiner may seal moves what it waits for", () => {
    const keys = new EpochKeys()
    keys.install(epoch(5n, false), 0)
    keys.install(epoch(6n, false), 10)
    expect(keys.sealing.epoch).toBeUndefined()
    keys.setSealEpoch(6n, 20)
    expect(keys.sealing.epoch).toBe(6n)
  })

  test("never goes on with an epoch that nobody can open any more", () => {
    const keys = new EpochKeys()
    keys.install(epoch(1n, true), 0)
    keys.install(epoch(2n, false), 1)
    keys.install(epoch(3n, false), 2)
    expect(keys.sealing.epoch).toBe(3n)
    expect(keys.opening.has(1n)).toBe(false)
    expect(keys.opening.has(2n)).toBe(true)
  })

  test("the previous epoch opens for 10 s", () => {
    const keys = new EpochKeys()
    keys.install(epoch(1n, true), 0)
    keys.install(epoch(2n, true), 100)
    keys.tick(10_099)
    expect(keys.opening.has(1n)).toBe(true)
    keys.tick(10_100)
    expect(keys.opening.has(1n)).toBe(false)
  })

  test("a resolved fork replaces the secret of the same epoch at once", () => {
    const keys = new EpochKeys()
    keys.install(epoch(1n, true), 0)
    keys.install(epoch(2n, false), 1)
    keys.install(epoch(2n, false), 2)
    expect(keys.sealing.epoch).toBe(2n)
  })

  test("overwrites the secret it was given, and waits only for epochs close ahead", () => {
    const keys = new EpochKeys()
    expect(keys.isExpected(99n)).toBe(true)
    const first = epoch(1n, true)
    keys.install(first, 0)
    expect(first.rootSecret.every((byte) => byte === 0)).toBe(true)
    expect([
      keys.isExpected(0n),
      keys.isExpected(2n),
      keys.isExpected(1n + EPOCH_AHEAD),
      keys.isExpected(2n + EPOCH_AHEAD),
    ]).toEqual([false, true, true, false])
    keys.erase()
    expect([keys.sealing.epoch, keys.opening.epoch]).toEqual([undefined, undefined])
  })
})
