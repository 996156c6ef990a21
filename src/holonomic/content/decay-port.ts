/** The store of contents as the decay scheduler sees it. */
import { AvError } from "../../wire/errors.ts"
import { type DecayTier, thresholdsOf, tierOfDecay } from "../retention/decay.ts"
import type { ConsentDecayStore } from "../retention/decay-scheduler.ts"
import { RETENTION_TIERS, type RetentionTier } from "../retention/tiers.ts"
import type { ContentStore } from "./content-store.ts"
import type { ContentRef } from "./manifest.ts"

const DECAY_OF: Record<RetentionTier, DecayTier> = {
  Full: "Full",
  T2: "T2DropRepair",
  T3: "T3DropHighQuality",
  T4: "T4MinViableOnly",
  T5: "EnvelopeOnly",
  HardDelete: "HardDelete",
}

/** Revocation does not come by this way: the store acts on it by itself, at once. */
export function decayStoreOf(store: ContentStore): ConsentDecayStore<ContentRef> {
  const recordOf = async (content: ContentRef) => {
    const record = await store.record(content)
    if (record === undefined) throw new AvError("StorageCorrupt", { why: "no tier record" })
    return record
  }
  return {
    listFountainContent: async () => {
      const list = []
      for (const content of await store.contents()) {
        // A content without a record is reported where its schedule is asked for; the others go on.
        const tier = (await store.record(content))?.decayTier ?? RETENTION_TIERS[0]
        list.push([content, DECAY_OF[tier]] as const)
      }
      return list
    },
    getConsentSchedule: async (content) => {
      const { admittedAtUnixMs, className, thresholds } = await recordOf(content)
      return { admittedAtUnixMs, revokedAtUnixMs: null, className, thresholds: thresholdsOf(className, thresholds) }
    },
    setDecayTier: async (content, tier) => {
      await store.setDecayTier(content, tierOfDecay(tier))
    },
    hardDelete: (content) => store.hardDelete(content, { atUnixMs: 0n }),
  }
}
