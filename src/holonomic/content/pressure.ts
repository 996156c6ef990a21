/** Makes room when the storage runs short: quality before content, others' before one's own, and no more than needed. */
import { isWorse, pressureOrder, pressureTier } from "../retention/headroom.ts"
import { moreSevere, severity } from "../retention/tiers.ts"
import type { ContentStore } from "./content-store.ts"
import type { ContentRef } from "./manifest.ts"

/** What the plan says about a content. */
interface PressureFacts {
  consentUnknown: boolean
  hasRare: boolean
}

/**
 * One look at the headroom and what it asks for. Stops at the first content after which the level is milder; the next look goes on
 * from there. Tiers that no level asks for any more are taken back, which restores no symbol. Gives the symbols dropped.
 */
export async function relievePressure(store: ContentStore, facts: (content: ContentRef) => PressureFacts): Promise<number> {
  const start = await store.headroom()
  let level = start
  let dropped = 0
  for (const { ref, own, before } of pressureOrder(await candidates(store, facts))) {
    if (level === "normal") break
    dropped += await store.setPressureTier(ref, moreSevere(before, pressureTier(level, own)))
    level = await store.headroom()
    if (isWorse(start, level)) break
  }
  for (const { ref, own, before } of await candidates(store, facts)) {
    const asked = pressureTier(level, own)
    if (severity(before) > severity(asked)) await store.setPressureTier(ref, asked)
  }
  return dropped
}

async function candidates(store: ContentStore, facts: (content: ContentRef) => PressureFacts) {
  const found = []
  for (const ref of await store.contents()) {
    const record = await store.record(ref)
    if (record === undefined) continue
    const { own, admittedAtUnixMs, pressureTier: before } = record
    found.push({ ref, own, admittedAtUnixMs, before, ...facts(ref) })
  }
  return found
}
