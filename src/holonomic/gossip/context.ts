/** What the parts of a node share. */
import type { IdentitySigner } from "../../identity/index.ts"
import type { HoloStorage } from "../../store/holo/storage.ts"
import { isAvError } from "../../wire/errors.ts"
import type { Milliseconds, PeerKeyId, RandomBytes, U64 } from "../../wire/types.ts"
import type { VerifyHybrid } from "../trust/verified.ts"
import type { WitnessLedger } from "../witness/ledger.ts"
import type { ClaimBook } from "./claim-book.ts"
import type { HoloEvent, HoloOutgoing } from "./events.ts"
import type { HoloMessage } from "./messages.ts"
import type { PeerTable } from "./peers.ts"
import { below } from "./possession.ts"
import type { ContentShelf } from "./shelf.ts"

export interface NodeContext {
  storage: HoloStorage
  signer: IdentitySigner
  self: PeerKeyId
  meshId: string
  random: RandomBytes
  peers: PeerTable
  book: ClaimBook
  ledger: WitnessLedger
  shelf: ContentShelf
  verify: VerifyHybrid
  send(to: PeerKeyId, out: HoloOutgoing): void | Promise<void>
  emit(event: HoloEvent): void
}

/** Sends a message to each of some peers. */
export async function tell(context: NodeContext, to: Iterable<PeerKeyId>, message: HoloMessage): Promise<void> {
  for (const peer of to) await context.send(peer, { kind: "message", message })
}

/** Runs what a peer has caused; an error of ours is reported with its code and goes no further. */
export async function guarded(context: NodeContext, peer: PeerKeyId, what: string, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (!isAvError(error)) throw error
    context.emit({ type: "rejected", peer, what, code: error.code })
  }
}

/** Up to `count` of the list, by lot. */
export function some<T>(random: RandomBytes, list: readonly T[], count: number): T[] {
  const left = [...list]
  const chosen: T[] = []
  while (chosen.length < count && left.length > 0) {
    const at = below(random, left.length)
    chosen.push(left[at]!)
    left[at] = left.at(-1)!
    left.pop()
  }
  return chosen
}

/** A deadline as the caller's timer sees it. */
export const NEVER: Milliseconds = Number.POSITIVE_INFINITY

/** The same time as it is written into claims: whole Unix milliseconds. */
export function unixMs(nowMs: Milliseconds): U64 {
  return BigInt(Math.floor(nowMs))
}
