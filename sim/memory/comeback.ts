/**
 * Somebody comes back after three years with a key and a chain of grants, reaches one peer, and ends with the same view as everybody.
 * Each run gives the list of what did not hold; an empty list is success.
 */
import { MeshFacts } from "../../src/holonomic/gossip/mesh-snapshot.ts"
import type { MeshPeer, VirtualMesh } from "../../src/holonomic/gossip/virtual-mesh.ts"
import {
  compareWitnesses,
  computeSourceRootedTopology,
  type HoloEvent,
  makeContent,
  RankTable,
  retentionPlan,
  snapshotDigest,
  treeHash,
  WitnessLedger,
} from "../../src/holonomic/index.ts"
import { MemoryHoloStorage } from "../../src/store/holo/memory.ts"
import type { HoloStorage } from "../../src/store/holo/storage.ts"
import { equalBytes } from "../../src/wire/bytes.ts"
import type { AvError } from "../../src/wire/errors.ts"
import { BACK_ENDS, type BackEnd, Storages } from "./back-ends.ts"
import { ALL_SPEAK_MS, CORPUS, ENVELOPE, type Revived, readWhole, revive, type SavedPeer, type SavedWorld } from "./world.ts"

interface ComebackRun {
  /** `store`: with what it had; `key`: with nothing but its key and chain. */
  variant: "store" | "key"
  /** Which live peer it reaches first. */
  contact: number
  backEnd: BackEnd
  seed: number
}

/** By each live peer, with its store and with its key alone; the storages take turns, so that each variant meets all of them. */
export function runsOf(world: SavedWorld, seed: number): ComebackRun[] {
  return world.live.flatMap((_, contact) =>
    (["store", "key"] as const).map((variant, i) => ({
      variant,
      contact,
      backEnd: BACK_ENDS[(contact + i) % BACK_ENDS.length]!,
      seed: seed * 100 + contact,
    })),
  )
}

const STREAM = { streamId: new Uint8Array(32).fill(9), epoch: 1n, localityId: "everywhere" }

/** What did not hold. */
export async function comeback(world: SavedWorld, run: ComebackRun): Promise<string[]> {
  const failures: string[] = []
  const expect = (holds: boolean, what: string) => {
    if (!holds) failures.push(what)
  }
  const storages = new Storages(run.backEnd)
  const storageOf = (saved: SavedPeer) => storages.with(saved.contents)
  try {
    const revived = await revive(world, { seed: run.seed, wire: true, reorder: true }, storageOf)
    const { mesh, live } = revived
    await mesh.run(90_000)
    const contact = live[run.contact]!
    const wanderer = await add(revived, world, world.wanderer, run.variant === "store", storageOf)
    const served = watchServed(mesh, wanderer)
    await mesh.link(wanderer, contact, false)
    await mesh.run(30_000)

    // 1: let in by a chain whose root is gone.
    const admitted = contact.events.find((event) => event.type === "admitted")
    expect(admitted?.trustDistance === 2 && admitted.anchoredToRoot === world.root.keyId, "1: distance 2 from the root")
    expect(has(wanderer, "caught-up"), "1: caught up")
    // 5: what was revoked is gone, before anything was served.
    for (const ref of world.revoked) {
      expect(await isGone(wanderer, ref), `5: ${ref.contentId} is gone`)
      for (const peer of live) expect(await refuses(mesh, peer, ref), `5: ${ref.contentId} cannot be had`)
    }
    expect(!served().some((id) => world.revoked.some(({ contentId }) => contentId === id)), "5: nothing revoked was told")
    // 7: what it had and is still good is announced again.
    const kept = run.variant === "store" ? world.held.filter((ref) => !isIn(world.revoked, ref) && !isIn(world.folded, ref)) : []
    for (const ref of kept) {
      const holders = await contact.node.holders(ref, mesh.nowMs)
      expect(holders.has(world.wanderer.signer.keyId), `7: ${ref.contentId} is announced again`)
    }

    // The others, by the one that it reached.
    for (const peer of live) if (peer !== contact) await mesh.link(wanderer, peer, false)
    await mesh.run(60_000)
    await nextWitnesses(mesh)
    // 2: the same claims everywhere.
    const own = await wanderer.node.ledger.witnesses(wanderer.signer.keyId)
    const latest = own.at(-1)
    expect(latest !== undefined, "2: a witness of its own")
    for (const peer of live) {
      const theirs = (await peer.node.ledger.witnesses(peer.signer.keyId)).at(-1)
      const same =
        latest !== undefined &&
        theirs !== undefined &&
        compareWitnesses(latest, theirs).kind === "Identical" &&
        latest.leafCount === theirs.leafCount
      expect(same, `2: same root as ${peer.signer.keyId.slice(0, 8)}`)
    }
    // 3: the same tree, with the newcomer in it.
    const trees = treesOf(mesh, [wanderer, ...live])
    expect(new Set(trees.map(({ digest }) => digest)).size === 1, "3: equal snapshot digests")
    expect(new Set(trees.map(({ hash }) => hash)).size === 1, "3: equal tree hashes")
    expect(trees[0]!.children.has(wanderer.signer.keyId), "3: the newcomer is in the tree")
    // 4: the same plans from one set of holdings.
    for (const { ref } of live[0]!.node.contents(mesh.nowMs))
      expect(await samePlans(mesh, ref, [wanderer, ...live]), `4: ${ref.contentId}`)
    // 6: nothing old counts.
    await checkReplays(world, revived, expect)
    // 8: what is left is whole, what was folded lives on.
    for (const [contentId, payload] of world.payloads) {
      const ref = { contentId, corpusKind: "blob" }
      if (isIn(world.revoked, ref)) continue
      if (isIn(world.folded, ref)) {
        const reading = await contact.node.shelf.store.read(ref)
        expect(
          reading.state === "held" && reading.readClass === "EnvelopeOnly" && reading.foldedInto !== undefined,
          `8: ${contentId}`,
        )
        continue
      }
      const read = await readWhole(mesh, wanderer, ref).catch((error: AvError) => `${error.code} ${error.details.have}`)
      const why = typeof read === "string" ? read : "other bytes"
      expect(typeof read !== "string" && equalBytes(read, payload), `8: ${contentId} reads the same: ${why}`)
    }
    for (const peer of [...live, wanderer])
      expect(
        peer.node.shelf.items().some(({ ref }) => ref.corpusKind === "aggregate:blob"),
        "8: composites",
      )
  } finally {
    await storages.cleanUp()
  }
  return failures
}

/** The wanderer is all that is left: others that trust the root find the network again by it. */
export async function inverse(world: SavedWorld, seed: number): Promise<string[]> {
  const failures: string[] = []
  const alone = { ...world, live: [] }
  const revived = await revive(alone, { seed, reorder: true })
  const { mesh } = revived
  const wanderer = await add(revived, world, world.wanderer, true, async ({ contents }) => new MemoryHoloStorage({ contents }))
  const newcomers: MeshPeer[] = []
  for (const saved of world.live.slice(-3)) {
    const grant = {
      grantee: saved.signer.keyId,
      grantedAtUnixMs: BigInt(Math.floor(mesh.nowMs)),
      chainDepth: 0,
      weight: 255,
      expiresAtUnixMs: 0n,
    }
    const claim = await wanderer.node.grantTrust(grant, mesh.nowMs)
    const { chain, keys } = world.wanderer.chain
    const own = { ed25519: wanderer.signer.entityId, mlDsa65: wanderer.signer.mlDsaPublicKey }
    const trust = { roots: [world.root.keyId], chain: { chain: [...chain, claim], keys: [...keys, own] } }
    const peer = await mesh.add(saved.signer, { trust })
    newcomers.push(peer)
    for (const other of mesh.online()) if (other !== peer) await mesh.link(peer, other, false)
  }
  await mesh.run(60_000)
  await nextWitnesses(mesh)
  const witness = (await wanderer.node.ledger.witnesses(wanderer.signer.keyId)).at(-1)
  for (const peer of newcomers) {
    const name = peer.signer.keyId.slice(0, 8)
    const admitted = peer.events.find((event) => event.type === "admitted" && event.peer === wanderer.signer.keyId)
    if (admitted?.type !== "admitted" || admitted.trustDistance !== 2) failures.push(`${name} lets it in`)
    const theirs = (await peer.node.ledger.witnesses(peer.signer.keyId)).at(-1)
    if (!witness || !theirs || compareWitnesses(witness, theirs).kind !== "Identical") failures.push(`${name} has its claims`)
    if (peer.node.shelf.items().length !== wanderer.node.shelf.items().length) failures.push(`${name} has its manifests`)
  }
  // And goes on: what one of them puts, the wanderer and the others read.
  const [first, ...others] = newcomers
  const ref = { contentId: "afterwards", corpusKind: CORPUS }
  const payload = Uint8Array.from({ length: 1_500 }, (_, i) => i & 0xff)
  const { manifest, symbols } = await makeContent(ref, payload, ENVELOPE, first!.signer)
  await first!.node.put(manifest, symbols, mesh.nowMs)
  await mesh.run(60_000)
  for (const peer of [wanderer, ...others]) {
    const read = await readWhole(mesh, peer, ref).catch((error: AvError) => error.code)
    if (typeof read === "string" || !equalBytes(read, payload)) failures.push(`what came afterwards reads the same: ${read}`)
  }
  return failures
}

async function add(
  { mesh }: Revived,
  world: SavedWorld,
  saved: SavedPeer,
  withStore: boolean,
  storageOf: (saved: SavedPeer) => Promise<HoloStorage>,
): Promise<MeshPeer> {
  const storage = await storageOf(withStore ? saved : { ...saved, contents: new Map() })
  return mesh.add(saved.signer, { storage, trust: { roots: [world.root.keyId], chain: saved.chain } })
}

function has(peer: MeshPeer, type: HoloEvent["type"]): boolean {
  return peer.events.some((event) => event.type === type)
}

const isIn = (list: readonly { contentId: string }[], ref: { contentId: string }) =>
  list.some(({ contentId }) => contentId === ref.contentId)

async function isGone(peer: MeshPeer, ref: { contentId: string; corpusKind: string }): Promise<boolean> {
  const reading = await peer.node.shelf.store.read(ref)
  return reading.state !== "held" && (await peer.node.shelf.symbolIds(ref)).length === 0
}

/** Nobody gets it from this peer. */
async function refuses(mesh: VirtualMesh, peer: MeshPeer, ref: { contentId: string; corpusKind: string }): Promise<boolean> {
  return mesh.complete(peer.node.fetch(ref, mesh.nowMs)).then(
    () => false,
    () => true,
  )
}

/** Content ids that the peer has told others about. */
function watchServed(mesh: VirtualMesh, peer: MeshPeer): () => string[] {
  const told: string[] = []
  mesh.watch = (from, frame) => {
    if (from === peer.signer.keyId && frame.kind === "message" && frame.message.t === "holo.holding")
      told.push(frame.message.contentId)
  }
  return () => told
}

/** To the next epoch in which everybody speaks. */
async function nextWitnesses(mesh: VirtualMesh): Promise<void> {
  const next = (Math.floor(mesh.nowMs / ALL_SPEAK_MS) + 1) * ALL_SPEAK_MS
  await mesh.run(next - mesh.nowMs + 30_000)
}

/** Each peer's own snapshot and tree: grants from its own claims, advertisements and round trips as everybody tells them. */
function treesOf(mesh: VirtualMesh, peers: readonly MeshPeer[]) {
  const now = BigInt(Math.floor(mesh.nowMs)) - 5_000n
  const source = peers[1]!.signer.keyId
  return peers.map((self, turn) => {
    const facts = new MeshFacts()
    // Heard in another order by everybody.
    for (let i = 0; i < peers.length; i++) {
      const { keyId } = peers[(i + turn) % peers.length]!.signer
      const capacity = {
        uplinkMbps: 20 + keyId.charCodeAt(5),
        maxStreams: 4,
        maxSubscribersPerStream: 3,
        measuredAtUnixMs: now - 1_000n,
        maxLayerSupported: { maxSpatial: 255, maxTemporal: 255, maxQuality: 255 },
        subStreamCommitments: [],
      }
      facts.takeAd({ advertiserKeyId: keyId, capacity, ...STREAM }, "HybridSignatureValid")
      for (const other of peers) {
        const rtt = { toPeerId: other.signer.keyId, observedRttMs: 40, observedAtUnixMs: now - 20_000n }
        if (other.signer.keyId !== keyId) facts.takeRtt(keyId, rtt)
      }
    }
    const snapshot = facts.snapshot(STREAM, self.node.book.grantsAt(BigInt(Math.floor(mesh.nowMs))), mesh.nowMs + 10_000)
    const options = { sourcePeerId: source }
    const tree = computeSourceRootedTopology(snapshot, options)
    const children = new Set([...tree.tree.map(({ childPeerId }) => childPeerId), ...tree.unrootedPeers])
    return { digest: snapshotDigest(snapshot, options).join(), hash: treeHash(tree, source).join(), children }
  })
}

async function samePlans(
  mesh: VirtualMesh,
  ref: { contentId: string; corpusKind: string },
  peers: readonly MeshPeer[],
): Promise<boolean> {
  const holdings = new Map<string, readonly number[]>()
  for (const { node, signer } of peers) {
    const ids = await node.shelf.symbolIds(ref)
    if (ids.length > 0) holdings.set(signer.keyId, ids)
  }
  const livePeers = peers.map(({ signer }) => signer.keyId)
  const ranks = new RankTable()
  for (const localPeer of livePeers) {
    const plans = peers.map(({ node }) => {
      const item = node.shelf.get(ref)
      const consent = node.contents(mesh.nowMs).find((held) => held.ref.contentId === ref.contentId)?.consent ?? "Unknown"
      const policy = { nSource: item?.manifest.nSource ?? 0, kRepair: item?.manifest.kRepair ?? 0, targetHolders: 30 }
      return JSON.stringify(retentionPlan({ contentId: ref.contentId, policy, consent, localPeer, holdings, livePeers, ranks }))
    })
    if (new Set(plans).size !== 1) return false
  }
  return true
}

/** Somebody else says again what the wanderer once said. */
async function checkReplays(
  world: SavedWorld,
  { mesh, live }: Revived,
  expect: (holds: boolean, what: string) => void,
): Promise<void> {
  const { keyId } = world.wanderer.signer
  const old = await WitnessLedger.open(new MemoryHoloStorage({ contents: world.wanderer.contents }), keyId)
  const replayed = await old.witnesses(keyId)
  expect(replayed.length > 0, "6: the wanderer had a witness")
  const ref = world.held[1]!
  for (const [i, peer] of live.entries()) {
    const attacker = live[(i + 1) % live.length]!.signer.keyId
    const { ledger } = peer.node
    const highest = ledger.highestSeen(keyId)
    for (const witness of replayed) {
      // Who was there then has it, and ignores it as known; for everybody else it is older than what the wanderer said since.
      const known = (await ledger.witness(keyId, witness.epochId)) !== undefined
      peer.events.length = 0
      await mesh.inject(attacker, peer, { kind: "message", message: { t: "holo.witness", ...witness } })
      const refusals = peer.events.flatMap((event) => (event.type === "rejected" ? [event.code] : []))
      const stored = (await ledger.witness(keyId, witness.epochId)) !== undefined
      const refused = known ? refusals.length === 0 : refusals.join() === "Rollback" && !stored
      const stands = highest !== undefined && witness.epochId < highest && ledger.highestSeen(keyId) === highest
      expect(refused && stands && !ledger.isExcluded(keyId), `6: peer ${i} refuses the old witness`)
    }
    const held = async () => (await peer.node.holders(ref, mesh.nowMs)).get(keyId)?.symbolIds.join() ?? ""
    const before = await held()
    const claim = {
      peerId: keyId,
      contentId: ref.contentId,
      symbolIds: [0, 1, 2, 3],
      observedAtUnixMs: BigInt(Math.floor(world.nowMs)) - 94_608_000_000n,
      claimVersion: 1,
      signature: "AAAA",
      signatureMlDsa65: "AAAA",
    }
    await mesh.inject(keyId, peer, { kind: "message", message: { t: "holo.holding", ...claim } })
    expect(before === (await held()), `6: for peer ${i} an old holding claim counts for nothing`)
  }
}
