/** Says when a beep begins in the sound of a track, to the sample. */

/** Half of what the loudest sample of the beep is like; a codec's ringing before it stays below. */
const LOUD = 0.2
/** As long as this it must have been quiet before. */
const QUIET_SECONDS = 0.3
/** Pieces of 10 ms: five seconds. Pieces come late by much more than two clocks drift apart meanwhile. */
const KEPT = 500

/**
 * Reads the track itself. A node of an AudioContext would put a buffer of its own in between, which grows and shrinks by tens of
 * milliseconds while the machine is busy.
 *
 * @param now a clock that is right
 * @param heard gets the time on it at which the first sample of a beep came out of the track
 */
export async function watchBeeps(track: MediaStreamTrack, now: () => number, heard: (atMs: number) => void): Promise<void> {
  const reader = new MediaStreamTrackProcessor({ track: track as MediaStreamAudioTrack }).readable.getReader()
  /** Arrival minus position, in ms: late at times and never early, so the least counts. */
  const offsets: number[] = []
  let positionMs = 0
  let loudAtMs = Number.NEGATIVE_INFINITY
  for (;;) {
    const { value: data } = await reader.read()
    if (data === undefined) return
    const samples = new Float32Array(data.numberOfFrames)
    const { sampleRate } = data
    data.copyTo(samples, { planeIndex: 0, format: "f32-planar" })
    data.close()
    offsets.push(now() - positionMs - (samples.length * 1_000) / sampleRate)
    if (offsets.length > KEPT) offsets.shift()
    for (const [index, sample] of samples.entries()) {
      if (Math.abs(sample) < LOUD) continue
      const atMs = positionMs + (index * 1_000) / sampleRate
      if (atMs - loudAtMs > QUIET_SECONDS * 1_000) heard(atMs + Math.min(...offsets))
      loudAtMs = atMs
    }
    positionMs += (samples.length * 1_000) / sampleRate
  }
}
