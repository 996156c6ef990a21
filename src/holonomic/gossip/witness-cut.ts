/** Once per epoch a peer says which claims it holds. Epochs come from the wall clock, and no epoch gets a second statement (D05). */
import type { IdentitySigner } from "../../identity/index.ts"
import { equalBytes, toBase64 } from "../../wire/bytes.ts"
import type { Milliseconds, U64 } from "../../wire/types.ts"
import type { WitnessLedger } from "../witness/ledger.ts"
import { sameNamespaces } from "../witness/namespaces.ts"
import { type WholenessWitness, WITNESS_VERSION, witnessPreimage } from "../witness/witness.ts"
import type { ClaimBook } from "./claim-book.ts"
import { witnessNamespaces } from "./durable.ts"

export const WITNESS_EPOCH_MS = 60_000
/** The cut is made so long after its moment: claims of that minute have arrived by then. */
export const CUT_DELAY_MS = 15_000
/** An unchanged root is said again in every so-manieth epoch only. */
const REPEAT_EVERY = 10n

/** Epoch of the witness clock at a time. */
export function witnessEpoch(nowUnixMs: Milliseconds): U64 {
  return BigInt(Math.floor(nowUnixMs / WITNESS_EPOCH_MS))
}

/** The moment an epoch's witness speaks of. */
export function cutOf(epochId: U64): U64 {
  return epochId * BigInt(WITNESS_EPOCH_MS)
}

/** The latest epoch whose cut is due. */
export function dueEpoch(nowUnixMs: Milliseconds): U64 {
  return witnessEpoch(nowUnixMs - CUT_DELAY_MS)
}

interface WitnessCutOptions {
  ledger: WitnessLedger
  book: ClaimBook
  signer: IdentitySigner
  meshId: string
}

export class WitnessCutter {
  readonly #ledger: WitnessLedger
  readonly #book: ClaimBook
  readonly #signer: IdentitySigner
  readonly #namespaces: string[]

  constructor({ ledger, book, signer, meshId }: WitnessCutOptions) {
    this.#ledger = ledger
    this.#book = book
    this.#signer = signer
    this.#namespaces = witnessNamespaces(meshId)
  }

  /** The latest own witness, as it was stored: after a crash it is sent again unchanged. */
  latest(): Promise<WholenessWitness | undefined> {
    return this.#ledger.latest(this.#signer.keyId)
  }

  /**
   * Makes the witness of the epoch that is due and stores it before anybody sees it. Undefined when there is nothing to say: the
   * epoch has one, the clock is behind the last one, or nothing has changed since.
   */
  async cut(nowUnixMs: Milliseconds): Promise<WholenessWitness | undefined> {
    const epochId = dueEpoch(nowUnixMs)
    const highest = this.#ledger.highestSeen(this.#signer.keyId)
    if (highest !== undefined && epochId <= highest) return undefined
    const { root, hashes } = this.#book.leavesAt(cutOf(epochId))
    const statement = {
      peerId: this.#signer.keyId,
      epochId,
      merkleRoot: root,
      leafCount: hashes.length,
      claimNamespaces: this.#namespaces,
      observedAtUnixMs: cutOf(epochId),
      witnessVersion: WITNESS_VERSION,
    }
    const before = await this.latest()
    const same =
      before !== undefined &&
      before.leafCount === statement.leafCount &&
      equalBytes(before.merkleRoot, root) &&
      sameNamespaces(before, statement)
    if (same && epochId % REPEAT_EVERY !== 0n) return undefined
    const { ed, pq } = await this.#signer.signHybrid(witnessPreimage(statement))
    const witness = { ...statement, signature: toBase64(ed), signatureMlDsa65: toBase64(pq), pqcKeyId: this.#signer.keyId }
    const keys = { ed25519: this.#signer.entityId, mlDsa65: this.#signer.mlDsaPublicKey }
    await this.#ledger.ingest(witness, keys, { currentEpoch: witnessEpoch(nowUnixMs), nowUnixMs: BigInt(Math.floor(nowUnixMs)) })
    return witness
  }
}
