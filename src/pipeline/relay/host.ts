/** The relay worker's driver: ports and data channels around {@link RelayCore}. */
import type { MeshOptions } from "../mesh/types.ts"
import { RelayCore } from "./core.ts"
import type { RelayApi, RelayStats } from "./types.ts"
import { WorkerHost } from "./worker-host.ts"

export class RelayHost extends WorkerHost<RelayCore> implements RelayApi {
  async configure(options: MeshOptions): Promise<void> {
    const relaying = { ...options, relay: options.relay ?? { enabled: true } }
    this.start((emit) => new RelayCore(relaying, { now: () => performance.now(), emit }))
  }

  stats(): RelayStats {
    return this.live().stats()
  }
}
