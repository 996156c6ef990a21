/** Old items are folded by one of the peers when there are too many; where they may not be, nobody can take them away. */
import { beforeAll, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import type { IdentitySigner } from "../../identity/index.ts"
import type { Bytes } from "../../wire/types.ts"
import { makeFold } from "../aggregation/make-fold.ts"
import { makeContent } from "../content/make.ts"
import { separator } from "../separators.ts"
import { testPeer } from "../testing.ts"
import type { FoldingOptions } from "./auto-fold.ts"
import { type MeshPeer, VirtualMesh } from "./virtual-mesh.ts"

beforeAll(initFountainFromPackage)

const ENVELOPE = { className: "PERSISTENT", authorities: [], application: new Uint8Array(0) }
const FOLDING: FoldingOptions = { corpora: (kind) => kind === "trace", algorithm: "fountain-mean-v1" }
const MINUTE_MS = 60_000

/** Unlike each other: a fold of them shows none. */
function noise(seed: number): Bytes {
  const bytes = new Uint8Array(600)
  let state = seed + 1
  for (let i = 0; i < bytes.length; i++) {
    state = (Math.imul(state ^ (state >>> 15), 2_246_822_519) + 3_266_489_917) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}
const refOf = (i: number, corpusKind = "trace") => ({ contentId: `item-${String(i).padStart(2, "0")}`, corpusKind })

/** What is told every minute is not signed here: signatures are not what this is about. */
function lightly(signer: IdentitySigner): IdentitySigner {
  const start = separator("holdingClaim")
  const isHolding = (message: Bytes) => start.every((byte, i) => byte === message[i])
  const nothing = { ed: new Uint8Array(3), pq: new Uint8Array(3) }
  return { ...signer, signHybrid: async (message) => (isHolding(message) ? nothing : signer.signHybrid(message)) }
}

const newMesh = (seed: number) => new VirtualMesh({ seed, wire: false, shared: { verify: async () => true } })

async function put(mesh: VirtualMesh, peer: MeshPeer, i: number, payload = noise(i), corpusKind?: string): Promise<void> {
  const { manifest, symbols } = await makeContent(refOf(i, corpusKind), payload, ENVELOPE, peer.signer)
  await peer.node.put(manifest, symbols, mesh.nowMs)
  await mesh.run(10)
}

async function members(mesh: VirtualMesh, options: readonly (FoldingOptions | undefined)[]): Promise<MeshPeer[]> {
  const found: MeshPeer[] = []
  for (const [i, folding] of options.entries()) {
    const peer = await mesh.add(lightly(await testPeer(i + 1)), folding === undefined ? {} : { folding })
    await mesh.join(peer)
    found.push(peer)
  }
  return found
}

const composites = ({ node }: MeshPeer, nowMs: number) =>
  node.contents(nowMs).filter(({ ref }) => ref.corpusKind === "aggregate:trace")

/** Lets the time go on until it is so, for twenty minutes at most. What signs and encodes takes real time, which the mesh does not know. */
async function until(mesh: VirtualMesh, isSo: () => boolean): Promise<void> {
  for (let step = 0; step < 40 && !isSo(); step++) {
    await mesh.run(MINUTE_MS / 2)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

async function whole(peer: MeshPeer, i: number): Promise<boolean> {
  return !(await peer.node.shelf.isFolded(refOf(i)))
}

test("one of the peers folds the sixteen oldest of thirty-two, and everybody lets them go", async () => {
  const mesh = newMesh(3)
  const peers = await members(mesh, [FOLDING, FOLDING, FOLDING])
  const [a, b] = peers as [MeshPeer, MeshPeer, MeshPeer]
  for (let i = 0; i < 31; i++) await put(mesh, i % 2 === 0 ? a : b, i)
  await mesh.run(3 * MINUTE_MS)
  expect(peers.flatMap((peer) => composites(peer, mesh.nowMs))).toEqual([])
  await put(mesh, a, 31)
  await until(mesh, () => peers.every((peer) => composites(peer, mesh.nowMs).length > 0))
  await mesh.run(MINUTE_MS)
  const made = peers.filter((peer) => composites(peer, mesh.nowMs).some(({ own }) => own))
  expect(made).toHaveLength(1)
  for (const peer of peers) {
    expect(composites(peer, mesh.nowMs)).toHaveLength(1)
    for (let i = 0; i < 32; i++) expect([i, await whole(peer, i)]).toEqual([i, i >= 16])
    expect(await peer.node.shelf.symbolIds(refOf(3))).toEqual([])
    const [id] = composites(peer, mesh.nowMs).map(({ ref }) => ref.contentId)
    expect(await peer.node.shelf.folds.getAggregation(id!)).toMatchObject({ aggregationLevel: 1, fanIn: 16 })
  }
  // Nothing more is due.
  await mesh.run(3 * MINUTE_MS)
  expect(peers.flatMap((peer) => composites(peer, mesh.nowMs))).toHaveLength(3)
}, 120_000)

test("when the one whose turn it is does nothing, the next does it", async () => {
  const mesh = newMesh(4)
  // Of the second and third nobody knows that they do not fold by themselves.
  const silent: FoldingOptions = { corpora: FOLDING.corpora }
  const [a, ...others] = (await members(mesh, [FOLDING, silent, silent])) as [MeshPeer, ...MeshPeer[]]
  for (let i = 0; i < 32; i++) await put(mesh, a, i)
  await until(mesh, () => [a, ...others].every((peer) => composites(peer, mesh.nowMs).length > 0))
  for (const peer of [a, ...others]) expect(composites(peer, mesh.nowMs)).toHaveLength(1)
  expect(composites(a, mesh.nowMs)[0]!.own).toBe(true)
}, 120_000)

test("items that cannot be told from each other are not folded, and not tried again and again", async () => {
  const mesh = newMesh(5)
  const [a] = (await members(mesh, [FOLDING])) as [MeshPeer]
  for (let i = 0; i < 32; i++) await put(mesh, a, i, noise(1))
  await mesh.run(5 * MINUTE_MS)
  expect(composites(a, mesh.nowMs)).toEqual([])
  const refused = a.events.filter((event) => event.type === "rejected" && event.what === "fold")
  expect(refused).toHaveLength(1)
}, 120_000)

test("a member that folds what is not to be folded takes nothing away from anybody", async () => {
  const mesh = newMesh(6)
  const never: FoldingOptions = { corpora: () => false }
  const [a, b, hostile] = (await members(mesh, [never, never, undefined])) as [MeshPeer, MeshPeer, MeshPeer]
  for (let i = 0; i < 3; i++) await put(mesh, a, i, noise(i), "blob")
  await mesh.run(MINUTE_MS)
  const ids = [0, 1, 2].map((i) => refOf(i).contentId)
  const before = await b.node.shelf.symbolIds(refOf(0, "blob"))
  expect(before.length).toBeGreaterThan(0)
  const options = { compositeId: "blur", pyramidId: "p", corpusKind: "blob", level: 1, algorithm: "fountain-mean-v1" } as const
  const payloads = ids.map((contentId, i) => ({ contentId, payload: noise(i) }))
  const made = await makeFold(payloads, { ...options, className: "PERSISTENT" }, hostile.signer)
  await hostile.node.fold(made, ids, mesh.nowMs)
  await mesh.run(5 * MINUTE_MS)
  expect(await b.node.shelf.symbolIds(refOf(0, "blob"))).toEqual(before)
  for (const peer of [a, b]) {
    expect(
      peer.node
        .contents(mesh.nowMs)
        .map(({ ref }) => ref.contentId)
        .sort(),
    ).toEqual(ids)
    const refused = peer.events.filter((event) => event.type === "rejected" && event.code === "NotAllowed")
    expect(refused.length).toBeGreaterThan(0)
    expect(refused.length).toBeLessThan(5)
  }
}, 120_000)
