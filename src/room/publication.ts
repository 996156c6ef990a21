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

export interface LocalPublicationInit {
  label: string
  kind: TrackKind
  source: TrackSource
  track: MediaStreamTrack
  /** 16 random bytes per publish start: part of the stream id (D-3.5). */
  instance: Bytes
}

/** The stream of a publication as the descriptor announces it; new whenever the encoder or the room id changes. */
export interface PublishedStream {
  streamId: Bytes
  streamKey: string
  descriptor: StreamDescriptor
  codec: string
}

export class LocalPublication implements Publication {
  readonly id: string
  readonly label: string
  readonly kind: TrackKind
  readonly source: TrackSource
  readonly #host: PublicationHost
  instance: Bytes
  track: MediaStreamTrack | undefined
  muted = false
  ended = false
  stream: PublishedStream | undefined
  /** Releases what feeds the publish worker: the processor or capture node, and the `ended` listener. */
  release: () => void = () => {}

  constructor(init: LocalPublicationInit, host: PublicationHost) {
    this.id = init.label
    this.label = init.label
    this.kind = init.kind
    this.source = init.source
    this.track = init.track
    this.instance = init.instance
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
