/** Who is in the room: keeps the participants and tells the application what changes about them. */
import type { PeerKeyId } from "../wire/types.ts"
import type { Emitter } from "./emitter.ts"
import { RoomParticipant } from "./participant.ts"
import type { ConnectionState, Quality, RoomEvents } from "./types.ts"

export class People {
  readonly local: RoomParticipant
  readonly #remote = new Map<PeerKeyId, RoomParticipant>()
  readonly #events: Emitter<RoomEvents>

  constructor(local: RoomParticipant, events: Emitter<RoomEvents>) {
    this.local = local
    this.#events = events
  }

  /** Everybody else, by key id. */
  get remote(): ReadonlyMap<PeerKeyId, RoomParticipant> {
    return this.#remote
  }

  joined(keyId: PeerKeyId): void {
    if (keyId === this.local.id || this.#remote.has(keyId)) return
    const participant = new RoomParticipant(keyId, false)
    this.#remote.set(keyId, participant)
    this.#events.emit("participantJoined", { participant })
  }

  left(keyId: PeerKeyId, reason: "left" | "gone" | "removed"): void {
    const participant = this.#remote.get(keyId)
    if (participant === undefined) return
    this.#remote.delete(keyId)
    this.#events.emit("participantLeft", { participant, reason })
  }

  /** Changes a participant and tells about it; nothing happens for one that is not here (any more). */
  update(keyId: PeerKeyId, change: (participant: RoomParticipant) => void): void {
    const participant = this.#remote.get(keyId)
    if (participant === undefined) return
    change(participant)
    this.#events.emit("participantUpdated", { participant })
  }

  /** How a participant is reached now, and why. */
  connection(keyId: PeerKeyId, connection: ConnectionState, reason: string): void {
    if (this.#remote.get(keyId)?.connection === connection) return
    this.update(keyId, (participant) => {
      participant.connection = connection
      this.#events.emit("connection", { participant, connection, reason })
    })
  }

  rename(name: string): void {
    this.local.name = name
    this.#events.emit("participantUpdated", { participant: this.local })
  }

  level(participant: RoomParticipant, level: number, speaking: boolean): void {
    participant.audioLevel = level
    if (participant.speaking === speaking) return
    participant.speaking = speaking
    this.#events.emit("speaking", { participant, speaking })
  }

  /** Tells when another level was reached or the reason is another one; the score moves silently. */
  quality(participant: RoomParticipant, quality: Quality | undefined): void {
    const before = participant.quality
    participant.quality = quality
    if (quality === undefined || (before?.level === quality.level && before.reason === quality.reason)) return
    this.#events.emit("qualityChanged", { participant, quality })
  }

  clear(): void {
    this.#remote.clear()
  }
}
