/** Loudness of any audio track, for a meter beside a microphone choice. */

export interface LevelMeter {
  /** Loudness of the last 20 ms or so, 0..1. */
  level(): number
  close(): void
}

const contexts = new Set<AudioContext>()

/** Measures `track` until `close()`. The track itself is left alone. */
export function levelMeter(track: MediaStreamTrack): LevelMeter {
  const context = new AudioContext()
  contexts.add(context)
  const source = new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) })
  const analyser = new AnalyserNode(context, { fftSize: 1024 })
  source.connect(analyser)
  const samples = new Float32Array(analyser.fftSize)
  return {
    level() {
      analyser.getFloatTimeDomainData(samples)
      let squares = 0
      for (const sample of samples) squares += sample * sample
      return Math.min(1, Math.sqrt(squares / samples.length))
    },
    close() {
      if (!contexts.delete(context)) return
      source.disconnect()
      void context.close()
    },
  }
}
