/** Test helper: a peer with an identity and a group, the keys it was told, and what its mesh worker would have received. */

import { welcomeProof } from "../crypto/room-keys.ts"
import { createIdentity, type IdentitySigner } from "../identity/index.ts"
import { decodeWelcomeEnvelope } from "../wire/key-records.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { MlsRoomGroup } from "./room-group.ts"
import type { EpochSecret, GroupView, JoinerInput, JoinerWelcome, LeafEvidence, PeerKeys } from "./types.ts"

export const NOW = 1_750_000_000_000
export const ROOM_ID = new Uint8Array(32).fill(7)
export const INVITE_KEY = new Uint8Array(32).fill(9)

export class TestPeer {
  readonly identity: IdentitySigner
  readonly group: MlsRoomGroup
  readonly secrets: EpochSecret[] = []
  erased = 0

  constructor(identity: IdentitySigner) {
    this.identity = identity
    this.group = new MlsRoomGroup({
      identity,
      sink: { epoch: (secret) => this.secrets.push(secret), erase: () => this.erased++ },
    })
  }

  get keyId(): PeerKeyId {
    return this.identity.keyId
  }

  get keys(): PeerKeys {
    return { entityId: this.identity.entityId, mlDsa65: this.identity.mlDsaPublicKey }
  }

  get rootSecret(): Bytes | undefined {
    return this.secrets.at(-1)?.rootSecret
  }

  async request(now = NOW): Promise<JoinerInput> {
    const { record, binding } = await this.group.prepareJoin(now)
    return { record, binding, keys: this.keys }
  }

  async take(welcome: JoinerWelcome, inviter: TestPeer, leaves: LeafEvidence[] = []): Promise<GroupView> {
    const { canonical } = decodeWelcomeEnvelope(welcome.envelope)
    const own = await inviter.group.leafEvidence([inviter.keyId])
    return this.group.join({
      roomId: ROOM_ID,
      envelope: welcome.envelope,
      inviter: inviter.keys,
      proof: welcomeProof(INVITE_KEY, canonical),
      inviteKey: INVITE_KEY,
      leaves: [...own, ...leaves],
      now: NOW,
    })
  }
}

export async function makePeers(count: number): Promise<TestPeer[]> {
  const peers: TestPeer[] = []
  for (let i = 0; i < count; i++) peers.push(new TestPeer(await createIdentity()))
  return peers
}

/** The first founds, the others are added in one batch and know everybody's leaf. */
export async function makeRoom(count: number): Promise<TestPeer[]> {
  const peers = await makePeers(count)
  const [founder, ...others] = peers as [TestPeer, ...TestPeer[]]
  await founder.group.found(ROOM_ID, NOW)
  if (others.length > 0) await admit(founder, [founder], others)
  return peers
}

/** Adds peers in one commit, brings it to the members, and gives the newcomers all leaves. */
export async function admit(
  committer: TestPeer,
  members: TestPeer[],
  newcomers: TestPeer[],
  removes: PeerKeyId[] = [],
): Promise<void> {
  const adds: JoinerInput[] = []
  for (const peer of newcomers) adds.push(await peer.request())
  const staged = await committer.group.stageCommit({ adds, removes, now: NOW })
  await committer.group.confirm(staged.token, NOW)
  const gone = new Set(removes)
  for (const member of members) {
    if (member === committer || gone.has(member.keyId)) continue
    await member.group.learnKeys(newcomers.map(({ keys }) => keys))
    await member.group.learnRecords(staged.records, NOW)
    await member.group.processCommit(staged.bytes, NOW)
  }
  const { members: all } = await committer.group.view()
  const leaves = await committer.group.leafEvidence(all.map(({ keyId }) => keyId))
  for (const [i, peer] of newcomers.entries()) {
    const welcome = staged.welcomes[i]
    if (welcome === undefined) throw new Error("a welcome is missing")
    await peer.take(welcome, committer, leaves)
  }
}
