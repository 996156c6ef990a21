/** The people in a room as the application sees them. */
import type { ConnectionState, Participant, Quality, Subscription } from "./types.ts"

/** A participant and the hands of the room that change it. The application gets the read-only {@link Participant} face. */
export class RoomParticipant implements Participant {
  readonly id: string
  readonly isLocal: boolean
  name = ""
  connection: ConnectionState
  speaking = false
  audioLevel = 0
  volume = 1
  quality: Quality | undefined
  readonly tracks = new Map<string, Subscription>()

  constructor(id: string, isLocal: boolean) {
    this.id = id
    this.isLocal = isLocal
    this.connection = isLocal ? "direct" : "connecting"
  }

  setVolume(volume: number): void {
    if (!Number.isFinite(volume)) return
    this.volume = Math.min(2, Math.max(0, volume))
    for (const subscription of this.tracks.values()) subscription.setVolume(this.volume)
  }

  get subscriptions(): readonly Subscription[] {
    return [...this.tracks.values()]
  }
}
