/** What goes in and out of the server's machine. */
import type { AddressBlock } from "../wire/address.ts"
import type { GoawayReason } from "../wire/goaway.ts"
import type { Bytes } from "../wire/types.ts"
import type { ServerLimits } from "./limits.ts"
import type { StunObservers } from "./nat/stun-observers.ts"
import type { SessionId } from "./registry.ts"
import type { DeskAction } from "./server-directory.ts"
import type { IceFor } from "./server-ice.ts"
import type { RendezvousDrops } from "./types.ts"

export type ServerAction =
  /** Send GOAWAY and end the socket. */
  | { type: "close"; session: SessionId; reason: GoawayReason; text: string }
  /** Sign what the socket's address is, and the `extra` ones, and hand it to {@link ServerMachine.attested}. */
  | { type: "attest"; session: SessionId; namespace: string; subject: Bytes; extra: AddressBlock[] }
  | DeskAction

export interface ServerMachineOptions {
  limits: ServerLimits
  /** Undefined: no ICE message is sent. */
  iceFor?: IceFor
  /** The STUN observers of this server. Default none: nothing but the socket's own address is ever attested. */
  observers?: StunObservers
  /** See {@link ReflexDesk}. Default false. */
  allowObservedMismatch?: boolean
}

export interface ServerStats {
  sessions: number
  registered: number
  rooms: number
  attempts: number
  directoryOwners: number
  directoryBytes: number
  routedBytes: number
  /** Answers of the STUN observers, and those of them that came from another address than was asked. */
  stunAnswers: number
  dialBacks: number
  drops: RendezvousDrops
}
