/** The rights that came with the room's settings: each is worth what its token chain proves, at the moment it is asked for. */
import type { ProvenRight, RoomRights } from "../../membership/index.ts"
import { decodeChain } from "../../token/index.ts"
import { equalBytes } from "../../wire/bytes.ts"
import { isAvError } from "../../wire/errors.ts"
import type { RoomGrant } from "../../wire/index.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../../wire/types.ts"

interface HeldGrant {
  grant: RoomGrant
  proven: ProvenRight
}

export class Grants {
  readonly #rights: RoomRights
  #held: readonly HeldGrant[] = []
  #run = 0

  constructor(rights: RoomRights) {
    this.#rights = rights
  }

  /**
   * Proves what the settings list. Resolves with true when this is the latest word; an older one changes nothing.
   *
   * @param timeFor by which clock the rights of an entity are judged, Unix ms
   */
  async take(grants: readonly RoomGrant[], root: Bytes, timeFor: (entity: Bytes) => Milliseconds): Promise<boolean> {
    const run = ++this.#run
    const held = await Promise.all(grants.map((grant) => this.#prove(grant, root, timeFor)))
    if (run !== this.#run) return false
    this.#held = held.filter((item) => item !== undefined)
    return true
  }

  /** What a member holds. `entity` is the key behind the key id, undefined while it is not known: then nothing counts. */
  of(keyId: PeerKeyId, entity: Bytes | undefined, now: Milliseconds): HeldGrant[] {
    if (entity === undefined) return []
    return this.#held.filter(
      ({ grant, proven }) =>
        grant.keyId === keyId && equalBytes(proven.claim.entityId, entity) && this.#rights.stillHeld(proven, now),
    )
  }

  /** Whether an entity is a host by token. */
  isHost(entity: Bytes, now: Milliseconds): boolean {
    return this.#held.some(
      ({ grant, proven }) =>
        grant.right === "host" && equalBytes(proven.claim.entityId, entity) && this.#rights.stillHeld(proven, now),
    )
  }

  async #prove(grant: RoomGrant, root: Bytes, timeFor: (entity: Bytes) => Milliseconds): Promise<HeldGrant | undefined> {
    const entityId = subjectOf(grant.chain)
    if (entityId === undefined) return undefined
    const proven = await this.#rights.prove({ right: grant.right, entityId, chain: grant.chain, root }, timeFor(entityId))
    return proven && { grant, proven }
  }
}

function subjectOf(chain: Bytes): Bytes | undefined {
  try {
    return decodeChain(chain).at(-1)?.token.subject
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}
