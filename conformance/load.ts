/** The runner tables of `conformance/runners/` in one. A list, so that bundlers see it: the command is part of the package. */
import { runners as alm } from "./runners/alm.ts"
import { runners as claims } from "./runners/claims.ts"
import { runners as controlPlaneCapability } from "./runners/control-plane-capability.ts"
import { runners as controlPlaneRpc } from "./runners/control-plane-rpc.ts"
import { runners as controlPlaneToken } from "./runners/control-plane-token.ts"
import { runners as crypto } from "./runners/crypto.ts"
import { runners as fountain } from "./runners/fountain.ts"
import { runners as group } from "./runners/group.ts"
import { runners as link } from "./runners/link.ts"
import { runners as membership } from "./runners/membership.ts"
import { runners as memory } from "./runners/memory.ts"
import { runners as seal } from "./runners/seal.ts"
import { runners as topology } from "./runners/topology.ts"
import { runners as wireAvMesh } from "./runners/wire-av-mesh.ts"
import { runners as wireControlPlane } from "./runners/wire-control-plane.ts"
import { runners as wireLanes } from "./runners/wire-lanes.ts"
import { runners as wireRoom } from "./runners/wire-room.ts"
import type { RunnerTable } from "./types.ts"

export const TABLES: readonly RunnerTable[] = [
  alm,
  claims,
  controlPlaneCapability,
  controlPlaneRpc,
  controlPlaneToken,
  crypto,
  fountain,
  group,
  link,
  membership,
  memory,
  seal,
  topology,
  wireAvMesh,
  wireControlPlane,
  wireLanes,
  wireRoom,
]

/** All runners by format and section. Two runners for one section are a mistake and refused. */
export function loadRunners(tables: readonly RunnerTable[] = TABLES): RunnerTable {
  const merged: RunnerTable = {}
  for (const runners of tables) {
    for (const [format, sections] of Object.entries(runners)) {
      const table = merged[format] ?? {}
      merged[format] = table
      for (const [section, runner] of Object.entries(sections)) {
        if (Object.hasOwn(table, section)) throw new Error(`two runners for ${format} ${section}`)
        table[section] = runner
      }
    }
  }
  return merged
}
