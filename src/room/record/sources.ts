/** What is recorded: the newest picture of each track, and one node in which all sounds are mixed. */
import { type LivePicture, livePicture } from "./pictures.ts"

/** A track and whose it is. */
export interface RecordedTrack {
  track: MediaStreamTrack
  label: string
  muted: boolean
}

interface Sound {
  node: MediaStreamAudioSourceNode
  gain: GainNode
}

interface Picture {
  live: LivePicture
  label: string
  muted: boolean
}

export class RecordSources {
  /** Everybody's sound. */
  readonly mix: GainNode
  readonly #context: AudioContext
  readonly #pictures = new Map<MediaStreamTrack, Picture>()
  readonly #sounds = new Map<MediaStreamTrack, Sound>()

  /** @param context of the room: it runs as long as the room does */
  constructor(context: AudioContext) {
    this.#context = context
    this.mix = context.createGain()
  }

  /** Pictures in the order in which they came. */
  get pictures(): readonly Picture[] {
    return [...this.#pictures.values()]
  }

  /** Takes what is new and lets go of what is not there any more. */
  refresh(tracks: readonly RecordedTrack[]): void {
    const there = new Set(tracks.map(({ track }) => track))
    for (const [track, { live }] of this.#pictures) {
      if (there.has(track)) continue
      live.close()
      this.#pictures.delete(track)
    }
    for (const [track, { node, gain }] of this.#sounds) {
      if (there.has(track)) continue
      node.disconnect()
      gain.disconnect()
      this.#sounds.delete(track)
    }
    for (const one of tracks) this.#take(one)
  }

  /** {@link mix} stays connected: whoever takes it away from where it leads does that. */
  close(): void {
    this.refresh([])
  }

  #take({ track, label, muted }: RecordedTrack): void {
    if (track.kind === "audio") {
      const { gain } = this.#sounds.get(track) ?? this.#listen(track)
      // The own microphone goes on while it is muted: what is said then is meant for nobody.
      gain.gain.value = muted ? 0 : 1
      return
    }
    const known = this.#pictures.get(track)
    if (known === undefined) this.#pictures.set(track, { live: livePicture(track), label, muted })
    else Object.assign(known, { label, muted })
  }

  #listen(track: MediaStreamTrack): Sound {
    const node = this.#context.createMediaStreamSource(new MediaStream([track]))
    const gain = this.#context.createGain()
    node.connect(gain).connect(this.mix)
    const sound = { node, gain }
    this.#sounds.set(track, sound)
    return sound
  }
}
