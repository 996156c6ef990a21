/** What a node is made with, and what it tells of its contents. */
import type { IdentitySigner } from "../../identity/index.ts"
import type { HoloStorage } from "../../store/holo/storage.ts"
import type { PeerKeyId, RandomBytes } from "../../wire/types.ts"
import type { ContentRef, SignedManifest } from "../content/manifest.ts"
import type { RankTable } from "../retention/ranks.ts"
import type { ConsentState } from "../retention/rarity.ts"
import type { VerifyHybrid } from "../trust/verified.ts"
import type { TrustOptions } from "./admission.ts"
import type { FoldingOptions } from "./auto-fold.ts"
import type { HoloEvent, HoloOutgoing } from "./events.ts"

export interface HoloNodeOptions {
  storage: HoloStorage
  signer: IdentitySigner
  /** `[A-Za-z0-9._-]{1,64}`. */
  meshId: string
  random: RandomBytes
  /** May wait: what is sent in answer to one request goes out in the pace of this. */
  send(to: PeerKeyId, out: HoloOutgoing): void | Promise<void>
  emit?(event: HoloEvent): void
  /** Absent: only who is connected with `admit` is let in. */
  trust?: TrustOptions
  /** Peers that hold a content, or copies of symbols where there are fewer; may depend on how many there are. Default 30. */
  targetHolders?: number | ((livePeers: number) => number)
  /** What may be folded, and whether this peer does it by itself. Default: folds of others are taken, none is made. */
  folding?: FoldingOptions
  /** Checks signatures; for simulations, where many peers check the same bytes. */
  verify?: VerifyHybrid
  /** Ranks of plans; for simulations, where many peers compute the same ones. */
  ranks?: RankTable
}

export interface HeldContent {
  ref: ContentRef
  manifest: SignedManifest
  consent: ConsentState
  own: boolean
}
