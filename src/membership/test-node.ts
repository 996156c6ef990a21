/** Test helper: one tab in a {@link TestNetwork}: its identity, its room machine, and what a driver would hold. */
import { ed25519PublicKey, ed25519Sign } from "../crypto/ed25519.ts"
import { nodeIdOf, peerKeyIdOf, pqHashOf } from "../crypto/ids.ts"
import { inviteKey, relayKey } from "../crypto/room-keys.ts"
import type { RoomGroup } from "../group/types.ts"
import { toHex } from "../wire/bytes.ts"
import type { Bytes, NodeId, PeerKeyId, RandomBytes } from "../wire/types.ts"
import { RoomMachine } from "./machine.ts"
import type { RoomRights } from "./rights.ts"
import type { RoomAction, RoomMachineOptions, RoomNotice, RoomPeer } from "./types.ts"

const SECRET: Bytes = new Uint8Array(32).fill(3)
const NAME = "test-room"

export interface TestIdentity {
  peer: RoomPeer
  sign(message: Bytes): Promise<Bytes>
}

/** An identity without a usable ML-DSA key: enough for everything but the real group. */
export function testIdentity(random: RandomBytes): TestIdentity {
  const seed = random(32)
  const entityId = ed25519PublicKey(seed)
  const mlDsaPublicKey = new Uint8Array(1952)
  mlDsaPublicKey.set(random(32))
  const keyId = peerKeyIdOf(entityId, pqHashOf(mlDsaPublicKey))
  return { peer: { entityId, mlDsaPublicKey, keyId, nodeId: nodeIdOf(entityId) }, sign: (message) => ed25519Sign(seed, message) }
}

export interface NodeOptions {
  identity?: TestIdentity
  group?: RoomGroup
  secret?: Bytes
  root?: Bytes
  /** Direct links of this node never come up, or not with these. */
  noDirect?: boolean | ((other: TestNode) => boolean)
  maxNeighbours?: number
  /** Judges tokens; without it the root alone is host. */
  rights?: RoomRights
}

/** One tab: a machine and what a driver would hold. */
export class TestNode {
  readonly label: string
  readonly identity: TestIdentity
  readonly machine: RoomMachine
  readonly group: RoomGroup
  readonly options: NodeOptions
  readonly notices: { at: number; notice: RoomNotice }[] = []
  readonly actions: RoomAction[] = []
  alive = true
  finished = false
  registered = false
  joinedAt: number | undefined
  wakeAt: number | undefined
  busyUntil = 0

  constructor(label: string, identity: TestIdentity, group: RoomGroup, options: NodeOptions, random: RandomBytes) {
    this.label = label
    this.identity = identity
    this.group = group
    this.options = options
    const secret = options.secret ?? SECRET
    const machine: RoomMachineOptions = {
      name: NAME,
      self: identity.peer,
      inviteKey: inviteKey(secret, NAME),
      relayKey: relayKey(secret, NAME),
      displayName: label,
      random,
    }
    if (options.root !== undefined) machine.root = options.root
    if (options.maxNeighbours !== undefined) machine.maxNeighbours = options.maxNeighbours
    this.machine = new RoomMachine(machine)
  }

  get keyId(): PeerKeyId {
    return this.identity.peer.keyId
  }
  get nodeId(): NodeId {
    return this.identity.peer.nodeId
  }
  get tip(): string {
    return this.machine.view === undefined ? "" : toHex(this.machine.view.tip)
  }
  get memberIds(): PeerKeyId[] {
    return this.machine.view?.members.map(({ keyId }) => keyId) ?? []
  }
  saw<T extends RoomNotice["type"]>(type: T): Extract<RoomNotice, { type: T }>[] {
    return this.notices.flatMap(({ notice }) => (notice.type === type ? [notice as Extract<RoomNotice, { type: T }>] : []))
  }
}
