/** Rights in a room that token chains show (RM-18): to give orders, to publish, to relay. The root needs no chain for orders. */
import { sha256Sync } from "../crypto/hash.ts"
import { ChainVerifier, channelHash, SCOPE, type VerifiedChain } from "../token/index.ts"
import { ByteWriter } from "../wire/byte-writer.ts"
import { equalBytes, toHex, utf8Encode } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, U64 } from "../wire/types.ts"

type RoomRight = "host" | "publish" | "relay"

const CHANNEL_LABEL = "AVMESH-ROOMCHAN1"
/** Bytes of the digest that name a room's channel. */
const CHANNEL_ID = 16
const SUFFIX: Record<RoomRight, string> = { host: "", publish: "/media", relay: "/relay" }
const SCOPES: Record<RoomRight, number> = { host: SCOPE.ADMIN, publish: SCOPE.PUBLISH, relay: SCOPE.PUBLISH }

/** The channel whose tokens give a right, and what they must allow there. */
export function rightChannel(name: string, root: Bytes, right: RoomRight): { name: string; hash: U64; scope: number } {
  const digest = sha256Sync(new ByteWriter(128).bytes(utf8Encode(CHANNEL_LABEL)).lp16(utf8Encode(name)).bytes(root).finish())
  const channel = `room/${toHex(digest.subarray(0, CHANNEL_ID))}${SUFFIX[right]}`
  return { name: channel, hash: channelHash(channel), scope: SCOPES[right] }
}

/** Somebody says that it holds a right. */
export interface RightClaim {
  right: RoomRight
  entityId: Bytes
  chain: Bytes | undefined
  root: Bytes
}

/** A claim whose signatures were right once. Time and floors are asked again each time. */
export interface ProvenRight {
  claim: RightClaim
  /** Undefined for the root, whose word is enough. */
  chain: VerifiedChain | undefined
}

const NO_FLOORS = () => 0

/** Judges claims. One per room. */
export class RoomRights {
  readonly #name: string
  readonly #floorOf: (issuer: Bytes) => number
  readonly #verifier = new ChainVerifier()

  constructor(name: string, floorOf: (issuer: Bytes) => number) {
    this.#name = name
    this.#floorOf = floorOf
  }

  /** Whether the claim holds at this time, generation floors included; undefined when not. Never throws. */
  prove(claim: RightClaim, at: Milliseconds): Promise<ProvenRight | undefined> {
    return this.#prove(claim, at, this.#floorOf)
  }

  /** As of a time that everybody knows, without floors: the same verdict at every receiver of a commit. */
  async heldThen(claim: RightClaim, at: Milliseconds): Promise<boolean> {
    return (await this.#prove(claim, at, NO_FLOORS)) !== undefined
  }

  /** Whether what was proven once still holds. */
  stillHeld({ claim, chain }: ProvenRight, at: Milliseconds): boolean {
    return chain === undefined || this.#verifier.recheck(chain, this.#question(claim, at, this.#floorOf)) === undefined
  }

  async #prove(claim: RightClaim, at: Milliseconds, floorOf: (issuer: Bytes) => number): Promise<ProvenRight | undefined> {
    if (claim.right === "host" && equalBytes(claim.entityId, claim.root)) return { claim, chain: undefined }
    if (claim.chain === undefined) return undefined
    try {
      return { claim, chain: await this.#verifier.verify(claim.chain, this.#question(claim, at, floorOf)) }
    } catch (error) {
      if (isAvError(error)) return undefined
      throw error
    }
  }

  #question({ right, entityId, root }: RightClaim, at: Milliseconds, floorOf: (issuer: Bytes) => number) {
    const { hash, scope } = rightChannel(this.#name, root, right)
    const now = BigInt(Math.max(0, Math.floor(at / 1000)))
    return { action: scope, channelHash: hash, presenter: entityId, roots: [root], now, floorOf }
  }
}
