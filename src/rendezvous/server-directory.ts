/** `av.kp.*` on the server's socket: publishing and fetching key packages (av-mesh 6.6 D-18, room RM-9). */
import { toHex } from "../wire/bytes.ts"
import { FRAME_JSON } from "../wire/control-frame.ts"
import { type ControlMessage, decodeControlMessage, encodeControlMessage } from "../wire/control-json.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeKeyPackageRecord } from "../wire/key-records.ts"
import type { Bytes, Milliseconds, PeerKeyId } from "../wire/types.ts"
import { Directory, type ShelvedRecord } from "./directory.ts"
import type { ServerLimits } from "./limits.ts"
import type { SessionId } from "./registry.ts"
import type { ProvenPeer } from "./server-sessions.ts"
import { FixedWindows } from "./windows.ts"

const LONGEST_LIFE_MS = 30 * 24 * 3_600_000

/** A record that fits its publisher, and the signature that is still to be checked before it is shelved. */
interface UncheckedRecord {
  owner: PeerKeyId
  record: ShelvedRecord
  signed: Bytes
  signature: Bytes
}

/**
 * Reads a record that the session of `owner` wants to publish; undefined when it is not one of its own, too large, or outside
 * its time. Only the Ed25519 half can be checked here: the server knows the hash of the ML-DSA key, not the key. Whoever
 * fetches the record checks both halves (D-18 step 3).
 */
function readForShelf(bytes: Bytes, owner: PeerKeyId, maxBytes: number, now: Milliseconds): UncheckedRecord | undefined {
  if (bytes.length > maxBytes) return undefined
  try {
    const { record, canonical, signature } = decodeKeyPackageRecord(bytes)
    const notBefore = Number(record.notBeforeUnixMs)
    const notAfter = Number(record.notAfterUnixMs)
    if (record.keyId !== owner || notAfter <= now || notAfter - notBefore > LONGEST_LIFE_MS) return undefined
    const ref = toHex(record.keyPackageRef)
    // Copied: the message's buffer is larger than the record and would be kept alive.
    const shelved = { bytes: bytes.slice(), ref, lastResort: record.lastResort, notBefore, notAfter }
    return { owner, record: shelved, signed: canonical, signature: signature.ed }
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}

/** A record on its way to the shelf. */
export interface ShelfTicket {
  session: SessionId
  owner: PeerKeyId
  record: ShelvedRecord
}

export type DeskAction =
  | { type: "send"; session: SessionId; frameType: number; payload: Bytes }
  /** Verify an Ed25519 signature and report with {@link DirectoryDesk.verified}. */
  | { type: "verify"; ticket: ShelfTicket; publicKey: Bytes; message: Bytes; signature: Bytes }

/** Takes publications and requests of proven sessions. `drop` counts what was refused. */
export class DirectoryDesk {
  readonly #limits: ServerLimits
  readonly #directory: Directory
  readonly #requests: FixedWindows
  readonly #drop: (why: string) => void

  constructor(limits: ServerLimits, drop: (why: string) => void) {
    this.#limits = limits
    this.#directory = new Directory(limits)
    this.#requests = new FixedWindows(limits.directory)
    this.#drop = drop
  }

  stats(): { directoryOwners: number; directoryBytes: number } {
    return { directoryOwners: this.#directory.owners, directoryBytes: this.#directory.bytes }
  }

  /** A JSON message of the server's socket; everything but `av.kp.*` is dropped (control-plane 0.5). */
  message(session: SessionId, peer: ProvenPeer, payload: Bytes, now: Milliseconds): DeskAction[] {
    const message = this.#read(payload)
    if (message?.t !== "av.kp.put" && message?.t !== "av.kp.get") return []
    if (this.#requests.take(peer.nodeId, now) > 0) return [refusal(session, "LimitExceeded")]
    if (message.t === "av.kp.put") return this.#put(session, peer, message.records, now)
    const record = this.#directory.take(message.keyId, now)
    return [record === undefined ? refusal(session, "KeyPackageUnavailable") : answer(session, { record })]
  }

  verified(ticket: ShelfTicket, right: boolean, now: Milliseconds): DeskAction[] {
    if (!right) {
      this.#drop("record-signature")
      return [refusal(ticket.session, "KeyPackageSignatureInvalid")]
    }
    if (!this.#directory.put(ticket.owner, ticket.record, now)) this.#drop("record-shelf")
    return []
  }

  #put(session: SessionId, peer: ProvenPeer, records: Bytes[], now: Milliseconds): DeskAction[] {
    return records.slice(0, this.#limits.oneTimePerKey + 1).map((bytes) => {
      const unchecked = readForShelf(bytes, peer.keyId, this.#limits.recordBytes, now)
      if (unchecked === undefined) {
        this.#drop("record-malformed")
        return refusal(session, "KeyPackageMismatch")
      }
      const { owner, record, signed, signature } = unchecked
      return { type: "verify", ticket: { session, owner, record }, publicKey: peer.entityId, message: signed, signature }
    })
  }

  #read(payload: Bytes): ControlMessage | undefined {
    try {
      const message = decodeControlMessage(payload)
      if (message.t !== "av.kp.put" && message.t !== "av.kp.get") this.#drop("json-type")
      return message
    } catch (error) {
      if (!isAvError(error)) throw error
      this.#drop("json-malformed")
      return undefined
    }
  }
}

function answer(session: SessionId, body: { record: Bytes } | { error: string }): DeskAction {
  return { type: "send", session, frameType: FRAME_JSON, payload: encodeControlMessage({ t: "av.kp", ...body }) }
}

function refusal(session: SessionId, error: string): DeskAction {
  return answer(session, { error })
}
