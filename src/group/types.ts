/** The public face of the group layer: what a room asks of its MLS group, as plain bytes and values that cross a worker border. */
import type { Bytes, Milliseconds, PeerKeyId, U64 } from "../wire/types.ts"

/** The long-term public keys of a peer. Its key id is their hash, so they prove themselves (av-mesh D-42). */
export interface PeerKeys {
  /** Ed25519 public key, 32 bytes. */
  entityId: Bytes
  /** ML-DSA-65 public key, 1952 bytes. */
  mlDsa65: Bytes
}

/** What binds a leaf of the tree to a peer (av-mesh D-18.7): its long-term keys and a record signed with them. */
export interface LeafEvidence extends PeerKeys {
  /** A stored LeafBindingRecord or KeyPackageRecord: canonical bytes, then both signatures. */
  binding: Bytes
}

/** Answer of {@link RoomGroup.learnLeaves}, one per piece of evidence and in its order. */
export interface LeafVerdict {
  /** The key id the record names; empty when the record could not be read. */
  keyId: PeerKeyId
  verified: boolean
  /** Why not: an error code of av-mesh 6.6. */
  error?: string
}

/** What a newcomer puts into `room.join`; the private halves stay inside the group object. */
export interface JoinMaterial {
  /** RFC 9420 5.2 reference of the KeyPackage, 32 bytes. */
  keyPackageRef: Bytes
  /** Stored KeyPackageRecord. */
  record: Bytes
  /** Stored LeafBindingRecord of the same leaf key. */
  binding: Bytes
}

/** A newcomer to add, as received in `room.join`. Its keys may be left out when {@link RoomGroup.learnKeys} knows them. */
export interface JoinerInput {
  record: Bytes
  /** Missing when the record came from a directory: the record itself then binds the leaf. */
  binding?: Bytes | undefined
  keys?: PeerKeys
}

export interface JoinInput {
  /** The identifier computed from name, instance and root (RM-4); the Welcome must be for it. */
  roomId: Bytes
  /** Stored WelcomeEnvelope: canonical bytes, signatures, Welcome (av-mesh D-18.5). */
  envelope: Bytes
  /** Long-term keys of the inviter, from `av.keys` of the session that brought the Welcome. */
  inviter: PeerKeys
  /** `av.welcome`'s `proof` and the key it is made with. Without them the inviter is unknown. */
  proof: Bytes
  inviteKey: Bytes
  /** Records that came with the Welcome; each counts once its owner's keys are known. */
  records?: Bytes[]
  /** Leaves learned already, the inviter's among them. */
  leaves?: LeafEvidence[]
  /** Unix milliseconds. */
  now: Milliseconds
}

export interface CommitInput {
  /** Newcomers. One whose key id has a leaf must be named in `removes` too ("replace the leaf", D-12.3). */
  adds?: JoinerInput[]
  removes?: PeerKeyId[]
  /** Goes into the commit as it is: the reasons of RM-14, at most 8 KiB. */
  authenticatedData?: Bytes
  /** Unix milliseconds. */
  now: Milliseconds
}

/** A Welcome on its way to one newcomer. */
export interface JoinerWelcome {
  keyId: PeerKeyId
  keyPackageRef: Bytes
  /** Stored WelcomeEnvelope, for `av.welcome`. */
  envelope: Bytes
  /** SHA-256 of the envelope's canonical bytes: what the welcome proof is made over. */
  envelopeHash: Bytes
}

/** A commit that is made but not in force (D-13): nothing moves before {@link RoomGroup.confirm}. */
export interface StagedCommit {
  token: number
  /** The epoch it was made in; it leads to the next one. */
  epoch: U64
  /** MLSMessage bytes. */
  bytes: Bytes
  /** SHA-256 of `bytes`. */
  hash: Bytes
  welcomes: JoinerWelcome[]
  /** Bindings of the added leaves, for the `records` of `av.mls`. */
  records: Bytes[]
}

/** A commit opened and found authentic, but not applied. Input of RM-13, RM-14, RM-29 and RM-31. */
export interface CommitPreview {
  epoch: U64
  hash: Bytes
  author: PeerKeyId
  authorLeaf: number
  removes: RemovedLeaf[]
  adds: PeerKeyId[]
  /** Adds whose leaf is not verified yet: get their leaves (`av.leaf?`) before processing. */
  unverified: PeerKeyId[]
  removesMe: boolean
  authenticatedData: Bytes
  /** The commit is for an epoch this group has left, but could still go back to. */
  superseded: boolean
}

export interface RemovedLeaf {
  keyId: PeerKeyId
  leafIndex: number
  /** The leaf's signature key before the commit. */
  leafKey: Bytes
}

export interface GroupMember {
  keyId: PeerKeyId
  leafIndex: number
  /** Ed25519 leaf signature key. */
  leafKey: Bytes
  /** A record signed with the member's long-term keys binds this leaf key (D-18.7). */
  verified: boolean
}

/** The group as it stands. No secrets: the content key goes to the mesh worker by its own way. */
export interface GroupView {
  roomId: Bytes
  epoch: U64
  ownKeyId: PeerKeyId
  ownLeaf: number
  /** By leaf index, this peer included. */
  members: GroupMember[]
  /** RM-6 `tip` of this epoch, 32 bytes. */
  tip: Bytes
  /** Eight characters to compare aloud (RM-23). */
  roomCode: string
}

/** What an accepted commit changed. */
export interface EpochChange {
  view: GroupView
  commitHash: Bytes
  author: PeerKeyId
  added: PeerKeyId[]
  /** Key ids whose leaf went away; one that was replaced is in `added` as well. */
  removed: PeerKeyId[]
  authenticatedData: Bytes
}

/** An application message of a member. */
export interface OpenedMessage {
  epoch: U64
  sender: PeerKeyId
  senderLeaf: number
  senderLeafKey: Bytes
  plaintext: Bytes
}

export interface OpenedProposal {
  epoch: U64
  sender: PeerKeyId
  senderLeaf: number
  /** `leave`: the sender asks to be removed. Anything else is of no use here. */
  kind: "leave" | "other"
}

/** What an MLSMessage says about itself in the clear. */
export interface MessageHead {
  groupId: Bytes
  epoch: U64
  content: "application" | "proposal" | "commit"
}

/**
 * One MLS group of one room, seen from the room machine. All calls are queued and run one after another; a call that fails leaves the group
 * as it was. Nothing here reads a clock: `now` is Unix milliseconds. Errors are `AvError` of av-mesh 6.4 and 6.6.
 */
export interface RoomGroup {
  /** Remembers long-term keys of peers (from `av.keys`, `av.leaf`); returns their key ids in order. `KeyInvalid` on wrong lengths. */
  learnKeys(keys: PeerKeys[]): Promise<PeerKeyId[]>
  /** Verifies leaf bindings and remembers the good ones. Never throws because of a bad one. */
  learnLeaves(leaves: LeafEvidence[], now: Milliseconds): Promise<LeafVerdict[]>
  /** The same for records whose owners' keys are known already (`records` of `av.mls` and `av.welcome`). */
  learnRecords(records: Bytes[], now: Milliseconds): Promise<LeafVerdict[]>
  /** Members whose leaf has no verified binding yet. Nothing may be sealed before this is empty (D-43 d). */
  unverifiedMembers(): Promise<PeerKeyId[]>
  /** Evidence for the leaves of these members, to answer `av.leaf?`; unknown ones are left out. */
  leafEvidence(keyIds: PeerKeyId[]): Promise<LeafEvidence[]>

  /** A fresh KeyPackage with its record and binding. Up to 4 unused ones are kept, the oldest is forgotten first. */
  prepareJoin(now: Milliseconds): Promise<JoinMaterial>
  /** A new group with this peer alone, epoch 0. `AlreadyInitialized` while in a group. */
  found(roomId: Bytes, now: Milliseconds): Promise<GroupView>
  /**
   * Takes a Welcome (RM-7 step 9): proof, envelope, group id, own leaf and the inviter's leaf are checked before it counts.
   * `InviterUnknown`, `WelcomeSignatureRejected`, `KeyPackageUnknown`, `WelcomeMalformed`, `RoomIdMismatch`, `LeafIdentityUnverified`,
   * `AlreadyInitialized`.
   */
  join(input: JoinInput): Promise<GroupView>

  /** Makes one commit for all adds and removes, with a path; without either it is a self-update. `CommitPending` while one is open. */
  stageCommit(input: CommitInput): Promise<StagedCommit>
  /** Puts the staged commit in force. `CommitConflict { epoch }` when the group has moved or the token is not the open one. */
  confirm(token: number, now: Milliseconds): Promise<EpochChange>
  /** Drops the staged commit; harmless when it is gone already. */
  abort(token: number): Promise<void>
  /** Opens a commit of the present or a kept epoch and says what it would do, changing nothing. `NotACommit`, `ProcessFailed`. */
  previewCommit(bytes: Bytes): Promise<CommitPreview>
  /**
   * Applies a commit of another member made in the present epoch; an own staged commit is dropped. `LeafIdentityUnverified { key_id }` and
   * `ProcessFailed` leave the epoch unchanged; `RemovedFromGroup { epoch }` comes after all keys are erased.
   */
  processCommit(bytes: Bytes, now: Milliseconds): Promise<EpochChange>
  /** Goes back to a kept epoch (RM-13) and forgets what came after. `UnknownEpoch` when it is not kept any more. */
  restoreEpoch(epoch: U64): Promise<GroupView>
  /** Erases states and message keys of epochs that were left 15 s ago or earlier (RM-13, RM-17). */
  expire(now: Milliseconds): Promise<void>

  /** A proposal to remove this peer, for the acting committer (RM-15). Changes no state that matters to others. */
  proposeLeave(): Promise<Bytes>
  openProposal(bytes: Bytes): Promise<OpenedProposal>

  /** Seals an application message, at most 64 KiB. */
  protect(plaintext: Bytes): Promise<Bytes>
  /** Opens an application message of this or a kept epoch. `UnknownEpoch { epoch }` or `ProcessFailed`; a replay is `ProcessFailed`. */
  open(bytes: Bytes): Promise<OpenedMessage>

  /** RFC 9420 SignWithLabel under this peer's leaf key (RM-19). */
  signWithLeaf(label: string, content: Bytes): Promise<Bytes>
  /** Checks such a signature against the leaf key of a member of the present epoch. */
  verifyWithLeaf(keyId: PeerKeyId, label: string, content: Bytes, signature: Bytes): Promise<boolean>

  /** The group as it stands; `UsageError` before `found` or `join`. */
  view(): Promise<GroupView>
  /** Erases everything and leaves the object ready for another `prepareJoin` and `join`. */
  reset(): Promise<void>
}

/** A group whose owner can also be added by somebody else, without asking (RM-9). */
export interface PublishingGroup extends RoomGroup {
  /**
   * Records for the server's directory (`av.kp.put`): tops the published packages up to 8 one-time ones
   * and one last resort. `UsageError` where the group was made without a place to keep them.
   */
  publishPackages(now: Milliseconds): Promise<Bytes[]>
}

/** Where the content keys go: never to the caller of {@link RoomGroup}, straight to the mesh worker. */
export interface EpochSink {
  /** An epoch came into force, also after a rollback. The secret is handed over; the group keeps no copy. */
  epoch(secret: EpochSecret): void
  /** Left or removed: forget every content key. */
  erase(): void
}

export interface EpochSecret {
  roomId: Bytes
  epoch: U64
  /** 32 bytes, av-mesh 6.2. */
  rootSecret: Bytes
  /** Number of members, this peer included. */
  members: number
  /** Somebody was removed, or it is the first epoch: seal with it at once (av-mesh D-38). */
  sealNow: boolean
}

/** How long a left epoch's state and message keys are kept (RM-13, RM-17). */
export const EPOCH_KEEP_MS = 15_000
/** How many left epochs are kept at most. */
export const EPOCH_KEEP_COUNT = 4
