/** Everything that runs both in Node and in a browser worker, in the order of the report. */
import type { Subject } from "../subject.ts"
import { announcements, ed25519Ways, gateChecks, livenessScan } from "./control-plane.ts"
import { decoders } from "./decoders.ts"
import { fanOut, layeredFanOut } from "./fan-out.ts"
import { fountain } from "./fountain.ts"
import { batchJoin, group } from "./group.ts"
import { recordingInMemory, retentionPlans, witnessOfClaims } from "./memory.ts"
import { dedup, planner } from "./parents.ts"
import { path } from "./path.ts"
import { relayForward, relayPath } from "./relay.ts"
import { rpcCallers, rpcCalls, rpcFrames } from "./rpc.ts"
import { rpcDrainer, rpcWakeups } from "./rpc-drainer.ts"
import { seal } from "./seal.ts"
import { signatures } from "./signatures.ts"
import { listedTopology, roomTree } from "./topology.ts"

export const subjects: readonly Subject[] = [
  seal,
  fanOut,
  layeredFanOut,
  path,
  relayForward,
  relayPath,
  fountain,
  group,
  batchJoin,
  signatures,
  decoders,
  planner,
  dedup,
  roomTree,
  listedTopology,
  witnessOfClaims,
  retentionPlans,
  recordingInMemory,
  rpcFrames,
  rpcCalls,
  rpcCallers,
  rpcDrainer,
  rpcWakeups,
  ed25519Ways,
  announcements,
  gateChecks,
  livenessScan,
]
