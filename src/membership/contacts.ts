/** Whom a newcomer turns to first, and when it can tell that everybody is as new as itself (RM-7 step 3, RM-10). */
import type { NodeId } from "../wire/types.ts"
import type { RoomCore } from "./core.ts"

const AT_ONCE = 4
/** All others are newcomers as well: whoever has the lowest node id founds after this. */
export const ALL_NEW_MS = 500

/** Up to four random nodes of the roster and of `extra` that were not tried yet. */
export function pickNodes(core: RoomCore, extra: readonly NodeId[], tried: ReadonlySet<NodeId>): NodeId[] {
  const own = core.options.self.nodeId
  const nodes = [...new Set([...extra, ...(core.roster ?? [])])].filter((node) => !tried.has(node) && node !== own)
  const picked: NodeId[] = []
  while (picked.length < AT_ONCE && nodes.length > 0) picked.push(...nodes.splice(core.randomBelow(nodes.length), 1))
  return picked
}

/** Everybody registered has knocked here and answered nothing, and this peer has the lowest node id: it founds without waiting longer. */
export function allNew(core: RoomCore, knocking: readonly NodeId[]): boolean {
  const { roster } = core
  if (roster === undefined || roster.size === 0 || !core.serverConnected) return false
  const own = core.options.self.nodeId
  for (const node of roster) {
    if (node === own) continue
    const session = core.sessions.ofNode(node)
    if (!knocking.includes(node) || node < own || session?.knockedAt === undefined) return false
    if (core.now - session.knockedAt < ALL_NEW_MS) return false
  }
  return true
}
