/** ICE servers for the sessions of a server: with the ROSTER, and again at half of their life (control-plane 6.2, D50). */
import type { AddressBlock } from "../wire/address.ts"
import type { RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { Milliseconds } from "../wire/types.ts"
import type { SessionId } from "./registry.ts"
import type { ProvenPeer } from "./server-sessions.ts"
import type { IceServer } from "./types.ts"

/** ICE servers for one session, with credentials made for it (D50). */
interface IceConfiguration {
  servers: IceServer[]
  /** Address blocks of the TURN servers, port 0. */
  relayAllow: AddressBlock[]
  ttlMs: Milliseconds
}

/** Undefined: no ICE message is sent. */
export type IceFor = (peer: ProvenPeer, now: Milliseconds) => IceConfiguration | undefined

export class IceDesk {
  readonly #iceFor: IceFor | undefined
  /** When the next message is due. */
  readonly #at = new Map<SessionId, Milliseconds>()

  constructor(iceFor: IceFor | undefined) {
    this.#iceFor = iceFor
  }

  /** The message for a session, if it gets one; another follows when it is due. */
  message(id: SessionId, peer: ProvenPeer, now: Milliseconds): RendezvousMessage | undefined {
    const configuration = this.#iceFor?.(peer, now)
    if (configuration === undefined) {
      this.#at.delete(id)
      return undefined
    }
    this.#at.set(id, now + configuration.ttlMs / 2)
    const servers = configuration.servers.map(({ urls, ...credentials }) => ({ url: urls, ...credentials }))
    const ttlS = Math.floor(configuration.ttlMs / 1000)
    return { kind: "ice", servers, relayAddresses: configuration.relayAllow, ttlS }
  }

  /** The sessions whose servers are half over. */
  due(now: Milliseconds): SessionId[] {
    return [...this.#at].flatMap(([id, at]) => (now >= at ? [id] : []))
  }

  forget(id: SessionId): void {
    this.#at.delete(id)
  }
}
