/** The durable claims that a peer knows: stored with their signatures and keys, merged by union, told apart by live rules (D05). */
import { ML_DSA_PUBLIC_LENGTH, sha256Sync } from "../../crypto/index.ts"
import { type HoloStorage, holoKey } from "../../store/holo/storage.ts"
import { ByteReader, ByteWriter, compareBytes, fromHex, toHex, utf8Decode } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import { utf8 } from "../checks.ts"
import type { ConsentBody, TrustRevokeBody } from "../claims/bodies.ts"
import { signedClaimBytes } from "../claims/signed-claim.ts"
import { judgeConsent } from "../content/consent.ts"
import type { ContentRef } from "../content/manifest.ts"
import type { ConsentState } from "../retention/rarity.ts"
import type { TrustGrant } from "../topology/types.ts"
import { decodeSignedClaim, encodeSignedClaim } from "../trust/claim-codec.ts"
import { isVerified, type PeerKeys, restoreVerified, type SignedClaim, verificationMark } from "../trust/verified.ts"
import { leafSet, merkleRoot } from "../witness/merkle.ts"
import { filterWitnessLeaves } from "../witness/namespaces.ts"
import { type DurableClaim, type DurableKind, type LiveFacts, liveAt, readDurable } from "./durable.ts"

/** Claims of one signer, and of all: admitted peers may hand on what strangers signed. */
const MAX_CLAIMS_PER_SIGNER = 20_000
const MAX_BOOK_CLAIMS = 50_000
/** Cuts kept: by kind, and of the epochs that are compared. */
const MAX_CUTS = 16
/** Never told to anybody. */
export const SCOPE_SELF = "self"
const SCOPE_MESH = "mesh"

/** A claim with what it takes to check it. */
export interface KeyedClaim {
  claim: SignedClaim
  keys: PeerKeys
}

/** The leaves of a witness: what it is computed over. */
class LeafCut {
  /** SHA-256 of each leaf, ascending. */
  readonly hashes: readonly Bytes[]
  readonly #leaves: readonly Bytes[]
  #root: Bytes | undefined

  constructor(claims: readonly DurableClaim[]) {
    this.#leaves = claims.map(({ leaf }) => leaf)
    this.hashes = claims.map(({ hash }) => fromHex(hash)).sort(compareBytes)
  }

  /** Computed when it is asked for: an answer to others needs the hashes only. */
  get root(): Bytes {
    this.#root ??= merkleRoot(leafSet(this.#leaves))
    return this.#root
  }
}

export class ClaimBook {
  readonly #storage: HoloStorage
  readonly #facts: LiveFacts
  readonly #claims = new Map<string, DurableClaim>()
  readonly #bySigner = new Map<PeerKeyId, number>()
  /** What was said about the keeping of a content: looked at with every plan. */
  readonly #consents = new Map<string, ConsentStatement[]>()
  readonly #cuts = new Map<string, LeafCut>()

  private constructor(storage: HoloStorage, facts: LiveFacts) {
    this.#storage = storage
    this.#facts = facts
  }

  /** Loads what an earlier run stored. Records that are damaged, or whose claim is not the one that was verified, are left out. */
  static async open(storage: HoloStorage, facts: LiveFacts): Promise<ClaimBook> {
    const book = new ClaimBook(storage, facts)
    for (const key of await storage.list("holo/claim/")) {
      const bytes = await storage.get(key)
      const record = bytes && decodeRecord(bytes)
      const durable = record && durableOf(record.claim, record.cohortScope)
      if (durable !== undefined) book.#remember(durable)
    }
    return book
  }

  get size(): number {
    return this.#claims.size
  }

  /** The facts behind hashes have changed: manifests came or went. */
  refresh(): void {
    this.#cuts.clear()
  }

  has(hash: string): boolean {
    return this.#claims.has(hash)
  }

  /** What is known of a claim without reading the storage. */
  entry(hash: string): DurableClaim | undefined {
    return this.#claims.get(hash)
  }

  entries(kind: DurableKind): DurableClaim[] {
    return [...this.#claims.values()].filter(({ body }) => body.kind === kind)
  }

  /**
   * Takes in a verified claim. Undefined when it was known.
   * @throws AvError `UsageError` (not verified), `Malformed` (no durable claim), `LimitExceeded`
   */
  async add(claim: SignedClaim, keys: PeerKeys, nowUnixMs: U64, cohortScope = SCOPE_MESH): Promise<DurableClaim | undefined> {
    if (!isVerified(claim)) throw new AvError("UsageError", { why: "not verified" })
    const durable = durableOf(claim, cohortScope)
    if (durable === undefined) throw new AvError("Malformed", { what: "durable claim", kind: claim.claimKind })
    if (this.#claims.has(durable.hash)) return undefined
    const ofSigner = this.#bySigner.get(durable.signerPeerId) ?? 0
    if (this.#claims.size >= MAX_BOOK_CLAIMS || ofSigner >= MAX_CLAIMS_PER_SIGNER) {
      throw new AvError("LimitExceeded", { what: "claims", of_signer: ofSigner, all: this.#claims.size })
    }
    await this.#storage.batch([
      { put: [keyOf(durable), encodeRecord({ claim, keys, cohortScope, receivedAtUnixMs: nowUnixMs })] },
    ])
    this.#remember(durable)
    return durable
  }

  /** The claim itself, verified, with its signer's keys; undefined also for what nobody is told. */
  async claim(hash: string): Promise<KeyedClaim | undefined> {
    const known = this.#claims.get(hash)
    if (known === undefined || known.cohortScope === SCOPE_SELF) return undefined
    const bytes = await this.#storage.get(keyOf(known))
    return bytes && decodeRecord(bytes)
  }

  /** Claims that count at a time, in no order. */
  live(cutUnixMs: U64): DurableClaim[] {
    return liveAt(this.#claims.values(), cutUnixMs, this.#facts)
  }

  /** Root and leaf hashes at a cut, without what is private. */
  leavesAt(cutUnixMs: U64, kind?: DurableKind): LeafCut {
    const key = `${cutUnixMs} ${kind ?? ""}`
    const known = this.#cuts.get(key)
    if (known !== undefined) return known
    const live = this.live(cutUnixMs).filter(({ body }) => kind === undefined || body.kind === kind)
    const kept = filterWitnessLeaves(
      live,
      live.map(({ body }) => body.kind),
      live.map(({ cohortScope }) => cohortScope),
    )
    const cut = new LeafCut(kept)
    if (this.#cuts.size >= MAX_CUTS) this.#cuts.delete(this.#cuts.keys().next().value!)
    this.#cuts.set(key, cut)
    return cut
  }

  /** Grants that count now, as trust decisions read them. */
  grantsAt(nowUnixMs: U64): TrustGrant[] {
    return this.live(nowUnixMs).flatMap(({ body }) => {
      if (body.kind !== "trust_grant") return []
      const { granter, grantee, grantedAtUnixMs, chainDepth, weight } = body.grant
      return [{ granterPeerId: granter, granteePeerId: grantee, grantedAtUnixMs, chainDepth, weight }]
    })
  }

  /** Every revocation of trust, whatever its time. */
  revokes(): TrustRevokeBody[] {
    return this.entries("trust_revoke").flatMap(({ body }) => (body.kind === "trust_revoke" ? [body.revoke] : []))
  }

  /** Consent to a content, and the hash of the claim that revokes it. */
  consent(
    content: ContentRef,
    authorities: ReadonlySet<PeerKeyId>,
    nowUnixMs: U64,
  ): { state: ConsentState; revocation?: string } {
    const statements = this.#consents.get(contentKey(content)) ?? []
    const { state, revocation } = judgeConsent(content, authorities, statements, nowUnixMs)
    return revocation === undefined ? { state } : { state, revocation: revocation.hash }
  }

  #remember(claim: DurableClaim): void {
    // It may have come twice while it was being written.
    if (this.#claims.has(claim.hash)) return
    const { hash, body, signerPeerId } = claim
    this.#claims.set(hash, claim)
    if (body.kind === "consent_state") {
      const key = contentKey(body.consent)
      const statements = this.#consents.get(key) ?? []
      statements.push({ hash, signerPeerId, body: body.consent })
      this.#consents.set(key, statements)
    }
    this.#bySigner.set(claim.signerPeerId, (this.#bySigner.get(claim.signerPeerId) ?? 0) + 1)
    this.#cuts.clear()
  }
}

interface ConsentStatement {
  hash: string
  signerPeerId: PeerKeyId
  body: ConsentBody
}

function contentKey({ corpusKind, contentId }: ContentRef): string {
  return JSON.stringify([corpusKind, contentId])
}

function durableOf(claim: SignedClaim, cohortScope: string): DurableClaim | undefined {
  const body = readDurable(claim)
  if (body === undefined) return undefined
  const leaf = signedClaimBytes(claim)
  const { signerPeerId, signedAtUnixMs } = claim
  return { hash: toHex(sha256Sync(leaf)), leaf, signerPeerId, signedAtUnixMs, cohortScope, body }
}

function keyOf({ body, hash }: DurableClaim): string {
  return holoKey("claim", body.kind, hash)
}

interface ClaimRecord extends KeyedClaim {
  cohortScope: string
  receivedAtUnixMs: U64
}

const VERSION = 1

function encodeRecord({ claim, keys, cohortScope, receivedAtUnixMs }: ClaimRecord): Bytes {
  return new ByteWriter(8_192)
    .u8(VERSION)
    .lp32(encodeSignedClaim(claim))
    .fixed(keys.ed25519, 32)
    .fixed(keys.mlDsa65, ML_DSA_PUBLIC_LENGTH)
    .fixed(verificationMark(claim, keys), 32)
    .lp32(utf8(cohortScope))
    .u64be(receivedAtUnixMs)
    .finish()
}

/** Undefined for a damaged record. The claim counts as verified again. */
function decodeRecord(bytes: Bytes): ClaimRecord | undefined {
  try {
    const reader = new ByteReader(bytes, "StorageCorrupt")
    if (reader.u8() !== VERSION) return undefined
    const claim = decodeSignedClaim(reader.lp32())
    const keys = { ed25519: reader.bytes(32).slice(), mlDsa65: reader.bytes(ML_DSA_PUBLIC_LENGTH).slice() }
    const mark = reader.bytes(32)
    const cohortScope = utf8Decode(reader.lp32())
    const receivedAtUnixMs = reader.u64be()
    reader.end()
    return restoreVerified(claim, keys, mark) ? { claim, keys, cohortScope, receivedAtUnixMs } : undefined
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}
