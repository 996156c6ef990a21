/** The room's connection to its rendezvous server: what it says goes to the room machine; the call does not depend on it. */
import type { IdentitySigner } from "../identity/signer.ts"
import type { RoomEvent } from "../membership/index.ts"
import { AddressEvidence, openRendezvous, type RendezvousClient, type RendezvousOptions } from "../rendezvous/index.ts"
import type { AvError } from "../wire/errors.ts"

interface ServerConnectionEvents {
  feed(event: RoomEvent): void
  /** `why` is the name of the error that ended the connection. */
  connected(connected: boolean, why: string): void
  /** Server's clock minus ours, ms. */
  clock(skewMs: number): void
  /** `final`: the client has given up this server for good. */
  trouble(error: AvError, final: boolean): void
}

export class ServerConnection {
  readonly client: RendezvousClient
  /** What the server says about addresses, its own and those of others. */
  readonly evidence = new AddressEvidence()
  /** ICE servers the server handed out last. */
  iceServers: RTCIceServer[] = []
  connected = false
  /** It was reached at least once. */
  seen = false

  constructor(
    server: Pick<RendezvousOptions, "url" | "namespace" | "openSocket"> & { signer: IdentitySigner },
    events: ServerConnectionEvents,
  ) {
    this.client = openRendezvous(server)
    this.client.on("state", ({ state, error }) => {
      const connected = state === "registered"
      if (connected !== this.connected) {
        this.connected = connected
        this.evidence.serverUp = connected
        this.seen ||= connected
        events.feed({ type: "serverState", connected })
        events.connected(connected, error?.code ?? "")
      }
      if (error !== undefined) events.trouble(error, state === "closed")
    })
    this.client.on("serverIdentity", ({ entityId, loopback, clockSkewMs }) => {
      this.evidence.trust(entityId)
      this.evidence.loopback = loopback
      events.clock(clockSkewMs)
    })
    this.client.on("registered", ({ attestation, roster, registered }) => {
      this.evidence.attested(attestation)
      events.feed({ type: "roster", nodes: roster, registered })
    })
    this.client.on("attestation", ({ attestation }) => this.evidence.attested(attestation))
    this.client.on("rosterDelta", (delta) => events.feed({ type: "rosterDelta", ...delta }))
    this.client.on("ice", ({ servers, relayAllow }) => {
      this.iceServers = servers
      this.evidence.relaysAre(relayAllow)
    })
  }
}
