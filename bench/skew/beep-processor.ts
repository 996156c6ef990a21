/** AudioWorklet processor: says when a beep begins in its input, to the sample. */

/** Half of what the loudest sample of the beep is like; a codec's ringing before it stays below. */
const LOUD = 0.2
/** As long as this it must have been quiet before. */
const QUIET_SECONDS = 0.3

class BeepProcessor extends AudioWorkletProcessor {
  #loudAt = Number.NEGATIVE_INFINITY

  process(inputs: Float32Array[][]): boolean {
    for (const [index, sample] of (inputs[0]?.[0] ?? []).entries()) {
      if (Math.abs(sample) < LOUD) continue
      const at = currentTime + index / sampleRate
      if (at - this.#loudAt > QUIET_SECONDS) this.port.postMessage(at)
      this.#loudAt = at
    }
    return true
  }
}

registerProcessor("beep", BeepProcessor)
