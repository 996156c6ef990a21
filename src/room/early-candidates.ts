/** Candidates that came while the answer to an offer was still being prepared. */
import type { Bytes, NodeId } from "../wire/types.ts"

/** Descriptions with candidates kept for a link that is still being answered. */
const MAX_OF_NODE = 4

/** Whoever adds knows that an attempt with the node is under way: so there are never more nodes than attempts. */
export class EarlyCandidates {
  readonly #byNode = new Map<NodeId, Bytes[]>()

  add(node: NodeId, description: Bytes): void {
    const kept = this.#byNode.get(node) ?? []
    if (kept.length < MAX_OF_NODE) this.#byNode.set(node, [...kept, description])
  }

  /** Those of a node, in their order; they are forgotten here. */
  take(node: NodeId): readonly Bytes[] {
    const kept = this.#byNode.get(node) ?? []
    this.#byNode.delete(node)
    return kept
  }
}
