/**
 * Takes witnesses in and keeps them: the checks in their order, nothing stored before the signatures are right (N3), and proofs of
 * equivocation kept for ever (N4). The highest epochs survive a restart (D07).
 */
import { type HoloStorage, holoKey, holoKeyParts, keyNumber, type StorageOp } from "../../store/holo/storage.ts"
import { equalBytes } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { PeerKeyId, U64 } from "../../wire/types.ts"
import { keysMatch, type VerifyHybrid } from "../trust/verified.ts"
import { compareWitnesses, type WitnessComparison } from "./compare.ts"
import { acceptEquivocationProof, type EquivocationProof, provenEquivocation } from "./equivocation.ts"
import { decodeWitness, encodeEquivocationProof, encodeWitness } from "./json.ts"
import { emptyRoot } from "./merkle.ts"
import { guardNamespaces, sameNamespaces } from "./namespaces.ts"
import { AntiRollbackState } from "./rollback.ts"
import { verifyWitnessBy, verifyWitnessHybrid, type WitnessKeys } from "./verify.ts"
import { type WholenessWitness, WITNESS_VERSION } from "./witness.ts"

/** Witnesses kept of each peer. */
const KEPT = 16
/** Epochs that another clock may be ahead. */
const MAX_AHEAD = 5n
const EPOCH_DIGITS = 20

interface IngestOptions {
  /** Of our clock. */
  currentEpoch: U64
  nowUnixMs: U64
}

interface IngestEvents {
  /** A peer has contradicted itself, here or in a proof by somebody else: to be passed on once. */
  equivocation?: (proof: EquivocationProof) => void
}

interface LedgerOptions extends IngestEvents {
  /** Of witnesses that come in. */
  verify?: VerifyHybrid
}

export class WitnessLedger {
  readonly #storage: HoloStorage
  readonly #ownPeer: PeerKeyId
  readonly #options: LedgerOptions
  readonly #rollback = new AntiRollbackState()
  /** Peers that contradicted themselves, until an operator says otherwise. */
  readonly #excluded = new Set<PeerKeyId>()
  #tail: Promise<unknown> = Promise.resolve()

  private constructor(storage: HoloStorage, ownPeer: PeerKeyId, options: LedgerOptions) {
    this.#storage = storage
    this.#ownPeer = ownPeer
    this.#options = options
  }

  static async open(storage: HoloStorage, ownPeer: PeerKeyId, options: LedgerOptions = {}): Promise<WitnessLedger> {
    const ledger = new WitnessLedger(storage, ownPeer, options)
    for (const key of await storage.list("holo/rollback/")) {
      const peer = holoKeyParts(key, "rollback")?.[0]
      const value = await storage.get(key)
      if (peer !== undefined && value?.length === 8) ledger.#rollback.acceptIfMonotonic(peer, readU64(value))
    }
    for (const key of await storage.list("holo/hardcase/")) {
      const peer = holoKeyParts(key, "hardcase")?.[0]
      if (peer !== undefined) ledger.#excluded.add(peer)
    }
    for (const key of await storage.list("holo/cleared/")) {
      const peer = holoKeyParts(key, "cleared")?.[0]
      if (peer !== undefined && (await ledger.#isCleared(peer))) ledger.#excluded.delete(peer)
    }
    return ledger
  }

  /**
   * Checks a witness and stores it. Gives what it says beside our own of that epoch; undefined without one, or when its peer is excluded.
   * @throws AvError `UnsupportedVersion`, `ForbiddenNamespace`, `DuplicateNamespace`, `LeafCountMismatch`, `EpochInFuture`, a result
   * of `verifyWitnessHybrid`, `KeyInvalid` (not the keys of that peer), `NamespaceFork`, `Duplicate`, `Equivocation`, `Rollback`
   */
  async ingest(witness: WholenessWitness, keys: WitnessKeys, options: IngestOptions): Promise<WitnessComparison | undefined> {
    const { peerId, epochId, leafCount, merkleRoot, witnessVersion } = witness
    if (witnessVersion !== WITNESS_VERSION) throw new AvError("UnsupportedVersion", { version: witnessVersion })
    guardNamespaces(witness)
    if ((leafCount === 0) !== equalBytes(merkleRoot, emptyRoot()))
      throw new AvError("LeafCountMismatch", { leaf_count: leafCount })
    if (epochId > options.currentEpoch + MAX_AHEAD) throw new AvError("EpochInFuture", { epoch: epochId })
    const { verify } = this.#options
    const result = await (verify ? verifyWitnessBy(verify, witness, keys) : verifyWitnessHybrid(witness, keys))
    if (result !== "Valid") throw new AvError(result)
    if (!keysMatch(peerId, keys)) throw new AvError("KeyInvalid", { what: "not the keys of this peer" })
    return this.#exclusive(() => this.#store(witness, options))
  }

  /** Takes a proof that somebody else found. True when it was new and is right. */
  async ingestProof(proof: EquivocationProof, keys: WitnessKeys): Promise<boolean> {
    if (!keysMatch(proof.peerId, keys) || !(await acceptEquivocationProof(proof, keys))) return false
    const { witnessA, witnessB, observedAtUnixMs } = proof
    const ordered = provenEquivocation(witnessA, witnessB, observedAtUnixMs)
    return ordered !== undefined && this.#exclusive(() => this.#keepProof(ordered))
  }

  /** Whether a peer has contradicted itself: no comparison with it, and no relaying through it. */
  isExcluded(peerId: PeerKeyId): boolean {
    return this.#excluded.has(peerId)
  }

  /** An operator forgives the proofs there are now. They stay; a new one counts again. */
  clear(peerId: PeerKeyId): Promise<void> {
    return this.#exclusive(async () => {
      const proofs = await this.#storage.list(`${holoKey("hardcase", peerId)}/`)
      await this.#storage.batch([{ put: [holoKey("cleared", peerId), writeU32(proofs.length)] }])
      this.#excluded.delete(peerId)
    })
  }

  highestSeen(peerId: PeerKeyId): U64 | undefined {
    return this.#rollback.highestSeen(peerId)
  }

  async witness(peerId: PeerKeyId, epochId: U64): Promise<WholenessWitness | undefined> {
    const bytes = await this.#storage.get(witnessKey(peerId, epochId))
    return bytes && decodeWitness(bytes)
  }

  /** What is stored of a peer, the oldest first. */
  async witnesses(peerId: PeerKeyId): Promise<WholenessWitness[]> {
    const found = []
    for (const key of await this.#storage.list(`${holoKey("witness", peerId)}/`)) {
      const bytes = await this.#storage.get(key)
      if (bytes !== undefined) found.push(decodeWitness(bytes))
    }
    return found
  }

  /** The one of the highest epoch that is stored of a peer. */
  async latest(peerId: PeerKeyId): Promise<WholenessWitness | undefined> {
    const key = (await this.#storage.list(`${holoKey("witness", peerId)}/`)).at(-1)
    const bytes = key === undefined ? undefined : await this.#storage.get(key)
    return bytes && decodeWitness(bytes)
  }

  async #store(witness: WholenessWitness, { nowUnixMs }: IngestOptions): Promise<WitnessComparison | undefined> {
    const { peerId, epochId } = witness
    const known = await this.witness(peerId, epochId)
    if (known !== undefined) {
      if (!sameNamespaces(known, witness)) throw new AvError("NamespaceFork", { epoch: epochId })
      const proof = provenEquivocation(known, witness, nowUnixMs)
      if (proof === undefined) throw new AvError("Duplicate", { epoch: epochId })
      await this.#keepProof(proof)
      throw new AvError("Equivocation", { peer: peerId, epoch: epochId })
    }
    if (!this.#rollback.wouldAccept(peerId, epochId)) throw new AvError("Rollback", { epoch: epochId })
    const kept = await this.#storage.list(`${holoKey("witness", peerId)}/`)
    const ops: StorageOp[] = kept.slice(0, Math.max(0, kept.length + 1 - KEPT)).map((key) => ({ del: key }))
    ops.push({ put: [witnessKey(peerId, epochId), encodeWitness(witness)] })
    ops.push({ put: [holoKey("rollback", peerId), writeU64(epochId)] })
    await this.#storage.batch(ops)
    this.#rollback.acceptIfMonotonic(peerId, epochId)
    if (this.#excluded.has(peerId)) return undefined
    const ours = await this.witness(this.#ownPeer, epochId)
    return ours && compareWitnesses(ours, witness)
  }

  async #keepProof(proof: EquivocationProof): Promise<boolean> {
    const key = holoKey("hardcase", proof.peerId, keyNumber(proof.epochId, EPOCH_DIGITS))
    if ((await this.#storage.get(key)) !== undefined) return false
    await this.#storage.batch([{ put: [key, encodeEquivocationProof(proof)] }])
    this.#excluded.add(proof.peerId)
    this.#options.equivocation?.(proof)
    return true
  }

  /** True when no proof has come since the last time an operator forgave. */
  async #isCleared(peerId: PeerKeyId): Promise<boolean> {
    const forgiven = await this.#storage.get(holoKey("cleared", peerId))
    const proofs = await this.#storage.list(`${holoKey("hardcase", peerId)}/`)
    return forgiven?.length === 4 && new DataView(forgiven.buffer, forgiven.byteOffset).getUint32(0) >= proofs.length
  }

  #exclusive<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(run)
    this.#tail = result.catch(() => {})
    return result
  }
}

function witnessKey(peerId: PeerKeyId, epochId: U64): string {
  return holoKey("witness", peerId, keyNumber(epochId, EPOCH_DIGITS))
}

function writeU64(value: U64): Uint8Array {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, value)
  return out
}

function readU64(bytes: Uint8Array): U64 {
  return new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0)
}

function writeU32(value: number): Uint8Array {
  const out = new Uint8Array(4)
  new DataView(out.buffer).setUint32(0, value)
  return out
}
