/** Failures on demand, for tests of applications and of this library: each really happens, nothing is pretended. */
import type { PeerLink } from "../link/index.ts"
import { AvError } from "../wire/errors.ts"

/** What `room.simulate` can bring about. */
const SIMULATIONS = ["kill-parent", "drop-rendezvous", "change-network", "lose-lane", "sleep", "full-rejoin"] as const
export type Simulation = (typeof SIMULATIONS)[number]

/** The page stands still for this long, ms: longer than a link takes to count as broken. */
const SLEEP_MS = 5_000

interface SimulationHost {
  readyLinks(): readonly PeerLink[]
  dropServer(): void
  networkChanged(): void
  /** Forgets the group and joins the room again. */
  rejoin(): void
}

/** @throws AvError `UsageError` for a name that is not in {@link SIMULATIONS}, or when there is nothing that could fail. */
export function simulate(kind: Simulation, host: SimulationHost): void {
  const nothing = () => new AvError("UsageError", { why: "nothing there that could fail", kind })
  const [link] = host.readyLinks()
  switch (kind) {
    case "kill-parent":
      if (link === undefined) throw nothing()
      link.abandon("local")
      return
    case "drop-rendezvous":
      host.dropServer()
      return
    case "change-network":
      // Sockets do not survive a change of addresses either.
      host.dropServer()
      host.networkChanged()
      return
    case "lose-lane":
      if (!host.readyLinks().some((each) => each.loseLane())) throw nothing()
      return
    case "sleep":
      standStill(SLEEP_MS)
      return
    case "full-rejoin":
      host.rejoin()
      return
    default:
      throw new AvError("UsageError", { why: "unknown simulation", kind: String(kind) })
  }
}

/** Blocks the thread of the page: no timer, no message, no answer to anybody, as in a suspended machine. Workers go on. */
function standStill(ms: number): void {
  const end = performance.now() + ms
  while (performance.now() < end);
}
