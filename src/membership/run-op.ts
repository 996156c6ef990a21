/** Runs the operations of the room machine on a {@link RoomGroup}: the asynchronous half that the driver owns. */
import { type Ed25519Signer, signLabelled } from "../crypto/labelled.ts"
import type { RoomGroup } from "../group/types.ts"
import { AvError, isAvError } from "../wire/errors.ts"
import { STATE_LABEL, stateSigningBytes } from "../wire/participant-state.ts"
import { checkCommitReasons } from "./commit-reasons.ts"
import type { OwnCommit, RoomOp, RoomOpName, RoomOpResult, RoomOps, TakenCommit } from "./ops.ts"
import { verifyOrder } from "./orders.ts"
import type { RoomRights } from "./rights.ts"
import { verifySettings } from "./settings.ts"

/** What operations run on: the group, and the entity key for settings and orders of a host. */
export interface RoomOpContext {
  group: RoomGroup
  signer: Ed25519Signer
  /** Judges the chains of hosts. Without it the root alone is host. */
  rights?: RoomRights
}

/** Runs one operation; the result goes back to the machine as an event. Never rejects. */
export async function runRoomOp(context: RoomOpContext, id: number, op: RoomOp): Promise<RoomOpResult> {
  try {
    return { type: "opResult", id, ok: true, value: await run(context, op) }
  } catch (error) {
    const known = isAvError(error) ? error : new AvError("ProcessFailed", { op: op.op }, { cause: error })
    return { type: "opResult", id, ok: false, error: known }
  }
}

async function run({ group, signer, rights }: RoomOpContext, op: RoomOp): Promise<RoomOps[RoomOpName]["output"]> {
  switch (op.op) {
    case "learnKeys":
      return group.learnKeys(op.keys)
    case "learnLeaves":
      return group.learnLeaves(op.leaves, op.now)
    case "learnRecords":
      return group.learnRecords(op.records, op.now)
    case "unverified":
      return group.unverifiedMembers()
    case "evidence":
      return group.leafEvidence(op.keyIds)
    case "prepareJoin":
      return group.prepareJoin(op.now)
    case "found":
      return group.found(op.roomId, op.now)
    case "join": {
      const { op: _, ...input } = op
      return group.join(input)
    }
    case "commit":
      return commit(group, op)
    case "stageUpdate": {
      const { token, bytes, hash, epoch } = await group.stageCommit({ now: op.now })
      return { token, bytes, hash, epoch }
    }
    case "confirm":
      return group.confirm(op.token, op.now)
    case "abort":
      return nothing(group.abort(op.token))
    case "take":
      return take(group, op, rights)
    case "rollback":
      return rollBack(group, op)
    case "expire":
      return nothing(group.expire(op.now))
    case "proposeLeave":
      return group.proposeLeave()
    case "openProposal":
      return group.openProposal(op.bytes)
    case "protect":
      return group.protect(op.plaintext)
    case "open":
      return group.open(op.bytes)
    case "signState":
      return group.signWithLeaf(STATE_LABEL, stateSigningBytes(op.roomId, op.keyId, op.state))
    case "verifyState":
      return group.verifyWithLeaf(op.keyId, STATE_LABEL, stateSigningBytes(op.roomId, op.keyId, op.state), op.sig)
    case "sign":
      return signLabelled(op.label, op.body, signer)
    case "verifySettings":
      return verifySettings(op.settings, op.roomId, op.root, rights && { rights, at: op.now })
    case "verifyOrder":
      return verifyOrder(op.order, op, rights)
    case "reset":
      return nothing(group.reset())
  }
}

async function nothing(work: Promise<void>): Promise<null> {
  await work
  return null
}

type OpOf<K extends RoomOpName> = Extract<RoomOp, { op: K }>

async function commit(group: RoomGroup, { adds, removes, authenticatedData, now }: OpOf<"commit">): Promise<OwnCommit> {
  const staged = await group.stageCommit({ adds, removes, authenticatedData, now })
  try {
    const change = await group.confirm(staged.token, now)
    const { epoch, bytes, hash, welcomes, records } = staged
    return { change, epoch, bytes, hash, welcomes, records }
  } catch (error) {
    await group.abort(staged.token)
    throw error
  }
}

async function take(
  group: RoomGroup,
  { bytes, records, roomId, root, apply, now }: OpOf<"take">,
  rights: RoomRights | undefined,
): Promise<TakenCommit> {
  if (records.length > 0) await group.learnRecords(records, now)
  const preview = await group.previewCommit(bytes)
  const { adds, authenticatedData } = preview
  const removes = new Map(preview.removes.map(({ keyId, leafKey }) => [keyId, leafKey]))
  await checkCommitReasons({ roomId, root, adds, removes, authenticatedData }, rights)
  if (preview.unverified.length > 0 || !apply) return { preview }
  try {
    return { preview, change: await group.processCommit(bytes, now) }
  } catch (error) {
    if (isAvError(error, "RemovedFromGroup")) return { preview, removedMe: true }
    throw error
  }
}

async function rollBack(group: RoomGroup, { epoch, bytes, now }: OpOf<"rollback">): Promise<RoomOps["rollback"]["output"]> {
  await group.restoreEpoch(epoch)
  try {
    return await group.processCommit(bytes, now)
  } catch (error) {
    if (isAvError(error, "RemovedFromGroup")) return "removed-me"
    throw error
  }
}
