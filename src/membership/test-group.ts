/**
 * A stand-in for the MLS group in simulations with thousands of runs: the same interface and the same refusals, no cryptography. Messages
 * carry the tip of the branch they were made on, so that a message of another branch is refused as MLS would refuse it.
 */
import { sha256Sync } from "../crypto/hash.ts"
import { peerKeyIdOf, pqHashOf } from "../crypto/ids.ts"
import { readMessageHead } from "../group/message-head.ts"
import {
  type CommitInput,
  type CommitPreview,
  EPOCH_KEEP_COUNT,
  EPOCH_KEEP_MS,
  type EpochChange,
  type GroupMember,
  type GroupView,
  type JoinInput,
  type JoinMaterial,
  type LeafEvidence,
  type LeafVerdict,
  type OpenedMessage,
  type OpenedProposal,
  type PeerKeys,
  type RoomGroup,
  type StagedCommit,
} from "../group/types.ts"
import { ByteWriter, concatBytes, equalBytes, fromHex, toHex, utf8Decode, utf8Encode } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, PeerKeyId, RandomBytes, U64 } from "../wire/types.ts"

interface Leaf {
  keyId: PeerKeyId
  leafKey: string
}

/** Long-term keys by key id; what av.leaf would have brought. */
const KEYS = new Map<PeerKeyId, PeerKeys>()

interface State {
  epoch: number
  leaves: (Leaf | null)[]
  tip: string
  leftAt?: number
}

interface CommitBody {
  author: PeerKeyId
  tip: string
  adds: Leaf[]
  removes: PeerKeyId[]
  ad: string
  salt: string
}

const CONTENT = { application: 1, proposal: 2, commit: 3 } as const

function seal(roomId: Bytes, epoch: number, content: keyof typeof CONTENT, body: object): Bytes {
  return new ByteWriter()
    .bytes(Uint8Array.of(0, 1, 0, 2, 32))
    .fixed(roomId, 32)
    .u64be(BigInt(epoch))
    .u8(CONTENT[content])
    .bytes(utf8Encode(JSON.stringify(body)))
    .finish()
}

const bodyOf = (bytes: Bytes) => JSON.parse(utf8Decode(bytes.subarray(46)))
const readJson = (bytes: Bytes) => JSON.parse(utf8Decode(bytes))

export class TestGroup implements RoomGroup {
  readonly #own: Omit<Leaf, "leafKey">
  readonly #random: RandomBytes
  #roomId: Bytes = new Uint8Array(32)
  #states: State[] = []
  #leafKey = ""
  #staged: { token: number; next: State; change: Omit<EpochChange, "view"> } | undefined
  #made = new Map<string, CommitPreview>()
  #token = 1

  constructor(keys: PeerKeys, random: RandomBytes) {
    const keyId = peerKeyIdOf(keys.entityId, pqHashOf(keys.mlDsa65))
    this.#own = { keyId }
    KEYS.set(keyId, keys)
    this.#random = random
  }

  async learnKeys(keys: PeerKeys[]): Promise<PeerKeyId[]> {
    return keys.map(({ entityId, mlDsa65 }) => peerKeyIdOf(entityId, pqHashOf(mlDsa65)))
  }
  async learnLeaves(leaves: LeafEvidence[]): Promise<LeafVerdict[]> {
    return leaves.map(({ entityId, mlDsa65 }) => ({ keyId: peerKeyIdOf(entityId, pqHashOf(mlDsa65)), verified: true }))
  }
  async learnRecords(records: Bytes[]): Promise<LeafVerdict[]> {
    return records.map((record) => ({ keyId: readJson(record).keyId, verified: true }))
  }
  async unverifiedMembers(): Promise<PeerKeyId[]> {
    return []
  }
  async leafEvidence(keyIds: PeerKeyId[]): Promise<LeafEvidence[]> {
    return this.#leaves().flatMap((leaf) => {
      const keys = KEYS.get(leaf.keyId)
      if (keys === undefined || !keyIds.includes(leaf.keyId)) return []
      return [{ ...keys, binding: utf8Encode(JSON.stringify(leaf)) }]
    })
  }

  async prepareJoin(): Promise<JoinMaterial> {
    const leafKey = toHex(this.#random(32))
    const record = utf8Encode(JSON.stringify({ ...this.#own, leafKey }))
    return { keyPackageRef: sha256Sync(record), record, binding: record }
  }
  async found(roomId: Bytes): Promise<GroupView> {
    this.#requireNone()
    this.#leafKey = toHex(this.#random(32))
    const tip = toHex(sha256Sync(concatBytes(roomId, fromHex(this.#leafKey))))
    this.#roomId = roomId
    this.#states = [{ epoch: 0, leaves: [{ ...this.#own, leafKey: this.#leafKey }], tip }]
    return this.#view()
  }
  async join(input: JoinInput): Promise<GroupView> {
    this.#requireNone()
    const { roomId, state, leafKey, to } = readJson(input.envelope)
    if (to !== this.#own.keyId) throw new AvError("KeyPackageUnknown")
    if (roomId !== toHex(input.roomId)) throw new AvError("RoomIdMismatch")
    this.#roomId = input.roomId
    this.#leafKey = leafKey
    this.#states = [state]
    return this.#view()
  }

  async stageCommit(input: CommitInput): Promise<StagedCommit> {
    if (this.#staged !== undefined) throw new AvError("CommitPending")
    const state = this.#current()
    const adds: Leaf[] = (input.adds ?? []).map(({ record }) => readJson(record))
    const body: CommitBody = {
      author: this.#own.keyId,
      tip: state.tip,
      adds,
      removes: input.removes ?? [],
      ad: toHex(input.authenticatedData ?? new Uint8Array()),
      salt: toHex(this.#random(8)),
    }
    const bytes = seal(this.#roomId, state.epoch, "commit", body)
    const preview = this.#preview(state, body, bytes)
    const next = apply(state, body, bytes)
    const hash = sha256Sync(bytes)
    this.#made.set(toHex(hash), preview)
    const token = this.#token++
    this.#staged = { token, next, change: changeOf(body, hash) }
    const welcomes = adds.map((leaf) => {
      const envelope = utf8Encode(
        JSON.stringify({ roomId: toHex(this.#roomId), state: next, leafKey: leaf.leafKey, to: leaf.keyId }),
      )
      return { keyId: leaf.keyId, keyPackageRef: new Uint8Array(32), envelope, envelopeHash: sha256Sync(envelope) }
    })
    const records = adds.map((leaf) => utf8Encode(JSON.stringify(leaf)))
    return { token, epoch: BigInt(state.epoch), bytes, hash, welcomes, records }
  }
  async confirm(token: number, now: number): Promise<EpochChange> {
    const staged = this.#staged
    if (staged?.token !== token) throw new AvError("CommitConflict", { epoch: this.#current().epoch })
    return this.#advance(staged.next, staged.change, now)
  }
  async abort(token: number): Promise<void> {
    if (this.#staged?.token === token) this.#staged = undefined
  }
  async previewCommit(bytes: Bytes): Promise<CommitPreview> {
    const made = this.#made.get(toHex(sha256Sync(bytes)))
    const head = readMessageHead(bytes)
    const state = this.#at(head.epoch)
    if (head.content !== "commit") throw new AvError("NotACommit")
    if (made !== undefined) return made
    return this.#preview(state, this.#authentic(state, bytes), bytes)
  }
  async processCommit(bytes: Bytes, now: number): Promise<EpochChange> {
    const state = this.#current()
    const head = readMessageHead(bytes)
    if (head.epoch !== BigInt(state.epoch)) throw new AvError("ProcessFailed", { why: "other epoch" })
    const body = this.#authentic(state, bytes)
    if (body.removes.includes(this.#own.keyId)) {
      await this.reset()
      throw new AvError("RemovedFromGroup", { epoch: state.epoch })
    }
    return this.#advance(apply(state, body, bytes), changeOf(body, sha256Sync(bytes)), now)
  }
  async restoreEpoch(epoch: U64): Promise<GroupView> {
    this.#at(epoch)
    this.#states = this.#states.filter((state) => BigInt(state.epoch) <= epoch)
    this.#staged = undefined
    return this.#view()
  }
  async expire(now: number): Promise<void> {
    this.#states = this.#states.filter(({ leftAt }, i) => i === this.#states.length - 1 || (leftAt ?? now) + EPOCH_KEEP_MS > now)
  }

  async proposeLeave(): Promise<Bytes> {
    const { epoch, tip } = this.#current()
    return seal(this.#roomId, epoch, "proposal", { author: this.#own.keyId, tip })
  }
  async openProposal(bytes: Bytes): Promise<OpenedProposal> {
    const { epoch } = readMessageHead(bytes)
    const { author } = this.#authentic(this.#at(epoch), bytes)
    return { epoch, sender: author, senderLeaf: 0, kind: "leave" }
  }
  async protect(plaintext: Bytes): Promise<Bytes> {
    const { epoch, tip } = this.#current()
    const salt = toHex(this.#random(8))
    return seal(this.#roomId, epoch, "application", { author: this.#own.keyId, tip, salt, text: toHex(plaintext) })
  }
  async open(bytes: Bytes): Promise<OpenedMessage> {
    const { epoch } = readMessageHead(bytes)
    const state = this.#at(epoch)
    const { author } = this.#authentic(state, bytes)
    const senderLeaf = state.leaves.findIndex((leaf) => leaf?.keyId === author)
    const senderLeafKey = fromHex(state.leaves[senderLeaf]?.leafKey ?? "")
    return { epoch, sender: author, senderLeaf, senderLeafKey, plaintext: fromHex(bodyOf(bytes).text) }
  }

  async signWithLeaf(label: string, content: Bytes): Promise<Bytes> {
    return fakeSignature(this.#leafKey, label, content)
  }
  async verifyWithLeaf(keyId: PeerKeyId, label: string, content: Bytes, signature: Bytes): Promise<boolean> {
    const leaf = this.#leaves().find((member) => member.keyId === keyId)
    return leaf !== undefined && equalBytes(fakeSignature(leaf.leafKey, label, content), signature)
  }

  async view(): Promise<GroupView> {
    return this.#view()
  }
  async reset(): Promise<void> {
    this.#states = []
    this.#staged = undefined
    this.#made.clear()
  }

  #requireNone(): void {
    if (this.#states.length > 0) throw new AvError("AlreadyInitialized")
  }
  #current(): State {
    const state = this.#states.at(-1)
    if (state === undefined) throw new AvError("UsageError", { why: "no group" })
    return state
  }
  #at(epoch: U64): State {
    const state = this.#states.find((known) => BigInt(known.epoch) === epoch)
    if (state === undefined) throw new AvError("UnknownEpoch", { epoch })
    return state
  }
  #leaves(): Leaf[] {
    return this.#current().leaves.filter((leaf) => leaf !== null)
  }
  #authentic(state: State, bytes: Bytes): CommitBody {
    const body: CommitBody = bodyOf(bytes)
    const member = state.leaves.some((leaf) => leaf?.keyId === body.author)
    if (body.tip !== state.tip || !member) throw new AvError("ProcessFailed", { why: "other branch" })
    return body
  }
  #preview(state: State, body: CommitBody, bytes: Bytes): CommitPreview {
    const removes = body.removes.map((keyId) => {
      const leafIndex = state.leaves.findIndex((leaf) => leaf?.keyId === keyId)
      const leafKey = state.leaves[leafIndex]?.leafKey
      if (leafKey === undefined) throw new AvError("MemberNotFound", { key_id: keyId })
      return { keyId, leafIndex, leafKey: fromHex(leafKey) }
    })
    return {
      epoch: BigInt(state.epoch),
      hash: sha256Sync(bytes),
      author: body.author,
      authorLeaf: state.leaves.findIndex((leaf) => leaf?.keyId === body.author),
      removes,
      adds: body.adds.map(({ keyId }) => keyId),
      unverified: [],
      removesMe: body.removes.includes(this.#own.keyId),
      authenticatedData: fromHex(body.ad),
      superseded: state !== this.#current(),
    }
  }
  #advance(next: State, change: Omit<EpochChange, "view">, now: number): EpochChange {
    this.#staged = undefined
    this.#current().leftAt = now
    this.#states.push(next)
    while (this.#states.length > EPOCH_KEEP_COUNT + 1) this.#states.shift()
    return { ...change, view: this.#view() }
  }
  #view(): GroupView {
    const state = this.#current()
    const members = state.leaves.flatMap((leaf, leafIndex): GroupMember[] =>
      leaf === null ? [] : [{ keyId: leaf.keyId, leafIndex, leafKey: fromHex(leaf.leafKey), verified: true }],
    )
    return {
      roomId: this.#roomId,
      epoch: BigInt(state.epoch),
      ownKeyId: this.#own.keyId,
      ownLeaf: state.leaves.findIndex((leaf) => leaf?.keyId === this.#own.keyId),
      members,
      tip: fromHex(state.tip),
      roomCode: "0000-0000",
    }
  }
}

function apply(state: State, body: CommitBody, bytes: Bytes): State {
  const leaves = state.leaves.map((leaf) => (leaf !== null && body.removes.includes(leaf.keyId) ? null : leaf))
  for (const add of body.adds) {
    if (leaves.some((leaf) => leaf?.keyId === add.keyId)) throw new AvError("AlreadyMember", { key_id: add.keyId })
    const blank = leaves.indexOf(null)
    if (blank < 0) leaves.push(add)
    else leaves[blank] = add
  }
  return { epoch: state.epoch + 1, leaves, tip: toHex(sha256Sync(concatBytes(fromHex(state.tip), bytes))) }
}

function changeOf(body: CommitBody, commitHash: Bytes): Omit<EpochChange, "view"> {
  return {
    commitHash,
    author: body.author,
    added: body.adds.map(({ keyId }) => keyId),
    removed: body.removes,
    authenticatedData: fromHex(body.ad),
  }
}

function fakeSignature(leafKey: string, label: string, content: Bytes): Bytes {
  const half = sha256Sync(concatBytes(fromHex(leafKey), utf8Encode(label), content))
  return concatBytes(half, half)
}
