/** The mesh of the comeback scenario: eight peers and a root key, twelve contents, and everything that happens while one of them is away. */

import { type MeshOptions, type MeshPeer, VirtualMesh } from "../../src/holonomic/gossip/virtual-mesh.ts"
import {
  type ContentRef,
  HOLDING_LASTS_MS,
  type HoloEvent,
  makeContent,
  makeFold,
  type OwnChain,
  RankTable,
  restoreContent,
  type SignedClaim,
} from "../../src/holonomic/index.ts"
import { keysOf, testPeer } from "../../src/holonomic/testing.ts"
import type { IdentitySigner } from "../../src/identity/index.ts"
import { MemoryHoloStorage } from "../../src/store/holo/memory.ts"
import type { HoloStorage } from "../../src/store/holo/storage.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { Random } from "../engine/random.ts"
import { lightSigner, sharedVerify } from "./light.ts"

export const CORPUS = "blob"
const YEAR_MS = 365 * 86_400_000
const MINUTE_MS = 60_000
/** Every tenth epoch has a witness of everybody. */
export const ALL_SPEAK_MS = 10 * MINUTE_MS
/** Two tiers pass in three years, and what is left is still content. */
const THRESHOLDS = { full: 365, t2: 730, t3: 3_650, t4: 7_300, envelopeOnly: 7_300 }
export const ENVELOPE = { className: "slow", thresholds: THRESHOLDS, authorities: [], application: new Uint8Array(0) }

/** Numbers of the test peers. */
const ROOT = 40
const FIRST = [41, 42, 43, 44, 45, 46, 47, 48]
const LATER = [51, 52, 53, 54, 55, 56]

export async function peerNumber(n: number): Promise<IdentitySigner> {
  return lightSigner(await testPeer(n))
}

export interface SavedPeer {
  signer: IdentitySigner
  contents: ReadonlyMap<string, Bytes>
  chain: OwnChain
}

/** The world at the moment the wanderer comes back. */
export interface SavedWorld {
  nowMs: number
  root: IdentitySigner
  /** As it was when it left. */
  wanderer: SavedPeer
  live: SavedPeer[]
  /** A witness of the wanderer from before. */
  oldWitness: Extract<HoloEvent, { type: "witness-cut" }> | undefined
  payloads: Map<string, Bytes>
  revoked: ContentRef[]
  folded: ContentRef[]
  /** The granter of the wanderer's grant, for taking it back. */
  granter: IdentitySigner
  /** Holding symbols of these when it left. */
  held: ContentRef[]
  /** Verified once for everything that is played from here. */
  shared: NonNullable<MeshOptions["shared"]>
}

function contentsOf(peer: MeshPeer): ReadonlyMap<string, Bytes> {
  return (peer.storage as MemoryHoloStorage).contents
}

/** A claim of somebody who takes no part in the mesh, and its keys. */
async function grantOf(mesh: VirtualMesh, granter: MeshPeer, grantee: IdentitySigner): Promise<SignedClaim> {
  const grant = {
    grantee: grantee.keyId,
    grantedAtUnixMs: BigInt(Math.floor(mesh.nowMs)),
    chainDepth: 0,
    weight: 255,
    expiresAtUnixMs: 0n,
  }
  return granter.node.grantTrust(grant, mesh.nowMs)
}

export function extended(chain: OwnChain, claim: SignedClaim, granter: IdentitySigner): OwnChain {
  return { chain: [...chain.chain, claim], keys: [...chain.keys, keysOf(granter)] }
}

/** Everything up to the return. The same seed gives the same world. */
export async function buildWorld(seed: number, say: (what: string, mesh: VirtualMesh) => void = () => {}): Promise<SavedWorld> {
  const random = new Random(seed, "comeback")
  const shared = { verify: sharedVerify(), ranks: new RankTable() }
  const mesh = new VirtualMesh({ seed, wire: false, shared })
  const signers = await Promise.all(FIRST.map(peerNumber))
  const root = await peerNumber(ROOT)
  const trust = { roots: [root.keyId] }
  const rootPeer = await mesh.add(root, { trust })
  const peers: MeshPeer[] = []
  const chains = new Map<string, OwnChain>()
  const none: OwnChain = { chain: [], keys: [] }
  for (const signer of signers) {
    const peer = await mesh.add(signer, { trust })
    await mesh.join(peer)
    peers.push(peer)
  }
  const [a, survivor, wanderer, ...others] = peers as [MeshPeer, MeshPeer, MeshPeer, ...MeshPeer[]]
  // The root trusts everybody but the wanderer, whom the first peer trusts.
  for (const peer of [a, survivor, ...others]) {
    chains.set(peer.signer.keyId, extended(none, await grantOf(mesh, rootPeer, peer.signer), root))
  }
  const wandererChain = extended(chains.get(a.signer.keyId)!, await grantOf(mesh, a, wanderer.signer), a.signer)
  chains.set(wanderer.signer.keyId, wandererChain)
  await grantOf(mesh, a, others[0]!.signer)

  const payloads = new Map<string, Bytes>()
  const refs: ContentRef[] = []
  for (let i = 0; i < 12; i++) {
    const ref = { contentId: `content-${i}`, corpusKind: CORPUS }
    const payload = Uint8Array.from({ length: 1_500 }, () => random.below(256))
    const author = [a, survivor, ...others][i % 7]!
    const { manifest, symbols } = await makeContent(ref, payload, ENVELOPE, author.signer)
    await author.node.put(manifest, symbols, mesh.nowMs)
    payloads.set(ref.contentId, payload)
    refs.push(ref)
  }
  await mesh.run(4 * MINUTE_MS)
  say("published", mesh)
  const held = await keepFive(wanderer, refs)
  await mesh.run(2 * MINUTE_MS)
  mesh.leave(wanderer)
  const saved = { signer: wanderer.signer, contents: contentsOf(wanderer), chain: wandererChain }
  const oldWitness = wanderer.events.findLast((event) => event.type === "witness-cut")
  await mesh.run(MINUTE_MS)

  // One is held by the wanderer, two are any others.
  const revoked = [held[0]!, ...refs.filter((ref) => !held.includes(ref)).slice(0, 2)]
  const left = refs.filter((ref) => !revoked.includes(ref))
  // Two that the wanderer holds stay whole.
  const folded = left.filter((ref) => !held.slice(3).includes(ref)).slice(0, 6)
  for (const ref of revoked) {
    const author = peers.find(({ node }) => node.shelf.get(ref)?.own)!
    await author.node.revoke(ref, mesh.nowMs)
  }
  await mesh.run(MINUTE_MS)
  for (let i = 0; i < 3; i++) await foldTwo(mesh, survivor, folded.slice(2 * i, 2 * i + 2), i)
  await mesh.run(2 * MINUTE_MS)
  await a.node.revokeTrust({ grantee: others[0]!.signer.keyId, revokedAtUnixMs: BigInt(Math.floor(mesh.nowMs)) }, mesh.nowMs)
  say("revoked and folded", mesh)
  mesh.leave(rootPeer)
  await mesh.run(MINUTE_MS)
  const leaving = [a, ...others]
  for (const [i, number] of LATER.entries()) {
    const signer = await peerNumber(number)
    const chain = extended(chains.get(survivor.signer.keyId)!, await grantOf(mesh, survivor, signer), survivor.signer)
    chains.set(signer.keyId, chain)
    const newcomer = await mesh.add(signer, { trust })
    await mesh.join(newcomer)
    await mesh.run(2 * MINUTE_MS)
    mesh.leave(leaving[i]!)
    await mesh.run(2 * MINUTE_MS)
    say("step", mesh)
  }
  say("everybody but one has changed", mesh)
  for (let year = 0; year < 3; year++) {
    mesh.nowMs += YEAR_MS
    await mesh.run(2 * MINUTE_MS)
    say("year", mesh)
  }
  await mesh.run(HOLDING_LASTS_MS)
  say("three years later", mesh)
  const live = mesh.online().map((peer) => ({
    signer: peer.signer,
    contents: contentsOf(peer),
    chain: chains.get(peer.signer.keyId)!,
  }))
  return {
    nowMs: mesh.nowMs,
    root,
    wanderer: saved,
    live,
    oldWitness,
    payloads,
    revoked,
    folded,
    granter: a.signer,
    held,
    shared,
  }
}

/** Lets the peer hold five symbols in all, of different contents. */
async function keepFive(peer: MeshPeer, refs: readonly ContentRef[]): Promise<ContentRef[]> {
  const kept: ContentRef[] = []
  for (const ref of refs) {
    const ids = await peer.node.shelf.symbolIds(ref)
    const keep = kept.length < 5 && ids.length > 0 ? 1 : 0
    if (keep === 1) kept.push(ref)
    for (const id of ids.slice(keep)) await peer.node.shelf.store.dropSymbol(ref, id)
  }
  if (kept.length !== 5) throw new Error(`the wanderer holds ${kept.length} symbols`)
  return kept
}

async function foldTwo(mesh: VirtualMesh, peer: MeshPeer, sources: readonly ContentRef[], i: number): Promise<void> {
  const members = []
  for (const ref of sources) {
    members.push({ contentId: ref.contentId, payload: await readWhole(mesh, peer, ref) })
  }
  const fold = await makeFold(
    members,
    {
      compositeId: `blur-${i}`,
      pyramidId: "pyramid",
      corpusKind: CORPUS,
      level: 1,
      algorithm: "fountain-mean-v1",
      className: "PERSISTENT",
    },
    peer.signer,
  )
  await peer.node.fold(
    fold,
    members.map(({ contentId }) => contentId),
    mesh.nowMs,
  )
}

/** The content as it was put: with a few symbols more where twenty do not suffice. */
export async function readWhole(mesh: VirtualMesh, peer: MeshPeer, ref: ContentRef): Promise<Bytes> {
  for (let need = 20; ; need += 2) {
    const { manifest, symbols } = await mesh.complete(peer.node.fetch(ref, mesh.nowMs, { need }))
    try {
      return restoreContent(manifest, symbols)
    } catch (error) {
      if (!isAvError(error, "DecodeFailed") || need >= 26) throw error
    }
  }
}

export interface Revived {
  mesh: VirtualMesh
  live: MeshPeer[]
  peerOf(saved: SavedPeer): MeshPeer
}

/** The world again, as it was: everybody live with what it had stored, linked to everybody else. */
export async function revive(
  world: SavedWorld,
  options: MeshOptions,
  storageOf: (saved: SavedPeer) => Promise<HoloStorage> = async ({ contents }) => new MemoryHoloStorage({ contents }),
): Promise<Revived> {
  const mesh = new VirtualMesh({ ...options, startMs: world.nowMs, shared: world.shared })
  const live: MeshPeer[] = []
  for (const saved of world.live) {
    const trust = { roots: [world.root.keyId], chain: saved.chain }
    const peer = await mesh.add(saved.signer, { trust, storage: await storageOf(saved) })
    await mesh.join(peer)
    live.push(peer)
  }
  return { mesh, live, peerOf: ({ signer }) => mesh.peers.get(signer.keyId)! }
}
