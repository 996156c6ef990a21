/** One local track in the room: where its frames come from and what the others are told about it. */
import type { StreamDescriptor } from "../wire/index.ts"
import type { Bytes } from "../wire/types.ts"
import type { Publication, TrackKind, TrackSource } from "./types.ts"

/** What the room does for a publication; keeps the application's object free of workers and ports. */
export interface PublicationHost {
  setMuted(publication: LocalPublication, muted: boolean): Promise<void>
  replaceTrack(publication: LocalPublication, track: MediaStreamTrack): Promise<void>
  unpublish(publication: LocalPublication): Promise<void>
}

interface LocalPublicationInit {
  label: string
  kind: TrackKind
  source: TrackSource
  track: MediaStreamTrack
}

/** A stream of a publication as its descriptor announces it; new whenever the codec or the room id changes. */
export interface PublishedStream {
  streamId: Bytes
  streamKey: string
  descriptor: StreamDescriptor
  codec: string
  /** 16 random bytes per publish start: part of the stream id (D-3.5). */
  instance: Bytes
  /** Number of the rung, 0 the smallest; and of the description, where there are several. Video only. */
  spatial?: number
  description?: number
  /** A second encoding for those who cannot show the codec of the others. */
  second?: boolean
}

export class LocalPublication implements Publication {
  readonly id: string
  readonly label: string
  readonly kind: TrackKind
  readonly source: TrackSource
  readonly #host: PublicationHost
  track: MediaStreamTrack | undefined
  muted = false
  ended = false
  streams: readonly PublishedStream[] = []
  /** Releases what feeds the publish worker: the processor or capture node, and the `ended` listener. */
  release: () => void = () => {}

  constructor(init: LocalPublicationInit, host: PublicationHost) {
    this.id = init.label
    this.label = init.label
    this.kind = init.kind
    this.source = init.source
    this.track = init.track
    this.#host = host
  }

  mute(): Promise<void> {
    return this.#host.setMuted(this, true)
  }

  unmute(): Promise<void> {
    return this.#host.setMuted(this, false)
  }

  replaceTrack(track: MediaStreamTrack): Promise<void> {
    return this.#host.replaceTrack(this, track)
  }

  unpublish(): Promise<void> {
    return this.#host.unpublish(this)
  }
}
