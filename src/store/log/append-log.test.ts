import { mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { crc32 as zlibCrc32 } from "node:zlib"
import fc from "fast-check"
import { afterEach, describe, expect, it, vi } from "vitest"
import type { Bytes } from "../../wire/types.ts"
import { AppendLog, type AppendLogOptions } from "./append-log.ts"
import { crc32 } from "./crc32.ts"
import { openNodeLog } from "./node.ts"
import { decodeMeta, encodeMeta, encodeRecords, META_LENGTH } from "./record.ts"
import type { LogStorage } from "./storage.ts"
import { type Durability, SyncPolicy } from "./sync-policy.ts"

const payload = (n: number): Bytes => Uint8Array.from({ length: 1 + (n % 7) }, (_, i) => n + i)

/** A disk that dies at the operation it is told to, and then forgets what was not synced. */
class TestDisk implements LogStorage {
  cached: Bytes = new Uint8Array()
  safe: Bytes = new Uint8Array()
  meta: Bytes | undefined
  syncs = 0
  operations = 0
  /** The operation that dies half done. */
  dieAt = Number.POSITIVE_INFINITY
  failing = new Set<"append" | "truncate" | "sync">()
  /** Holds syncs until resolved. */
  gate: Promise<void> | undefined
  syncing = 0

  #step(name: "append" | "truncate" | "sync" | "meta"): boolean {
    this.operations += 1
    if (this.operations > this.dieAt) throw new Error("dead")
    if (name !== "meta" && this.failing.has(name)) throw new Error(name)
    return this.operations === this.dieAt
  }

  async size() {
    return this.cached.length
  }
  async read(offset: number, length: number) {
    return this.cached.slice(offset, offset + Math.min(length, 5 + (offset % 11)))
  }
  async append(bytes: Bytes, offset: number) {
    expect(offset).toBe(this.cached.length)
    let dies = false
    try {
      dies = this.#step("append")
    } catch (error) {
      this.#put(bytes.subarray(0, bytes.length >> 1))
      throw error
    }
    this.#put(dies ? bytes.subarray(0, bytes.length >> 1) : bytes)
    if (dies) throw new Error("dead")
  }
  async truncate(length: number) {
    if (this.#step("truncate")) throw new Error("dead")
    this.cached = this.cached.slice(0, length)
  }
  async sync() {
    const covered = this.cached
    const dies = this.#step("sync")
    this.syncing += 1
    expect(this.syncing).toBe(1)
    await this.gate
    this.syncing -= 1
    if (dies) throw new Error("dead")
    this.safe = covered
    this.syncs += 1
  }
  async readMeta() {
    return this.meta
  }
  async writeMeta(bytes: Bytes) {
    this.meta = this.#step("meta") ? bytes.slice(0, 10) : bytes
  }
  async close() {}

  #put(bytes: Bytes) {
    const grown = new Uint8Array(this.cached.length + bytes.length)
    grown.set(this.cached)
    grown.set(bytes, this.cached.length)
    this.cached = grown
  }

  /** The disk after the lights went out: what was safe, and of the rest some part, some of it garbage. */
  afterPowerLoss(kept: number, garbage: number): TestDisk {
    const next = new TestDisk()
    const unsafe = this.cached.length - this.safe.length
    next.cached = this.cached.slice(0, this.safe.length + (unsafe > 0 ? kept % (unsafe + 1) : 0))
    for (let i = this.safe.length; i < next.cached.length; i++) if ((i * garbage) % 5 === 1) next.cached[i] = garbage & 0xff
    next.meta = this.meta
    return next
  }

  afterCrash(): TestDisk {
    const next = new TestDisk()
    next.cached = this.cached
    next.meta = this.meta
    return next
  }
}

async function contents(log: AppendLog): Promise<string[]> {
  const out: string[] = []
  for await (const { seq, payload: bytes } of log.records()) {
    expect(seq).toBe(BigInt(out.length))
    out.push(bytes.join())
  }
  return out
}

const open = (disk: TestDisk, options?: AppendLogOptions) => AppendLog.open(disk, options)
const expected = (count: number) => Array.from({ length: count }, (_, i) => payload(i).join())

describe("records", () => {
  it("are checked with zlib's CRC-32", () => {
    fc.assert(fc.property(fc.uint8Array({ minLength: 1, maxLength: 100 }), (bytes) => crc32(bytes) === zlibCrc32(bytes)))
    expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926)
  })

  it("have the documented layout, and so has the checkpoint", () => {
    const [bytes] = [encodeRecords([Uint8Array.of(7), Uint8Array.of(8, 9)], 5n, crc32)]
    const view = new DataView(bytes.buffer)
    expect([bytes.length, view.getUint32(0, true), view.getBigUint64(8, true), bytes[16]]).toEqual([35, 1, 5n, 7])
    expect([view.getUint32(17, true), view.getBigUint64(25, true), view.getUint32(4, true)]).toEqual([
      2,
      6n,
      zlibCrc32(bytes.subarray(8, 17)),
    ])
    const meta = encodeMeta({ seq: 3n, offset: 99 }, crc32)
    expect([meta.length, decodeMeta(meta, crc32)]).toEqual([META_LENGTH, { seq: 3n, offset: 99 }])
    for (let at = 4; at < meta.length; at++)
      expect(
        decodeMeta(
          meta.map((byte, i) => (i === at ? byte ^ 1 : byte)),
          crc32,
        ),
      ).toBeUndefined()
    expect(() =>
      decodeMeta(
        meta.map((byte, i) => (i === 0 ? 2 : byte)),
        crc32,
      ),
    ).toThrow(expect.objectContaining({ code: "StoreError" }))
    expect(() => encodeRecords([new Uint8Array()], 0n, crc32)).toThrow(expect.objectContaining({ code: "UsageError" }))
  })

  it("survive any bytes in the file: what is read is a prefix of what was written", async () => {
    const written = encodeRecords(
      Array.from({ length: 9 }, (_, i) => payload(i)),
      0n,
      crc32,
    )
    const change = fc.record({
      cut: fc.nat(written.length),
      flips: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 2 }),
      meta: fc.option(fc.uint8Array({ maxLength: 30 })),
    })
    await fc.assert(
      fc.asyncProperty(change, async ({ cut, flips, meta }) => {
        const disk = new TestDisk()
        disk.cached = written.slice(0, cut)
        for (const [at, mask] of flips) if (cut > 0) disk.cached[at % cut] = (disk.cached[at % cut] ?? 0) ^ mask
        disk.meta = meta ?? undefined
        const log = await open(disk)
        const found = await contents(log)
        expect(found).toEqual(expected(9).slice(0, found.length))
        expect(await log.append(payload(0))).toBe(BigInt(found.length))
      }),
      { numRuns: 1_000 },
    )
  })
})

describe("append log", () => {
  it("numbers records, writes a batch at once, and reads them back", async () => {
    const disk = new TestDisk()
    const log = await open(disk)
    expect(await log.appendBatch([payload(0), payload(1)])).toBe(0n)
    expect(await log.appendBatch([])).toBeNull()
    expect(disk.operations).toBe(1)
    expect(await Promise.all([log.append(payload(2)), log.append(payload(3))])).toEqual([2n, 3n])
    expect([await contents(log), log.nextSeq, disk.syncs]).toEqual([expected(4), 4n, 0])
    await log.close()
    expect(disk.syncs).toBe(1)
    await expect(log.append(payload(4))).rejects.toMatchObject({ code: "StoreError" })
    const again = await open(disk.afterPowerLoss(0, 0))
    expect(await contents(again)).toEqual(expected(4))
  })

  it("LOG-R5: cuts a torn tail off at every byte", async () => {
    const written = encodeRecords([payload(0), payload(1), payload(2)], 0n, crc32)
    const ends = [0, 17, 35, 54]
    for (let length = 0; length <= written.length; length++) {
      const disk = new TestDisk()
      disk.cached = written.slice(0, length)
      const log = await open(disk)
      const whole = ends.filter((end) => end > 0 && end <= length).length
      expect([log.nextSeq, disk.cached.length]).toEqual([BigInt(whole), ends[whole]])
      await log.append(payload(whole))
      expect(await contents(log)).toEqual(expected(whole + 1))
    }
  })

  const policies: [Durability, (records: number, bytes: number) => boolean][] = [
    ["never", () => true],
    [{ everyN: 0 }, (records) => records <= 1],
    [{ everyN: 1 }, (records) => records <= 1],
    [{ everyN: 5 }, (records) => records <= 5],
    [{ intervalMs: 0, maxBytes: 60 }, (_records, bytes) => bytes <= 60 + 24],
    [{ intervalMs: 0 }, () => true],
  ]

  it("LOG-R1: loses no more than its policy allows, wherever it crashes", async () => {
    for (const [durability, allowed] of policies) {
      for (let dieAt = 1; dieAt <= 45; dieAt++) {
        const disk = new TestDisk()
        disk.dieAt = dieAt
        const log = await open(disk, { durability })
        let acknowledged = 0
        for (let i = 0; i < 20; i++) {
          try {
            await log.append(payload(i))
          } catch {
            break
          }
          acknowledged = i + 1
          // A background sync gets its turn, as it would between two messages.
          await new Promise((resolve) => setImmediate(resolve))
        }
        const afterCrash = await contents(await open(disk.afterCrash()))
        expect(afterCrash).toEqual(expected(afterCrash.length))
        expect(afterCrash.length).toBeGreaterThanOrEqual(acknowledged)
        for (const kept of [0, 1, 17, 1_000]) {
          const found = await contents(await open(disk.afterPowerLoss(kept, dieAt)))
          expect(found).toEqual(expected(found.length))
          const lost = expected(acknowledged).slice(found.length)
          // The append or sync under way when the disk died is "in flight".
          const inFlight = 1
          expect(allowed(lost.length - inFlight, (lost.length - inFlight) * 23)).toBe(true)
        }
      }
    }
  })

  it("recovers a prefix with everything synced from any crash", async () => {
    const script = fc.record({
      steps: fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant("sync" as const)), { maxLength: 20 }),
      dieAt: fc.integer({ min: 1, max: 60 }),
      kept: fc.nat(2_000),
      garbage: fc.nat(255),
      durability: fc.constantFrom<Durability>("never", { everyN: 3 }, { intervalMs: 0, maxBytes: 50 }),
    })
    await fc.assert(
      fc.asyncProperty(script, async ({ steps, dieAt, kept, garbage, durability }) => {
        const disk = new TestDisk()
        disk.dieAt = dieAt
        const log = await open(disk, { durability })
        let asked = 0
        let synced = 0
        for (const step of steps) {
          try {
            if (step === "sync") {
              await log.sync()
              synced = asked
            } else {
              await log.appendBatch(Array.from({ length: step }, (_, i) => payload(asked + i)))
              asked += step
            }
          } catch {
            break
          }
        }
        const found = await contents(await open(disk.afterPowerLoss(kept, garbage)))
        expect(found).toEqual(expected(found.length))
        expect(found.length).toBeGreaterThanOrEqual(synced)
        expect(found.length).toBeLessThanOrEqual(asked + 5)
      }),
      { numRuns: 2_000 },
    )
  })

  it("LOG-R2: runs one sync and keeps one waiting under a thousand triggers", async () => {
    const disk = new TestDisk()
    let release = () => {}
    disk.gate = new Promise((resolve) => (release = resolve))
    const log = await open(disk, { durability: { everyN: 1 } })
    for (let i = 0; i < 1_000; i++) await log.append(payload(i))
    expect([disk.syncing, disk.syncs]).toEqual([1, 0])
    release()
    await log.sync()
    expect(disk.syncs).toBe(2)
    expect(disk.safe.length).toBe(disk.cached.length)
  })

  it("LOG-R3: sync, close and a durable append wait for a sync that covers them", async () => {
    const disk = new TestDisk()
    let release = () => {}
    disk.gate = new Promise((resolve) => (release = resolve))
    const log = await open(disk, { durability: { everyN: 1 } })
    await log.append(payload(0))
    const later = log.append(payload(1), { durable: true })
    const barrier = log.sync()
    let passed = false
    void barrier.then(() => (passed = true))
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(passed).toBe(false)
    release()
    await barrier
    expect([await later, disk.safe.length === disk.cached.length]).toEqual([1n, true])
    const last = log.append(payload(2))
    await log.close()
    expect([await last, disk.safe.length === disk.cached.length]).toEqual([2n, true])
    await log.close()
  })

  it("LOG-R4: counts and reports a failing sync and tries again at the next occasion", async () => {
    const disk = new TestDisk()
    const failures: unknown[] = []
    const log = await open(disk, { durability: { everyN: 2 }, onSyncFailure: (error) => failures.push(error) })
    disk.failing.add("sync")
    for (let i = 0; i < 4; i++) {
      await log.append(payload(i))
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect([log.syncFailures, failures.length, disk.syncs]).toEqual([2, 2, 0])
    await expect(log.sync()).rejects.toMatchObject({ code: "StoreError" })
    await expect(log.append(payload(4), { durable: true })).rejects.toMatchObject({ code: "StoreError" })
    disk.failing.clear()
    await log.appendBatch([payload(5), payload(6)])
    await new Promise((resolve) => setImmediate(resolve))
    expect([disk.syncs, disk.safe.length]).toEqual([1, disk.cached.length])
    disk.failing.add("sync")
    await expect(log.close()).rejects.toMatchObject({ code: "StoreError" })
  })

  it("takes a failed write back before it reports it, and stops when it cannot", async () => {
    const disk = new TestDisk()
    const log = await open(disk)
    await log.append(payload(0))
    disk.failing.add("append")
    await expect(log.append(payload(1))).rejects.toMatchObject({ code: "StoreError" })
    disk.failing.clear()
    expect(await log.append(payload(1))).toBe(1n)
    expect(await contents(log)).toEqual(expected(2))
    disk.failing = new Set(["append", "truncate"])
    await expect(log.append(payload(2))).rejects.toMatchObject({ code: "StoreError" })
    disk.failing.clear()
    await expect(log.append(payload(2))).rejects.toMatchObject({ details: { what: "log broken" } })
    await log.close()
    expect(await contents(await open(disk.afterCrash()))).toEqual(expected(2))
  })

  it("scans from the checkpoint, or from the start when it is torn or too far", async () => {
    const disk = new TestDisk()
    const log = await open(disk)
    await log.appendBatch([payload(0), payload(1)])
    await log.sync()
    await log.append(payload(2))
    const next = disk.afterCrash()
    const offsets: number[] = []
    const read = next.read.bind(next)
    next.read = (offset, length) => {
      offsets.push(offset)
      return read(offset, length)
    }
    expect((await open(next)).nextSeq).toBe(3n)
    expect(Math.min(...offsets)).toBe(35)
    next.meta = encodeMeta({ seq: 9n, offset: 10_000 }, crc32)
    expect((await open(next)).nextSeq).toBe(3n)
  })

  it("LOG-R6: counts a batch as its records and syncs once for it", async () => {
    const policy = new SyncPolicy({ everyN: 4 })
    expect([policy.appended(3, 1), policy.appended(9, 1), policy.appended(3, 1), policy.appended(1, 1)]).toEqual([
      false,
      true,
      false,
      true,
    ])
    expect(() => new SyncPolicy({ everyN: -1 })).toThrow(expect.objectContaining({ code: "UsageError" }))
    const disk = new TestDisk()
    const log = await open(disk, { durability: { everyN: 1 } })
    await log.appendBatch(Array.from({ length: 50 }, (_, i) => payload(i)))
    await new Promise((resolve) => setImmediate(resolve))
    expect(disk.syncs).toBe(1)
  })

  it("syncs by the clock only while something is unsynced", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] })
    const disk = new TestDisk()
    const log = await open(disk, { durability: { intervalMs: 50, maxBytes: 100 } })
    await vi.advanceTimersByTimeAsync(200)
    expect(disk.syncs).toBe(0)
    await log.append(payload(0))
    await vi.advanceTimersByTimeAsync(49)
    expect(disk.syncs).toBe(0)
    await vi.advanceTimersByTimeAsync(1)
    expect(disk.syncs).toBe(1)
    await vi.advanceTimersByTimeAsync(500)
    expect(disk.syncs).toBe(1)
    await log.append(new Uint8Array(100))
    await vi.advanceTimersByTimeAsync(0)
    expect(disk.syncs).toBe(2)
    await log.close()
    expect(vi.getTimerCount()).toBe(0)
    vi.useRealTimers()
  })
})

describe("logs on disk", () => {
  const roots: string[] = []
  const NAME = "00112233445566ff"
  async function folder(): Promise<string> {
    const root = await mkdtemp(join(tmpdir(), "holomesh-log-"))
    roots.push(root)
    return root
  }
  afterEach(async () => {
    for (const root of roots.splice(0)) await rm(root, { recursive: true })
  })

  it("come back after close and after a torn tail", async () => {
    const root = await folder()
    const log = await openNodeLog(root, NAME, { durability: { everyN: 2 } })
    await log.appendBatch(Array.from({ length: 3_000 }, (_, i) => payload(i)))
    await log.append(payload(3_000), { durable: true })
    await log.close()
    const file = join(root, NAME, "log.dat")
    const { length } = await readFile(file)
    await truncate(file, length - 1)
    // The checkpoint is now beyond the end: it does not count.
    const again = await openNodeLog(root, NAME)
    expect(again.nextSeq).toBe(3_000n)
    await again.append(payload(3_000))
    expect(await contents(again)).toEqual(expected(3_001))
    await again.close()
  })

  it("LOG-R7: have one writer; one that died does not count", async () => {
    const root = await folder()
    const log = await openNodeLog(root, NAME)
    await expect(openNodeLog(root, NAME)).rejects.toMatchObject({ code: "StoreError", details: { what: "locked" } })
    await log.close()
    const lock = join(root, NAME, "log.lock")
    await writeFile(lock, "1")
    await expect(openNodeLog(root, NAME)).rejects.toMatchObject({ details: { what: "locked" } })
    await writeFile(lock, "999999999")
    await (await openNodeLog(root, NAME)).close()
    await expect(openNodeLog(root, "../x")).rejects.toMatchObject({ code: "UsageError" })
  })
})
