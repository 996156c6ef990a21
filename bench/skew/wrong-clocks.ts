/** Clocks that are wrong on purpose: scripts to be put before those of one page, its workers and its audio worklets. */
import { CAPTURE_PROCESSOR } from "../../src/media/types.ts"

/**
 * `performance.now()` runs fast by `ppm`, alike in every thread. Event times, frame callbacks and the clocks of devices stay right, as
 * they do in a browser on a computer whose system clock is being slewed.
 */
export function fastSystemClock(ppm: number): string {
  return `(() => {
  const { timeOrigin } = performance
  const right = performance.now.bind(performance)
  const begin = ${Date.now()}
  performance.now = () => begin - timeOrigin + (timeOrigin + right() - begin) * ${1 + ppm / 1e6}
})();\n`
}

/** Microphones give `ppm` too few samples a second, as a sound card does whose crystal is slow. */
export function slowSoundCard(ppm: number): string {
  return `(() => {
  const register = globalThis.registerProcessor
  globalThis.registerProcessor = (name, Processor) => register(name, name !== "${CAPTURE_PROCESSOR}" ? Processor : class extends Processor {
    missing = 0
    process(inputs, outputs, parameters) {
      this.missing += (inputs[0]?.[0]?.length ?? 0) * ${ppm / 1e6}
      if (this.missing < 1) return super.process(inputs, outputs, parameters)
      this.missing--
      return super.process(inputs.map((input) => input.map((samples) => samples.subarray(1))), outputs, parameters)
    }
  })
})();\n`
}
