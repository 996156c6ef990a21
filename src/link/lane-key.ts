/** Key 8 of an introduction: the signed lane blocks beside a description (link-lanes LL-4, LL-19; control-plane D44). */
import { sha256Sync } from "../crypto/hash.ts"
import { signLabelled, verifyLabelled } from "../crypto/labelled.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import type { CandidateEntry } from "../wire/address.ts"
import { concatBytes } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import {
  decodeLaneBlocks,
  encodeLaneBlock,
  joinLaneKey,
  type LaneBlock,
  lanesSigningBytes,
  MAX_LANE_KEY_LENGTH,
  splitLaneKey,
} from "../wire/lane-block.ts"
import type { Bytes } from "../wire/types.ts"
import { sameHost } from "./candidates.ts"
import type { TransportFields } from "./sdp.ts"

const SIGNATURE_LENGTH = 64

/**
 * Signs blocks for a description (its bytes with signature). Blocks that would make key 8 too long are left out from the
 * end; `undefined` when none is left.
 */
export async function signLaneKey(
  description: Bytes,
  blocks: readonly LaneBlock[],
  signer: Pick<IdentitySigner, "signEd25519">,
): Promise<Bytes | undefined> {
  let bytes: Bytes = new Uint8Array(0)
  for (const block of blocks) {
    const more = concatBytes(bytes, encodeLaneBlock(block))
    if (more.length + SIGNATURE_LENGTH > MAX_LANE_KEY_LENGTH) break
    bytes = more
  }
  if (bytes.length === 0) return undefined
  const signed = lanesSigningBytes(sha256Sync(description), bytes)
  return joinLaneKey(bytes, await signLabelled("mesh/lanes/v1", signed, signer))
}

/**
 * The verified blocks of key 8. Throws `LaneBlockInvalid` on any fault: all blocks are dropped then, the description stands.
 *
 * @param listed number of candidates in that description
 */
export async function openLaneKey(key8: Bytes, description: Bytes, entityId: Bytes, listed: number): Promise<LaneBlock[]> {
  const { blocks, signature } = splitLaneKey(key8)
  const decoded = decodeLaneBlocks(blocks, listed)
  const signed = lanesSigningBytes(sha256Sync(description), blocks)
  if (!(await verifyLabelled("mesh/lanes/v1", signed, entityId, signature))) {
    throw new AvError("LaneBlockInvalid", { why: "signature" })
  }
  return decoded
}

/**
 * The block of a lane. Candidates whose host is not in `listed`, the list of lane 0, are left out; `undefined` when none
 * is left.
 */
export function makeLaneBlock(
  laneId: number,
  fields: TransportFields,
  candidates: readonly CandidateEntry[],
  listed: readonly CandidateEntry[],
): LaneBlock | undefined {
  const entries = candidates.flatMap((candidate) => {
    const index = listed.findIndex((c) => c.type === candidate.type && sameHost(c.address, candidate.address))
    return index < 0 ? [] : [{ index, port: candidate.address.port }]
  })
  if (entries.length === 0) return undefined
  return { laneId, ufrag: fields.ufrag, pwd: fields.pwd, candidates: entries }
}

/**
 * The candidates of a block, with host, type and priority taken from `listed`, where those that were refused are `undefined`. Indexes
 * were checked when it was decoded.
 */
export function laneCandidates(block: LaneBlock, listed: readonly (CandidateEntry | undefined)[]): CandidateEntry[] {
  return block.candidates.flatMap(({ index, port }) => {
    const base = listed[index]
    return base === undefined ? [] : [{ ...base, address: { ...base.address, port } }]
  })
}
