/** Operations of the room machine that need keys or signatures: asked for as actions, run by the driver, answered as events. */
import type {
  CommitPreview,
  EpochChange,
  GroupView,
  JoinerInput,
  JoinerWelcome,
  JoinInput,
  JoinMaterial,
  LeafEvidence,
  LeafVerdict,
  OpenedMessage,
  OpenedProposal,
  PeerKeys,
} from "../group/types.ts"
import type { AvError } from "../wire/errors.ts"
import type { RoomOrder } from "../wire/room-order.ts"
import type { SignedSettings } from "../wire/room-settings.ts"
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"

/** What an operation without arguments takes. */
type Nothing = Record<never, never>

/** Input and output of each operation. */
export interface RoomOps {
  learnKeys: { input: { keys: PeerKeys[] }; output: PeerKeyId[] }
  learnLeaves: { input: { leaves: LeafEvidence[] }; output: LeafVerdict[] }
  learnRecords: { input: { records: Bytes[] }; output: LeafVerdict[] }
  unverified: { input: Nothing; output: PeerKeyId[] }
  evidence: { input: { keyIds: PeerKeyId[] }; output: LeafEvidence[] }
  prepareJoin: { input: Nothing; output: JoinMaterial }
  found: { input: { roomId: Bytes }; output: GroupView }
  join: { input: Omit<JoinInput, "now">; output: GroupView }
  /** Stages and confirms at once: only the acting committer does this (RM-12). */
  commit: { input: { adds: JoinerInput[]; removes: PeerKeyId[]; authenticatedData: Bytes }; output: OwnCommit }
  /** Stages a self-update to be offered to the acting committer (RM-12). */
  stageUpdate: { input: Nothing; output: { token: number; bytes: Bytes; hash: Bytes; epoch: U64 } }
  confirm: { input: { token: number }; output: EpochChange }
  abort: { input: { token: number }; output: null }
  /** Opens a commit, checks its reasons (RM-14) and applies it when `apply`, unless leaves are missing. */
  take: { input: { bytes: Bytes; records: Bytes[]; roomId: Bytes; root: Bytes; apply: boolean }; output: TakenCommit }
  /** Goes back to `epoch` and applies `bytes` there (RM-13). */
  rollback: { input: { epoch: U64; bytes: Bytes }; output: EpochChange | "removed-me" }
  expire: { input: Nothing; output: null }
  proposeLeave: { input: Nothing; output: Bytes }
  openProposal: { input: { bytes: Bytes }; output: OpenedProposal }
  protect: { input: { plaintext: Bytes }; output: Bytes }
  open: { input: { bytes: Bytes }; output: OpenedMessage }
  signState: { input: { roomId: Bytes; keyId: PeerKeyId; state: Bytes }; output: Bytes }
  verifyState: { input: { roomId: Bytes; keyId: PeerKeyId; state: Bytes; sig: Bytes }; output: boolean }
  /** Signs with the entity key by a label of control-plane 0.4. */
  sign: { input: { label: "mesh/room/v1" | "mesh/order/v1"; body: Bytes }; output: Bytes }
  verifySettings: { input: { settings: SignedSettings; roomId: Bytes; root: Bytes }; output: boolean }
  verifyOrder: {
    input: { order: RoomOrder; roomId: Bytes; root: Bytes; leaf: Bytes; at: Milliseconds | undefined }
    output: boolean
  }
  reset: { input: Nothing; output: null }
}

export interface OwnCommit {
  change: EpochChange
  /** The epoch it was made in. */
  epoch: U64
  bytes: Bytes
  hash: Bytes
  welcomes: JoinerWelcome[]
  /** Bindings of the added leaves. */
  records: Bytes[]
}

export interface TakenCommit {
  preview: CommitPreview
  /** Absent when it was only looked at, when leaves are missing, or when it removes this peer. */
  change?: EpochChange
  /** It was applied and this peer is out; its keys are erased. */
  removedMe?: boolean
}

export type RoomOpName = keyof RoomOps
export type RoomOp = { [K in RoomOpName]: { op: K; now: Milliseconds } & RoomOps[K]["input"] }[RoomOpName]

/** What comes back for an `op` action. */
export type RoomOpResult =
  | { type: "opResult"; id: number; ok: true; value: RoomOps[RoomOpName]["output"] }
  | { type: "opResult"; id: number; ok: false; error: AvError }
