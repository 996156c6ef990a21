/** What NAT a room's page or process sits behind, as `room.stats()` tells it, and how it is looked at. */
import type { NatClass, NatObservation } from "../../rendezvous/nat/classify.ts"
import type { StunServer } from "../../rendezvous/nat/stun-servers.ts"
import type { AddressBlock } from "../../wire/address.ts"
import type { ReflexReplyEntry } from "../../wire/rendezvous-message.ts"
import type { Milliseconds } from "../../wire/types.ts"

/**
 * The kind of NAT between this page and the internet, announced to the members as the tag `nat:…` while it is known.
 *
 * `open`: everybody can reach it. `cone`: one address for all, which direct links find easily. `symmetric`: another address for each peer:
 * two such members rarely find a direct link without a TURN server. `unknown`: nothing is known and nothing is announced.
 */
export interface NatStats {
  class: NatClass
  /** Address and port that the STUN servers saw, `host:port`; goes with the class. The port is that of a socket made for the look. */
  reflex?: string
  /** STUN servers that are asked. Below two, on different hosts, nothing can be found out and nobody is asked. */
  servers: number
  /** Looks so far, and how many of them saw enough. */
  sweeps: number
  conclusive: number
  /** Answers of the last look. */
  observations: number
  /** Unix ms of the last look that saw enough. */
  at?: number
}

/** What one look found. */
export interface NatFindings {
  observations: readonly NatObservation[]
  /** Own addresses with the port of the socket that asked; empty in browsers. */
  hostAddresses: readonly AddressBlock[]
  /** An answer came from an address that this socket had not contacted. */
  dialBack: boolean
}

export interface NatLook {
  /** The configured ones: nobody else may be asked. */
  servers: readonly StunServer[]
  /** Asks the rendezvous server where it saw these addresses (REFLEX_QUERY). */
  ask(addresses: readonly AddressBlock[], signal: AbortSignal): Promise<readonly ReflexReplyEntry[]>
  /** Time is over, or the network has changed. */
  signal: AbortSignal
}

/** How a page or a process looks at its NAT. */
export interface NatProbe {
  /** Between looks without a cause, ± 10 %. */
  intervalMs: Milliseconds
  look(look: NatLook): Promise<NatFindings>
}
