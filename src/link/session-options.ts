/** What a control session needs from its owner, and which frames it passes on. */
import type { IdentitySigner } from "../identity/signer.ts"
import {
  FRAME_ANNOUNCE,
  FRAME_BLOB,
  FRAME_CHANNEL_DATA,
  FRAME_FLOOR,
  FRAME_MEMBERSHIP,
  FRAME_RENDEZVOUS,
  FRAME_ROUTED,
  FRAME_ROUTED_HELLO,
  FRAME_RPC,
} from "../wire/control-frame.ts"
import type { Bytes, RandomBytes } from "../wire/types.ts"
import type { FramePipe } from "./frame-outbox.ts"
import type { ClosedInfo, ControlSession } from "./types.ts"

/** Frames that belong to other parts. */
export const PASSED_ON: readonly number[] = [
  FRAME_ANNOUNCE,
  FRAME_FLOOR,
  FRAME_RPC,
  FRAME_MEMBERSHIP,
  FRAME_CHANNEL_DATA,
  FRAME_RENDEZVOUS,
  FRAME_ROUTED,
  FRAME_ROUTED_HELLO,
  FRAME_BLOB,
]

export interface SessionCoreOptions {
  id: string
  kind: "direct" | "routed"
  signer: IdentitySigner
  control: FramePipe
  rpc?: FramePipe
  random: RandomBytes
  /** Monotonic ms. */
  clock(): number
  /** Unix time, ms. */
  wallClock(): number
  onReady(session: ControlSession, sessionKey: Bytes): void
  onSessionKey?(sessionKey: Bytes): void
  /** A `link.lane` frame; only on direct sessions. */
  onLaneControl?(bytes: Bytes): void
  /** Once. The transport is to be released after what is queued has had a moment to leave. */
  onClosed(info: ClosedInfo): void
}
