/** Seal and open per chunk, inner and outer, beside the bare AES-GCM call they are made of. */
import { aeadSeal, importAeadKey, secureRandom } from "../../src/crypto/index.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"
import { Hop, openFrame, openInnerChunk, Publisher } from "./hop.ts"

const SIZES_KIB = [1, 4, 16, 64]
/** Chunks per sample. */
const POOL = 48

/** Each chunk waits for the one before, or all of a pool are under way at once. */
const IN_TURN = "one at a time"
const AT_ONCE = `${POOL} at once`

async function bySize(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const kib of SIZES_KIB) {
    const plaintext = secureRandom(kib * 1024)
    for (const way of [IN_TURN, AT_ONCE]) rows.push(await measure(effort, plaintext, way))
  }
  return rows
}

async function measure(effort: Effort, plaintext: Bytes, way: string): Promise<BenchRow> {
  const publisher = new Publisher()
  const hop = await Hop.create()
  const key = await importAeadKey(secureRandom(32))
  const chunks = await repeat(() => publisher.seal(plaintext))
  const frames = await Promise.all(chunks.map((chunk) => hop.sealer.seal(chunk)))
  const each = way === AT_ONCE ? atOnce : inTurn
  let inner = publisher.opener()
  let outer = await hop.opener()
  const time = (run: (index: number) => Promise<unknown>, prepare?: () => Promise<void>) =>
    microseconds(effort, { operations: POOL, run: () => each(run), ...(prepare && { prepare }) })

  const nonces = Array.from({ length: POOL }, () => secureRandom(12))
  const none = new Uint8Array(52)
  const aead = await time((i) => aeadSeal(key, nonces[i] as Bytes, none, plaintext))
  const innerSeal = await time(() => publisher.seal(plaintext))
  const innerOpen = await time(
    (i) => openInnerChunk(inner, chunks[i] as Bytes),
    async () => {
      inner = publisher.opener()
    },
  )
  const outerSeal = await time((i) => hop.sealer.seal(chunks[i] as Bytes))
  const outerOpen = await time(
    (i) => openFrame(outer, frames[i] as Bytes),
    async () => {
      outer = await hop.opener()
    },
  )
  return {
    chunk: `${plaintext.length / 1024} KiB`,
    way,
    AEAD_calls: 1,
    bare_AEAD_us: round(aead),
    inner_seal_us: round(innerSeal),
    inner_open_us: round(innerOpen),
    outer_seal_us: round(outerSeal),
    outer_open_us: round(outerOpen),
    outer_seal_mbs: round(plaintext.length / outerSeal),
  }
}

async function inTurn(run: (index: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < POOL; i++) await run(i)
}

async function atOnce(run: (index: number) => Promise<unknown>): Promise<void> {
  await Promise.all(Array.from({ length: POOL }, (_, i) => run(i)))
}

async function repeat(make: () => Promise<Bytes>): Promise<Bytes[]> {
  return Promise.all(Array.from({ length: POOL }, make))
}

export const seal: Subject = {
  name: "seal",
  title: "Seal and open per chunk",
  note: "Each column is one operation with exactly one AEAD call, so its time is also the time per AEAD call. Keys are imported once, as in the mesh worker; profile 1.",
  run: bySize,
}
