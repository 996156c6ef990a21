/** A recording of a live room: what this page receives, and what it publishes. */
import { AvError } from "../../wire/errors.ts"
import type { People } from "../people.ts"
import type { Publication, RoomEvents } from "../types.ts"
import { CallRecording } from "./recorder.ts"
import type { RecordedTrack } from "./sources.ts"
import type { Recording, RecordOptions } from "./types.ts"

export interface RecordedRoom {
  people: People
  events: { on<K extends keyof RoomEvents>(event: K, handler: (value: RoomEvents[K]) => void): () => void }
  media: { publications: { all: readonly Publication[] } }
}

export function recordRoom(room: RecordedRoom, roomName: string, options: RecordOptions): Recording {
  if (globalThis.document === undefined) throw new AvError("MediaUnsupported", { missing: "document" })
  const time = new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", ".")
  const recording: CallRecording = new CallRecording({
    ...options,
    fileName: `${roomName} ${time}`,
    tracks: () => [...(options.self === false ? [] : ownTracks(room)), ...othersTracks(room)],
    onEnd: () => off(),
  })
  const off = room.events.on("left", () => void recording.stop().catch(() => undefined))
  return recording
}

function ownTracks({ people, media }: RecordedRoom): RecordedTrack[] {
  return media.publications.all.flatMap(({ track, muted }) =>
    track === undefined || track.readyState === "ended" ? [] : [{ track, label: people.local.name, muted }],
  )
}

function othersTracks({ people }: RecordedRoom): RecordedTrack[] {
  return [...people.remote.values()].flatMap(({ subscriptions, name }) =>
    subscriptions.map(({ track, muted }) => ({ track, label: name, muted })),
  )
}
