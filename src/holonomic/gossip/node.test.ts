/** Members of a room keep a content: spread, repaired when somebody leaves, read by newcomers, and gone when it is revoked. */
import { beforeAll, expect, test } from "vitest"
import { initFountainFromPackage } from "../../fountain/node.ts"
import { makeContent, restoreContent } from "../content/make.ts"
import { testPeer } from "../testing.ts"
import { type MeshPeer, VirtualMesh } from "./virtual-mesh.ts"

beforeAll(initFountainFromPackage)

const ENVELOPE = { className: "PERSISTENT", authorities: [], application: new Uint8Array(0) }
const REF = { contentId: "clip", corpusKind: "blob" }
const payloadOf = (seed: number, length = 40_000) => Uint8Array.from({ length }, (_, i) => (i * seed + (i >> 7)) & 0xff)

async function roomOf(mesh: VirtualMesh, numbers: readonly number[]): Promise<MeshPeer[]> {
  const members: MeshPeer[] = []
  for (const n of numbers) {
    const peer = await mesh.add(await testPeer(n))
    await mesh.join(peer)
    members.push(peer)
  }
  return members
}

async function publish(peer: MeshPeer, mesh: VirtualMesh, ref = REF, seed = 7) {
  const payload = payloadOf(seed)
  const { manifest, symbols } = await makeContent(ref, payload, ENVELOPE, peer.signer)
  await peer.node.put(manifest, symbols, mesh.nowMs)
  return payload
}

const held = (members: readonly MeshPeer[]) =>
  Promise.all(members.map(async ({ node }) => (await node.shelf.symbolIds(REF)).length))

test("a call of five: each keeps a share, three leave one after the other, a newcomer reads it all", async () => {
  const mesh = new VirtualMesh({ seed: 5 })
  const members = await roomOf(mesh, [1, 2, 3, 4, 5])
  const payload = await publish(members[0]!, mesh)
  await mesh.run(60_000)
  const shares = await held(members)
  expect(shares[0]).toBe(26)
  for (const share of shares.slice(1)) expect(share === 7 || share === 8).toBe(true)
  for (const gone of members.slice(0, 3)) {
    mesh.leave(gone)
    await mesh.run(45_000)
  }
  const newcomer = await mesh.add(await testPeer(6))
  await mesh.join(newcomer)
  await mesh.run(5_000)
  const { manifest, symbols } = await mesh.complete(newcomer.node.fetch(REF, mesh.nowMs))
  expect(restoreContent(manifest, symbols)).toEqual(payload)
})

test("everybody is replaced by somebody else, and symbols that went with those who left are made again", async () => {
  const mesh = new VirtualMesh({ seed: 8 })
  // With fewer each would take so much along that the others could not make it again: rooms then keep two copies of everything.
  const members = await roomOf(mesh, [1, 2, 3, 4, 5, 6])
  const payload = await publish(members[0]!, mesh)
  await mesh.run(30_000)
  for (const [i, gone] of members.entries()) {
    await roomOf(mesh, [10 + i])
    await mesh.run(20_000)
    mesh.leave(gone)
    await mesh.run(30_000)
  }
  const ids = new Set<number>()
  for (const { node } of mesh.online()) for (const id of await node.shelf.symbolIds(REF)) ids.add(id)
  expect(ids.size).toBe(26)
  const { manifest, symbols } = await mesh.complete(mesh.online()[0]!.node.fetch(REF, mesh.nowMs))
  expect(restoreContent(manifest, symbols)).toEqual(payload)
})

test("what is revoked is gone from everybody within a second, and nobody gets it again", async () => {
  const mesh = new VirtualMesh({ seed: 6 })
  const members = await roomOf(mesh, [1, 2, 3, 4])
  await publish(members[0]!, mesh)
  await mesh.run(40_000)
  await members[1]!.node.revoke(REF, mesh.nowMs)
  await mesh.run(2_000)
  expect(await members[2]!.node.shelf.store.isRevoked(REF)).toBe(false)
  await members[0]!.node.revoke(REF, mesh.nowMs)
  await mesh.run(1_000)
  for (const { node, events } of members) {
    expect(await node.shelf.store.isRevoked(REF)).toBe(true)
    expect(await node.shelf.symbolIds(REF)).toEqual([])
    expect(events.filter(({ type }) => type === "hard-deleted")).toHaveLength(1)
    await expect(node.fetch(REF, mesh.nowMs)).rejects.toMatchObject({ code: "ContentRevoked" })
  }
  const late = await mesh.add(await testPeer(6))
  await mesh.join(late)
  await mesh.run(5_000)
  expect(late.node.contents(mesh.nowMs)).toEqual([])
})

test("messages that keep coming do not put off the look after a fetch that stands still", async () => {
  const mesh = new VirtualMesh({ seed: 9 })
  const members = await roomOf(mesh, [1, 2])
  await publish(members[0]!, mesh)
  const late = await mesh.add(await testPeer(3))
  await mesh.link(late, members[0]!)
  await mesh.run(20_000)
  const reading = late.node.fetch(REF, mesh.nowMs, { need: 26 }).catch(() => {})
  await new Promise((resolve) => setTimeout(resolve))
  const due = late.node.nextTickMs(mesh.nowMs)
  expect(due).toBeLessThanOrEqual(mesh.nowMs + 500)
  for (const later of [100, 300, 500]) expect(late.node.nextTickMs(mesh.nowMs + later)).toBe(Math.max(due, mesh.nowMs + later))
  await late.node.close()
  await reading
})
