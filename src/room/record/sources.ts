/** What is recorded: a video element for each picture, and one stream in which all sounds are mixed. */

/** A track and whose it is. */
export interface RecordedTrack {
  track: MediaStreamTrack
  label: string
  muted: boolean
}

interface Picture {
  video: HTMLVideoElement
  label: string
  muted: boolean
}

export class RecordSources {
  readonly #context = new AudioContext()
  readonly #mix = this.#context.createMediaStreamDestination()
  readonly #pictures = new Map<MediaStreamTrack, Picture>()
  readonly #sounds = new Map<MediaStreamTrack, MediaStreamAudioSourceNode>()

  constructor() {
    // Silence from the start, so that the recording has a sound track whoever comes first.
    const silence = this.#context.createConstantSource()
    silence.offset.value = 0
    silence.connect(this.#mix)
    silence.start()
    void this.#context.resume().catch(() => undefined)
  }

  get sound(): MediaStreamTrack {
    return this.#mix.stream.getAudioTracks()[0] as MediaStreamTrack
  }

  /** Pictures in the order in which they came. */
  get pictures(): readonly Picture[] {
    return [...this.#pictures.values()]
  }

  /** Takes what is new and lets go of what is not there any more. */
  refresh(tracks: readonly RecordedTrack[]): void {
    const there = new Set(tracks.map(({ track }) => track))
    for (const [track, { video }] of this.#pictures) {
      if (there.has(track)) continue
      video.srcObject = null
      this.#pictures.delete(track)
    }
    for (const [track, node] of this.#sounds) {
      if (there.has(track)) continue
      node.disconnect()
      this.#sounds.delete(track)
    }
    for (const one of tracks) this.#take(one)
  }

  close(): void {
    this.refresh([])
    void this.#context.close()
  }

  #take({ track, label, muted }: RecordedTrack): void {
    if (track.kind === "audio") {
      if (this.#sounds.has(track)) return
      const node = this.#context.createMediaStreamSource(new MediaStream([track]))
      node.connect(this.#mix)
      this.#sounds.set(track, node)
      return
    }
    const known = this.#pictures.get(track)
    if (known !== undefined) {
      known.label = label
      known.muted = muted
      return
    }
    const video = document.createElement("video")
    video.muted = true
    video.playsInline = true
    video.srcObject = new MediaStream([track])
    void video.play().catch(() => undefined)
    this.#pictures.set(track, { video, label, muted })
  }
}
