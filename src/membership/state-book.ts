/** The states members publish about themselves: which one holds, and in what pages they are handed on (RM-19). */
import { equalBytes } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import { type ParticipantState, parseParticipantState } from "../wire/participant-state.ts"
import type { StateEntry } from "../wire/room-message.ts"
import type { Bytes, PeerKeyId, U64 } from "../wire/types.ts"

/** A page of `room.states` is at most 40 KiB; what JSON and base64 add to a state is counted with it. */
const PAGE_BYTES = 40 * 1024
const ENTRY_OVERHEAD = 256

export interface HeldState {
  state: ParticipantState
  /** As signed. */
  bytes: Bytes
  sig: Bytes
}

interface OfferedState {
  /** MLS sender of the message; undefined when it came out of `room.states`. */
  sender: PeerKeyId | undefined
  keyId: PeerKeyId
  bytes: Bytes
  sig: Bytes
  /** The signature is right for the leaf key that this key id has now. */
  signatureOk: boolean
}

type StateVerdict = "accepted" | "older" | "same" | "conflict" | "ignored"

export class StateBook {
  readonly #states = new Map<PeerKeyId, HeldState>()

  get(keyId: PeerKeyId): HeldState | undefined {
    return this.#states.get(keyId)
  }

  /** Exactly this was taken before, for the leaf that the key id has now. */
  holds(keyId: PeerKeyId, bytes: Bytes, sig: Bytes): boolean {
    const held = this.#states.get(keyId)
    return held !== undefined && equalBytes(held.bytes, bytes) && equalBytes(held.sig, sig)
  }

  all(): Iterable<[PeerKeyId, HeldState]> {
    return this.#states
  }

  /** Takes a state when it is right and newer. `conflict`: same version with other bytes, which only its own member could sign. */
  offer({ sender, keyId, bytes, sig, signatureOk }: OfferedState): StateVerdict {
    if ((sender !== undefined && sender !== keyId) || !signatureOk) return "ignored"
    let state: ParticipantState
    try {
      state = parseParticipantState(bytes)
    } catch (error) {
      if (isAvError(error)) return "ignored"
      throw error
    }
    const held = this.#states.get(keyId)
    if (held !== undefined && state.version < held.state.version) return "older"
    if (held !== undefined && state.version === held.state.version) return equalBytes(held.bytes, bytes) ? "same" : "conflict"
    this.#states.set(keyId, { state, bytes, sig })
    return "accepted"
  }

  /** The leaf is gone or was replaced: its state goes with it. True when there was one. */
  drop(keyId: PeerKeyId): boolean {
    return this.#states.delete(keyId)
  }

  clear(): void {
    this.#states.clear()
  }

  /** What the machine knows, for `room.sync?`. */
  versions(): [PeerKeyId, U64][] {
    return [...this.#states].map(([keyId, { state }]) => [keyId, state.version])
  }

  /** Newer states than the asker has, in pages, publishers first. */
  pages(have: readonly (readonly [PeerKeyId, U64])[]): StateEntry[][] {
    const known = new Map(have)
    const newer = [...this.#states].filter(([keyId, { state }]) => state.version > (known.get(keyId) ?? -1n))
    newer.sort(([, a], [, b]) => Number(publishes(b.state)) - Number(publishes(a.state)))
    const pages: StateEntry[][] = []
    let page: StateEntry[] = []
    let size = 0
    for (const [keyId, { bytes, sig }] of newer) {
      const length = Math.ceil(bytes.length / 3) * 4 + ENTRY_OVERHEAD
      if (page.length > 0 && size + length > PAGE_BYTES) {
        pages.push(page)
        page = []
        size = 0
      }
      page.push([keyId, bytes, sig])
      size += length
    }
    if (page.length > 0) pages.push(page)
    return pages
  }
}

function publishes(state: ParticipantState): boolean {
  return state.tracks.some(({ streams }) => streams.length > 0)
}
