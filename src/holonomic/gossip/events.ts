/** What a node tells its owner, and what it sends and takes. */
import type { AvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId, U64 } from "../../wire/types.ts"
import type { ContentRef } from "../content/manifest.ts"
import type { DecayTier } from "../retention/decay.ts"
import type { LinkedRefusal } from "../trust/linked.ts"
import type { HoloMessage, SymbolFrame } from "./messages.ts"

/** Both directions. A message is a JSON frame, a symbol a BINARY frame. */
export type HoloOutgoing = { kind: "message"; message: HoloMessage } | { kind: "symbol"; frame: SymbolFrame }

export type HoloEvent =
  /** Holding claims went out. */
  | { type: "published"; contents: number }
  /** A content is known now: its manifest is here. */
  | { type: "manifest"; ref: ContentRef }
  /** Somebody holds other symbols of it than before. */
  | { type: "holders"; contentId: string }
  | { type: "repair-needed"; ref: ContentRef; observedHolders: number; minViable: number }
  /** A symbol went because others have enough of it. */
  | { type: "ejected"; ref: ContentRef; symbolId: number; observedHolders: number }
  /** Looked at, and nothing to do. */
  | { type: "keep"; ref: ContentRef }
  | { type: "revoked"; ref: ContentRef }
  | { type: "hard-deleted"; ref: ContentRef }
  | { type: "hard-delete-overdue"; ref: ContentRef }
  | { type: "tier-changed"; ref: ContentRef; tier: DecayTier }
  /** `OverdueBacklog`: more than a thousand contents were two tiers behind. */
  | { type: "overdue-backlog"; error: AvError }
  | { type: "witness-cut"; epochId: U64; root: Bytes; leafCount: number }
  /** Three epochs in a row with other claims than this peer: its claims are not handed on. */
  | { type: "witness-divergent"; peer: PeerKeyId; epochId: U64 }
  | { type: "equivocation"; peer: PeerKeyId; epochId: U64 }
  | { type: "admitted"; peer: PeerKeyId; standing: number; trustDistance: number; anchoredToRoot: PeerKeyId }
  /** `by`: who refused, this node or the peer. */
  | { type: "refused"; peer: PeerKeyId; reason: LinkedRefusal; by: "us" | "them" }
  /** Everything that the peer has was taken over. */
  | { type: "caught-up"; peer: PeerKeyId; claims: number }
  | { type: "topology-changed"; streamId: Bytes; epochId: U64 }
  | { type: "topology-divergence"; peer: PeerKeyId; streamId: Bytes; epochId: U64 }
  | { type: "folded"; ref: ContentRef; sources: number }
  /** Something of a peer was not taken. */
  | { type: "rejected"; peer: PeerKeyId; what: string; code: string }
