/** Claims between nodes: union after a split, one witness per epoch whatever happens, contradictions kept, newcomers by chain. */
import { expect, test } from "vitest"
import type { IdentitySigner } from "../../identity/index.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import { toBase64, toHex } from "../../wire/bytes.ts"
import { trustGrantBytes } from "../claims/bodies.ts"
import { testContent } from "../content/testing.ts"
import { CrashingStorage, keysOf, testPeer } from "../testing.ts"
import { compareWitnesses } from "../witness/compare.ts"
import { encodeWitness } from "../witness/json.ts"
import { WitnessLedger } from "../witness/ledger.ts"
import { type WholenessWitness, witnessPreimage } from "../witness/witness.ts"
import { signClaim } from "./bootstrap-exchange.ts"
import { ClaimBook } from "./claim-book.ts"
import { witnessNamespaces } from "./durable.ts"
import type { HoloMessage } from "./messages.ts"
import { type MeshPeer, VirtualMesh } from "./virtual-mesh.ts"
import { cutOf, dueEpoch, WitnessCutter, witnessEpoch } from "./witness-cut.ts"

const grantTo = (mesh: VirtualMesh, grantee: string) => ({
  grantee,
  grantedAtUnixMs: BigInt(Math.floor(mesh.nowMs)),
  chainDepth: 0,
  weight: 255,
  expiresAtUnixMs: 0n,
})
const message = (one: HoloMessage) => ({ kind: "message", message: one }) as const
const codes = ({ events }: MeshPeer) => events.flatMap((event) => (event.type === "rejected" ? [event.code] : []))

async function addAll(mesh: VirtualMesh, numbers: readonly number[]): Promise<MeshPeer[]> {
  const peers = []
  for (const n of numbers) peers.push(await mesh.add(await testPeer(n)))
  return peers
}

async function witnessOf(peer: IdentitySigner, epochId: bigint, root: number): Promise<WholenessWitness> {
  const statement = {
    peerId: peer.keyId,
    epochId,
    merkleRoot: new Uint8Array(32).fill(root),
    leafCount: 1,
    claimNamespaces: witnessNamespaces("m-test"),
    observedAtUnixMs: cutOf(epochId),
    witnessVersion: 1,
  }
  const { ed, pq } = await peer.signHybrid(witnessPreimage(statement))
  return { ...statement, signature: toBase64(ed), signatureMlDsa65: toBase64(pq), pqcKeyId: "" }
}

test("what two groups said while they were apart is one set again at the next witness", async () => {
  const mesh = new VirtualMesh({ seed: 3, reorder: true })
  const [a, b, c] = (await addAll(mesh, [1, 2, 3])) as [MeshPeer, MeshPeer, MeshPeer]
  await mesh.link(a, b)
  for (const to of ["x", "y"]) await a.node.grantTrust(grantTo(mesh, to), mesh.nowMs)
  for (const to of ["x", "z"]) await c.node.grantTrust(grantTo(mesh, to), mesh.nowMs)
  await c.node.revokeTrust({ grantee: "x", revokedAtUnixMs: BigInt(Math.floor(mesh.nowMs)) }, mesh.nowMs)
  await mesh.run(30_000)
  expect([a, b, c].map(({ node }) => node.book.size)).toEqual([2, 2, 3])
  await mesh.link(b, c)
  await mesh.run(80_000)
  // What counts is handed on; the grant that was taken back stays where it was.
  expect([a, b, c].map(({ node }) => node.book.size)).toEqual([4, 4, 5])
  // To an epoch in which everybody speaks.
  await mesh.run(600_000 - (mesh.nowMs % 600_000) + 20_000)
  const witnesses = await Promise.all(
    [a, b, c].map(async ({ node, signer }) => (await node.ledger.witnesses(signer.keyId)).at(-1)!),
  )
  for (const theirs of witnesses.slice(1)) expect(compareWitnesses(witnesses[0]!, theirs)).toEqual({ kind: "Identical" })
  // x was taken back.
  expect(witnesses[0]!.leafCount).toBe(4)
})

test("one witness per epoch, whenever the process ends", async () => {
  const [peer, start] = [await testPeer(1), 1_700_000_040_000]
  const epoch = dueEpoch(start + 15_000)
  for (const written of [false, true]) {
    const storage = new CrashingStorage(new Map(), 1, written)
    const open = async (on: CrashingStorage | MemoryHoloStorage) => {
      const book = await ClaimBook.open(on, { holdsManifest: () => false, holdsAggregation: () => false })
      const ledger = await WitnessLedger.open(on, peer.keyId)
      return { book, cutter: new WitnessCutter({ ledger, book, signer: peer, meshId: "m-test" }) }
    }
    await expect((await open(storage)).cutter.cut(start + 15_000)).rejects.toThrow("the process ended")
    const { book, cutter } = await open(storage.inner)
    const before = await cutter.latest()
    expect(before?.epochId).toBe(written ? epoch : undefined)
    // Other claims than before the end: the epoch's statement stays what it was.
    const body = { ...grantTo({ nowMs: start } as VirtualMesh, "x"), granter: peer.keyId }
    await book.add(await signClaim(peer, "trust_grant", trustGrantBytes(body), start - 1), keysOf(peer), 1n)
    const again = await cutter.cut(start + 16_000)
    expect(again === undefined).toBe(written)
    const stored = (await cutter.latest())!
    expect(stored.epochId).toBe(epoch)
    if (before !== undefined) expect(encodeWitness(stored)).toEqual(encodeWitness(before))
    // A clock that was set back says nothing, nor does an unchanged root, but for every tenth epoch.
    expect(await cutter.cut(start - 600_000)).toBeUndefined()
    const next = await cutter.cut(start + 75_000)
    expect(next?.epochId).toBe(written ? epoch + 1n : undefined)
    const spoken = []
    for (let minute = 2; minute < 22; minute++) {
      const made = await cutter.cut(start + 15_000 + minute * 60_000)
      if (made !== undefined) spoken.push(made.epochId % 10n)
    }
    expect(spoken).toEqual([0n, 0n])
  }
})

test("a contradiction is kept, told to everybody with its proof, and outlives a restart", async () => {
  const mesh = new VirtualMesh()
  const [a, b] = (await addAll(mesh, [1, 2])) as [MeshPeer, MeshPeer]
  const liar = await testPeer(9)
  await mesh.link(a, b)
  for (const peer of [a, b]) await peer.node.connected(liar.keyId, mesh.nowMs, { keys: keysOf(liar), admit: true })
  const epoch = witnessEpoch(mesh.nowMs)
  const [first, second] = [await witnessOf(liar, epoch, 1), await witnessOf(liar, epoch, 2)]
  await mesh.inject(liar.keyId, a, message({ t: "holo.witness", ...first }))
  await mesh.inject(liar.keyId, a, message({ t: "holo.witness", ...first }))
  expect(codes(a)).toEqual([])
  await mesh.inject(liar.keyId, a, message({ t: "holo.witness", ...second }))
  expect(codes(a)).toEqual(["Equivocation"])
  await mesh.run(1_000)
  for (const { node, events, storage } of [a, b]) {
    expect(node.ledger.isExcluded(liar.keyId)).toBe(true)
    expect(events.filter(({ type }) => type === "equivocation")).toHaveLength(1)
    expect((await WitnessLedger.open(storage, "anybody")).isExcluded(liar.keyId)).toBe(true)
  }
  // Told again, or told wrong, it changes nothing.
  const proof = { peerId: a.signer.keyId, epochId: epoch, witnessA: first, witnessB: second, observedAtUnixMs: 1n }
  await mesh.inject(liar.keyId, b, message({ t: "holo.hardcase", ...proof, keys: keysOf(liar) }))
  expect(codes(b)).toEqual(["SignatureInvalid"])
  expect(b.node.ledger.isExcluded(a.signer.keyId)).toBe(false)
})

test("a peer whose claims never agree is reported, and what came from it is not handed on", async () => {
  const mesh = new VirtualMesh()
  const [a] = (await addAll(mesh, [1])) as [MeshPeer]
  const strange = await testPeer(9)
  await a.node.connected(strange.keyId, mesh.nowMs, { keys: keysOf(strange), admit: true })
  for (let i = 0; i < 3; i++) {
    expect(a.events.some(({ type }) => type === "witness-divergent")).toBe(false)
    await mesh.inject(strange.keyId, a, message({ t: "holo.witness", ...(await witnessOf(strange, dueEpoch(mesh.nowMs), 5)) }))
    await mesh.run(60_000)
  }
  expect(a.events.filter(({ type }) => type === "witness-divergent")).toHaveLength(1)
  const sent: string[] = []
  mesh.watch = (_, frame) => {
    if (frame.kind === "message") sent.push(frame.message.t)
  }
  const other = await testPeer(8)
  await a.node.connected(other.keyId, mesh.nowMs, { keys: keysOf(other), admit: true })
  const body = { ...grantTo(mesh, "x"), granter: strange.keyId }
  const claim = await signClaim(strange, "trust_grant", trustGrantBytes(body), mesh.nowMs)
  sent.length = 0
  await mesh.inject(strange.keyId, a, message({ t: "holo.claim", ...claim, keys: keysOf(strange) }))
  expect(a.node.book.size).toBe(1)
  expect(sent).not.toContain("holo.claim")
  const hashes = a.node.book.leavesAt(BigInt(Math.floor(mesh.nowMs))).hashes
  await mesh.inject(other.keyId, a, message({ t: "holo.claims?", hashes: [...hashes] }))
  expect(sent).not.toContain("holo.claims")
})

test("what strangers, forgers and members beyond their budget send changes nothing", async () => {
  const mesh = new VirtualMesh()
  const [a] = (await addAll(mesh, [1])) as [MeshPeer]
  const [stranger, member] = await Promise.all([testPeer(8), testPeer(9)])
  const body = { ...grantTo(mesh, "x"), granter: member.keyId }
  const claim = await signClaim(member, "trust_grant", trustGrantBytes(body), mesh.nowMs)
  const sent: string[] = []
  mesh.watch = (_, frame) => {
    if (frame.kind === "message") sent.push(frame.message.t)
  }
  await mesh.inject(stranger.keyId, a, message({ t: "holo.claim", ...claim, keys: keysOf(member) }))
  await a.node.connected(stranger.keyId, mesh.nowMs, { keys: keysOf(stranger) })
  await mesh.inject(stranger.keyId, a, message({ t: "holo.claim", ...claim, keys: keysOf(member) }))
  await mesh.inject(stranger.keyId, a, message({ t: "holo.leaves?", epochId: witnessEpoch(mesh.nowMs) }))
  expect([a.node.book.size, sent]).toEqual([0, ["holo.hello"]])
  await a.node.connected(member.keyId, mesh.nowMs, { keys: keysOf(member), admit: true })
  const forged = { ...claim, signedAtUnixMs: claim.signedAtUnixMs + 1n }
  await mesh.inject(member.keyId, a, message({ t: "holo.claim", ...forged, keys: keysOf(member) }))
  await mesh.inject(member.keyId, a, message({ t: "holo.claim", ...claim, keys: keysOf(stranger) }))
  await mesh.inject(member.keyId, a, message({ t: "holo.claims", claims: [claim], keys: [keysOf(member)] }))
  expect([a.node.book.size, codes(a)]).toEqual([0, ["SignatureInvalid", "SignatureInvalid"]])
  sent.length = 0
  for (let i = 0; i < 300; i++)
    await mesh.inject(member.keyId, a, message({ t: "holo.leaves?", epochId: witnessEpoch(mesh.nowMs) }))
  expect(sent.filter((t) => t === "holo.leaves")).toHaveLength(265)
  await expect(a.node.connected(member.keyId, mesh.nowMs, { keys: keysOf(stranger), admit: true })).rejects.toMatchObject({
    code: "KeyInvalid",
  })
})

test("by a chain: served when let in, not any more when a grant of it is taken back", async () => {
  const mesh = new VirtualMesh()
  const [rootSigner, hostSigner, guestSigner] = await Promise.all([1, 2, 3].map(testPeer))
  const trust = { roots: [rootSigner!.keyId] }
  const root = await mesh.add(rootSigner!, { trust })
  const keys = [keysOf(rootSigner!)]
  const [toHost, toGuest] = [
    await root.node.grantTrust(grantTo(mesh, hostSigner!.keyId), mesh.nowMs),
    await root.node.grantTrust(grantTo(mesh, guestSigner!.keyId), mesh.nowMs),
  ]
  const host = await mesh.add(hostSigner!, { trust: { ...trust, chain: { chain: [toHost], keys } } })
  const guest = await mesh.add(guestSigner!, { trust: { ...trust, chain: { chain: [toGuest], keys } } })
  const unknown = await mesh.add(await testPeer(4), { trust })
  await mesh.link(host, guest, false)
  await mesh.link(host, unknown, false)
  await host.node.learn(toHost, keys[0]!, mesh.nowMs)
  await mesh.run(5_000)
  expect(host.events).toContainEqual({
    type: "admitted",
    peer: guestSigner!.keyId,
    standing: 127,
    trustDistance: 1,
    anchoredToRoot: rootSigner!.keyId,
  })
  expect(unknown.events).toContainEqual({ type: "refused", peer: hostSigner!.keyId, reason: "ChainExhausted", by: "them" })
  expect([guest.node.book.size, unknown.node.book.size]).toEqual([1, 0])
  // The root comes by, and takes its grant back.
  await mesh.link(root, host, false)
  await mesh.run(5_000)
  await root.node.revokeTrust({ grantee: guestSigner!.keyId, revokedAtUnixMs: BigInt(Math.floor(mesh.nowMs)) }, mesh.nowMs)
  await mesh.run(2_000)
  expect(host.events).toContainEqual({ type: "refused", peer: guestSigner!.keyId, reason: "GrantRevoked", by: "us" })
  const before = guest.node.book.size
  await host.node.grantTrust(grantTo(mesh, "somebody"), mesh.nowMs)
  await mesh.run(2_000)
  expect(guest.node.book.size).toBe(before)
})

test("who comes back tells nothing before it knows what was revoked, however its process ended", async () => {
  const mesh = new VirtualMesh()
  const [a, b] = (await addAll(mesh, [1, 2])) as [MeshPeer, MeshPeer]
  await mesh.link(a, b)
  const { manifest, symbols } = await testContent(a.signer, { corpusKind: "blob" })
  await a.node.put(manifest, symbols, mesh.nowMs)
  await mesh.run(10_000)
  expect((await b.node.shelf.symbolIds(manifest)).length).toBe(26)
  mesh.leave(b)
  const { contents } = b.storage as MemoryHoloStorage
  await a.node.revoke(manifest, mesh.nowMs)
  for (let failAt = 1; failAt < 6; failAt++) {
    for (const written of [false, true]) {
      // It ends while it learns of the revocation and deletes, and comes again.
      const storage = new CrashingStorage(contents, failAt, written)
      const again = new VirtualMesh({ startMs: mesh.nowMs + 60_000, seed: failAt })
      const kept = await again.add(a.signer, {
        storage: new MemoryHoloStorage({ contents: (a.storage as MemoryHoloStorage).contents }),
      })
      const first = await again.add(b.signer, { storage })
      const told: string[] = []
      again.watch = (from, frame) => {
        const about = frame.kind === "symbol" || frame.message.t === "holo.holding"
        if (from === b.signer.keyId && about) told.push(frame.kind)
      }
      await again.link(kept, first)
      await again.run(3_000).catch((error: Error) => expect(error.message).toBe("the process ended"))
      again.leave(first)
      expect(told).toEqual([])
      const second = await again.add(b.signer, { storage: storage.inner })
      await again.link(kept, second)
      await again.run(5_000)
      expect(told).toEqual([])
      expect(await second.node.shelf.store.read(manifest)).toMatchObject({ state: "revoked" })
      expect(await storage.inner.list("holo/symbol/")).toEqual([])
      const roots = [kept, second].map(({ node }) => toHex(node.book.leavesAt(BigInt(Math.floor(again.nowMs))).root))
      expect(roots[1]).toBe(roots[0])
    }
  }
})
