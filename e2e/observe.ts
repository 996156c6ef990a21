/** Reads what a page really shows and plays: the code in the rendered picture, the tone in the received sound. */
import type { Page } from "@playwright/test"
import { PICTURE } from "./clips.ts"

interface SeenPicture {
  participant: string
  /** Number of the camera in the picture, or undefined when it cannot be read. */
  code: number | undefined
  /** Number of the frame in the picture. */
  frame: number | undefined
}

/** The code in each remote tile's rendered `<video>`. */
export async function seenPictures(page: Page): Promise<SeenPicture[]> {
  return page.evaluate((layout) => {
    const canvas = document.createElement("canvas")
    canvas.width = layout.width
    canvas.height = layout.height
    const context = canvas.getContext("2d", { willReadFrequently: true })
    if (context === null) throw new Error("no 2d context")
    const read = (pixels: ImageData, top: number): number | undefined => {
      let value = 0
      for (let bit = 0; bit < 8; bit++) {
        const x = layout.left + bit * layout.square + layout.square / 2
        const y = top + layout.square / 2
        const luma = pixels.data[(y * layout.width + x) * 4 + 1] ?? 0
        if (luma > 80 && luma < 170) return undefined
        if (luma >= 170) value |= 1 << bit
      }
      return value
    }
    return [...document.querySelectorAll<HTMLElement>("[data-participant]")].map((tile) => {
      const participant = tile.dataset.participant ?? ""
      const video = tile.querySelector("video")
      if (video === null || video.readyState < 2 || video.videoWidth === 0)
        return { participant, code: undefined, frame: undefined }
      context.drawImage(video, 0, 0, layout.width, layout.height)
      const pixels = context.getImageData(0, 0, layout.width, layout.height)
      return { participant, code: read(pixels, layout.idTop), frame: read(pixels, layout.frameTop) }
    })
  }, PICTURE)
}

/** Loudest frequency (Hz) in the audio track of each remote participant, with its level in dB. */
export async function heardTones(page: Page): Promise<{ participant: string; hertz: number; level: number }[]> {
  return page.evaluate(async () => {
    const found: { participant: string; hertz: number; level: number }[] = []
    for (const tile of document.querySelectorAll<HTMLElement>("[data-participant]")) {
      const streams = [...tile.querySelectorAll<HTMLMediaElement>("video, audio")].map((element) => element.srcObject)
      const track = streams.flatMap((stream) => (stream instanceof MediaStream ? stream.getAudioTracks() : []))[0]
      if (track === undefined) continue
      const context = new AudioContext()
      await context.resume()
      const analyser = context.createAnalyser()
      analyser.fftSize = 8192
      const source = context.createMediaStreamSource(new MediaStream([track]))
      source.connect(analyser)
      // Beeps come and go: the loudest of several looks counts.
      const spectrum = new Float32Array(analyser.frequencyBinCount)
      const loudest = { hertz: 0, level: -999 }
      for (let look = 0; look < 16; look++) {
        await new Promise((resolve) => setTimeout(resolve, 70))
        analyser.getFloatFrequencyData(spectrum)
        for (const [bin, level] of spectrum.entries()) {
          if (bin > 0 && level > loudest.level) {
            loudest.level = level
            loudest.hertz = (bin * context.sampleRate) / analyser.fftSize
          }
        }
      }
      found.push({ participant: tile.dataset.participant ?? "", ...loudest })
      source.disconnect()
      await context.close()
    }
    return found
  })
}

interface FrameWatch {
  /** Longest time between two rendered frames since the watch began, the time since the last one included. */
  longestGapMs(): Promise<number>
}

/** Watches the frames that the `<video>` showing camera `code` really presents. */
export async function watchFrames(page: Page, code: number): Promise<FrameWatch> {
  const seen = await eventually(
    `camera ${code}`,
    () => seenPictures(page),
    (tiles) => tiles.some((tile) => tile.code === code),
  )
  const participant = seen.find((tile) => tile.code === code)?.participant ?? ""
  const handle = await page.evaluateHandle((id) => {
    const video = document.querySelector<HTMLVideoElement>(`[data-participant="${id}"] video`)
    if (video === null) throw new Error(`no tile of ${id}`)
    const state = { last: performance.now(), longest: 0 }
    const onFrame = (now: number) => {
      state.longest = Math.max(state.longest, now - state.last)
      state.last = now
      video.requestVideoFrameCallback(onFrame)
    }
    video.requestVideoFrameCallback(onFrame)
    return state
  }, participant)
  return { longestGapMs: () => handle.evaluate((state) => Math.max(state.longest, performance.now() - state.last)) }
}

/** Waits until `check` answers true, or throws with `what` and the last value seen. */
export async function eventually<T>(
  what: string,
  read: () => Promise<T>,
  check: (value: T) => boolean,
  timeoutMs = 45_000,
): Promise<T> {
  const end = Date.now() + timeoutMs
  let value = await read()
  while (!check(value)) {
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms; last seen ${JSON.stringify(value)}`)
    await new Promise((resolve) => setTimeout(resolve, 200))
    value = await read()
  }
  return value
}
