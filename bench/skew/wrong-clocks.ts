/** Clocks that are wrong on purpose: scripts to be put before those of one page and its workers. */
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

/** Microphones give `ppm` too few samples a second, as a sound card does whose crystal is slow. For the worker that reads tracks. */
export function slowSoundCard(ppm: number): string {
  return `(() => {
  const { read } = ReadableStreamDefaultReader.prototype
  let missing = 0
  ReadableStreamDefaultReader.prototype.read = async function () {
    const result = await read.call(this)
    if (!(result.value instanceof AudioData)) return result
    const { value: data } = result
    missing += data.numberOfFrames * ${ppm / 1e6}
    if (missing < 1) return result
    missing--
    const { sampleRate, numberOfChannels, timestamp } = data
    const numberOfFrames = data.numberOfFrames - 1
    const samples = new Float32Array(numberOfFrames * numberOfChannels)
    for (let plane = 0; plane < numberOfChannels; plane++) {
      data.copyTo(samples.subarray(plane * numberOfFrames), { planeIndex: plane, frameOffset: 1, format: "f32-planar" })
    }
    data.close()
    const value = new AudioData({ format: "f32-planar", sampleRate, numberOfChannels, numberOfFrames, timestamp, data: samples })
    return { done: false, value }
  }
})();\n`
}
