/** What the media plane tells the room: events of the application, wishes for lanes, and signs of life. */
import type { ControlSession } from "../link/index.ts"
import type { AvError } from "../wire/errors.ts"
import type { PeerKeyId } from "../wire/types.ts"
import type { Connections } from "./connections.ts"
import type { Emitter } from "./emitter.ts"
import type { MachineDriver } from "./machine-driver.ts"
import type { MediaPlaneEvents } from "./media-plane.ts"
import type { PeerHub } from "./peer-hub.ts"
import type { People } from "./people.ts"
import { receiveDefault, type SavingWatch } from "./saving.ts"
import type { RoomEvents } from "./types.ts"

/** The parts of a room that media reaches. */
export interface MediaEventsHost {
  people: People
  events: Emitter<RoomEvents>
  saving: SavingWatch
  driver: MachineDriver
  connections: Connections
  hub: PeerHub
  directSession(keyId: PeerKeyId): ControlSession | undefined
  sendState(urgent: boolean): void
  warn(error: AvError): void
}

export function mediaEvents(host: MediaEventsHost): MediaPlaneEvents {
  const onSession = (keyId: PeerKeyId, tell: (session: ControlSession) => void) => {
    const session = host.directSession(keyId)
    if (session !== undefined) tell(session)
  }
  return {
    tracksChanged: (urgent) => host.sendState(urgent),
    subscriptionStarted: (subscription) => {
      const { participant, kind, source } = subscription
      const cheap = receiveDefault(host.saving.reason, kind, source)
      if (cheap !== undefined) subscription.setPolicy(cheap)
      host.events.emit("track", { participant, subscription, track: subscription.track })
    },
    subscriptionEnded: (subscription) => host.events.emit("trackEnded", { participant: subscription.participant, subscription }),
    subscriptionMuted: (subscription) => {
      const { participant, muted } = subscription
      host.events.emit("muted", { participant, subscription, muted })
    },
    layerChanged: (subscription, layer) =>
      host.events.emit("layer", { participant: subscription.participant, subscription, layer }),
    shareEnded: (publications) => host.events.emit("shareEnded", { publications }),
    level: (participant, level, speaking) => host.people.level(participant ?? host.people.local, level, speaking),
    lanesWanted: (wish) => {
      const link = host.hub.link(wish.link)
      if (wish.action === "add") link?.addVideoLane()
      else if (wish.action === "remove") link?.closeLane(wish.laneId)
      else link?.replaceLane(wish.laneId)
    },
    linkAlarm: (link, type) => host.connections.alarm(link, type),
    deviceLost: (publication) => host.events.emit("deviceLost", { publication }),
    speakingWhileMuted: (publication) => host.events.emit("speakingWhileMuted", { publication }),
    heard: (keyId) =>
      onSession(keyId, (session) => {
        host.connections.heard(session, "media")
        host.driver.feed({ type: "heard", session: session.id })
      }),
    epochSeen: (keyId, epoch) => onSession(keyId, ({ id }) => host.driver.feed({ type: "epochSeen", session: id, epoch })),
    child: (...change) => host.connections.child(...change),
    warning: (error) => host.warn(error),
  }
}
