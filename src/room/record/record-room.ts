/** A recording of a live room: what this page receives, and what it publishes. */
import { AvError } from "../../wire/errors.ts"
import type { People } from "../people.ts"
import type { Publication, RoomEvents } from "../types.ts"
import { CallRecording, type RecordingSound } from "./recorder.ts"
import type { RecordedTrack } from "./sources.ts"
import type { Recording, RecordOptions } from "./types.ts"

interface RecordedRoom {
  people: People
  events: { on<K extends keyof RoomEvents>(event: K, handler: (value: RoomEvents[K]) => void): () => void }
  media: { publications: { all: readonly Publication[] } }
  sound: RecordingSound
}

export async function recordRoom(room: RecordedRoom, roomName: string, options: RecordOptions): Promise<Recording> {
  if (globalThis.document === undefined) throw new AvError("MediaUnsupported", { missing: "document" })
  const time = new Date().toISOString().slice(0, 16).replace("T", " ").replace(":", ".")
  let off = () => {}
  const recording = await CallRecording.start({
    ...options,
    fileName: `${roomName} ${time}`,
    tracks: () => [...(options.self === false ? [] : ownTracks(room)), ...othersTracks(room, options)],
    sound: room.sound,
    onEnd: () => off(),
  })
  off = room.events.on("left", () => void recording.stop().catch(() => undefined))
  return recording
}

function ownTracks({ people, media }: RecordedRoom): RecordedTrack[] {
  return media.publications.all.flatMap(({ track, muted }) =>
    track === undefined || track.readyState === "ended" ? [] : [{ track, label: people.local.name, muted }],
  )
}

function othersTracks({ people }: RecordedRoom, { participants }: RecordOptions): RecordedTrack[] {
  const chosen = [...people.remote.values()].filter((participant) => participants?.(participant) ?? true)
  return chosen.flatMap(({ subscriptions, name }) => subscriptions.map(({ track, muted }) => ({ track, label: name, muted })))
}
