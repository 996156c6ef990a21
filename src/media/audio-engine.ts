/** The page's one AudioContext: microphones go through it to the publish worker, received sound comes out of it as tracks. */
import { AvError } from "../wire/errors.ts"
import { mediaError } from "./media-errors.ts"
import { watchPage } from "./page-life.ts"
import { AUDIO_SAMPLE_RATE, CAPTURE_PROCESSOR, PLAYOUT_PROCESSOR, PROCESSOR_ENDED, SOUND_UNFIT } from "./types.ts"

interface AudioEngineOptions {
  /** URL of the module `workers/audio-worklet.ts`. */
  workletUrl: string | URL
}

/** A live microphone. */
export interface AudioCapture {
  /** Blocks of sound come out here: transfer it to the publish worker (`PublishApi.addAudioSource`). */
  readonly port: MessagePort
  close(): void
}

/** A received sound stream as a track. */
interface AudioOutput {
  readonly track: MediaStreamTrack
  /** Decoded sound goes in here: transfer it to the receive worker (`ReceiveApi.addAudio`). */
  readonly port: MessagePort
  /** 1 as it came, 0 silent, at most 2. Speaking detection does not depend on it. */
  setVolume(volume: number): void
  close(): void
}

/** A change of volume takes this long, against clicks; in seconds. */
const VOLUME_SECONDS = 0.03
const MAX_VOLUME = 2
/** A processor runs every few milliseconds and then says that it has ended; that of a stopped context never does. */
const END_MS = 200
/**
 * What plays a track takes it through a buffer of its own, and no browser says how long that is: 19 to 23 ms from one context to
 * another in Chromium.
 */
const TRACK_MS = 20
/** Other loudspeakers are found out this soon, and told when they differ by so much. */
const LATENCY_EVERY_MS = 1_000
const LATENCY_STEP_MS = 3
/** Pieces of 10 ms that wait for the publish worker at most: one second, more than any stall that a call survives. */
const MAX_PIECES = 100
/** What browsers count as a wish of the person. */
const GESTURES = ["pointerup", "keydown", "touchend"] as const

export class AudioEngine {
  readonly context: AudioContext
  readonly #closers = new Set<() => void>()
  /** Nodes whose processor runs for the last time. */
  readonly #ending = new Set<Promise<void>>()
  /** Chromium keeps a destination for as long as its context lives, used or not: those of closed outputs are used again. */
  readonly #freeDestinations: MediaStreamAudioDestinationNode[] = []

  private constructor(context: AudioContext) {
    this.context = context
    this.#unlock()
  }

  /**
   * Runs at 48 kHz whatever the devices do: the context resamples.
   *
   * @throws AvError `MediaUnsupported` without AudioContext or AudioWorklet
   */
  static async create(options: AudioEngineOptions): Promise<AudioEngine> {
    if (typeof AudioContext === "undefined" || typeof AudioWorkletNode === "undefined") {
      const message = "This browser cannot play or record sound here: it lacks AudioWorklet."
      throw new AvError("MediaUnsupported", { missing: "AudioWorklet" }, { message })
    }
    const context = new AudioContext({ sampleRate: AUDIO_SAMPLE_RATE, latencyHint: "interactive" })
    try {
      await context.audioWorklet.addModule(options.workletUrl)
    } catch (cause) {
      await context.close()
      throw new AvError("WorkerFailed", { worker: "audio worklet" }, { message: "The audio worklet could not be loaded.", cause })
    }
    return new AudioEngine(context)
  }

  /** True while the browser wants a click before it plays sound; then {@link resume} is to be called from one. */
  get blocked(): boolean {
    return this.context.state !== "running" && this.context.state !== "closed"
  }

  /** Waits until sound runs. `false` after `timeoutMs`: the browser wants a click first. */
  async running(timeoutMs = 1_000): Promise<boolean> {
    if (!this.blocked) return true
    await new Promise<void>((resolve) => {
      const timer = setTimeout(done, timeoutMs)
      const stop = this.onStateChange(() => {
        if (!this.blocked) done()
      })
      function done() {
        clearTimeout(timer)
        stop()
        resolve()
      }
    })
    return !this.blocked
  }

  /** Calls back when sound starts or stops being possible. Returns how to stop that. */
  onStateChange(handler: () => void): () => void {
    this.context.addEventListener("statechange", handler)
    return () => this.context.removeEventListener("statechange", handler)
  }

  async resume(): Promise<void> {
    if (this.context.state !== "closed") await this.context.resume()
  }

  /** Time from the playout node to the ear, in ms: what the browser knows of its output, and the way through the track. */
  get outputLatencyMs(): number {
    const seconds = (this.context.baseLatency || 0) + (this.context.outputLatency || 0)
    return Math.min(300, Math.max(0, seconds * 1_000) + TRACK_MS)
  }

  /**
   * Tells {@link outputLatencyMs} now and whenever it changes, until the engine closes: a context knows nothing of its output before
   * it has run for a moment, and a headset that comes later is slower.
   */
  onLatency(handler: (ms: number) => void): void {
    let told = this.outputLatencyMs
    handler(told)
    const timer = setInterval(() => {
      const { outputLatencyMs } = this
      if (Math.abs(outputLatencyMs - told) < LATENCY_STEP_MS) return
      told = outputLatencyMs
      handler(told)
    }, LATENCY_EVERY_MS)
    const close = () => {
      this.#closers.delete(close)
      clearInterval(timer)
    }
    this.#closers.add(close)
  }

  /**
   * Where the browser lets a track be read, its sound goes to the publish worker directly, 10 to 20 ms sooner than through a capture
   * node; the node is for other browsers, and for sound at another rate than 48 kHz.
   *
   * @param track a live audio track; the caller keeps ownership
   * @throws AvError `TrackEnded` when the track has ended
   */
  capture(track: MediaStreamTrack): AudioCapture {
    checkSound(track)
    const { port1, port2 } = new MessageChannel()
    let end: (() => void) | undefined
    const close = () => {
      if (!this.#closers.delete(close)) return
      end?.()
      port1.close()
    }
    this.#closers.add(close)
    try {
      if (canReadSound(track)) {
        const { readable } = new MediaStreamTrackProcessor({ track, maxBufferSize: MAX_PIECES })
        port1.postMessage(readable, [readable])
        port1.onmessage = ({ data }: MessageEvent<string>) => {
          if (data === SOUND_UNFIT && this.#closers.has(close) && track.readyState === "live")
            end = this.#captureByNode(track, port1)
        }
      } else end = this.#captureByNode(track, port1)
    } catch (error) {
      close()
      throw error
    }
    return { port: port2, close }
  }

  /** What a node of this {@link context} puts out, in blocks of 20 ms, silence included. */
  tap(source: AudioNode): AudioCapture {
    const { port1, port2 } = new MessageChannel()
    const end = this.#captureNode(source, port1)
    const close = () => {
      if (this.#closers.delete(close)) end()
    }
    this.#closers.add(close)
    return { port: port2, close }
  }

  #captureByNode(track: MediaStreamTrack, sink: MessagePort): () => void {
    return this.#captureNode(this.#source(track), sink)
  }

  #captureNode(source: AudioNode, sink: MessagePort): () => void {
    const node = new AudioWorkletNode(this.context, CAPTURE_PROCESSOR, { numberOfInputs: 1, numberOfOutputs: 1 })
    node.port.postMessage(sink, [sink])
    // A node that leads nowhere is not run; its output is silence.
    node.connect(this.context.destination)
    source.connect(node)
    return () => {
      source.disconnect(node)
      this.#end(node)
    }
  }

  createOutput(): AudioOutput {
    const node = new AudioWorkletNode(this.context, PLAYOUT_PROCESSOR, {
      numberOfInputs: 0,
      numberOfOutputs: 1,
      outputChannelCount: [2],
    })
    const { port1, port2 } = new MessageChannel()
    node.port.postMessage(port1, [port1])
    const destination = this.#freeDestinations.pop() ?? new MediaStreamAudioDestinationNode(this.context, { channelCount: 2 })
    // Its own track stays live for the next output.
    const track = destination.stream.getAudioTracks()[0]?.clone()
    if (track === undefined) throw new AvError("MediaUnsupported", { missing: "MediaStreamAudioDestinationNode" })
    const gain = new GainNode(this.context)
    node.connect(gain).connect(destination)
    const setVolume = (volume: number) => {
      const bounded = Number.isFinite(volume) ? Math.min(MAX_VOLUME, Math.max(0, volume)) : 1
      gain.gain.setTargetAtTime(bounded, this.context.currentTime, VOLUME_SECONDS / 3)
    }
    const close = () => {
      if (!this.#closers.delete(close)) return
      this.#end(node, () => {
        gain.disconnect()
        this.#freeDestinations.push(destination)
      })
      track.stop()
    }
    this.#closers.add(close)
    return { track, port: port2, setVolume, close }
  }

  /** Closes every capture and output and the context. Idempotent. */
  async close(): Promise<void> {
    for (const close of [...this.#closers]) close()
    await Promise.all(this.#ending)
    if (this.context.state !== "closed") await this.context.close()
  }

  /**
   * A node stays in memory, and its context with it, until `process` has answered that it is done. It is asked only while the node is
   * connected and the context runs, so both have to wait for that.
   */
  #end(node: AudioWorkletNode, afterwards?: () => void): void {
    const ended = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, END_MS)
      node.port.onmessage = ({ data }: MessageEvent<unknown>) => {
        if (data !== PROCESSOR_ENDED) return
        clearTimeout(timer)
        resolve()
      }
    }).then(() => {
      this.#ending.delete(ended)
      node.port.close()
      node.disconnect()
      afterwards?.()
    })
    this.#ending.add(ended)
    node.port.postMessage(null)
  }

  /**
   * A browser may want a gesture before it plays sound, and phones interrupt it for calls: it is started again at each gesture
   * and when the page is seen again, for as long as it does not run.
   */
  #unlock(): void {
    const retry = () => {
      if (this.blocked) this.resume().catch(() => undefined)
    }
    for (const name of GESTURES) document.addEventListener(name, retry, true)
    const stopWatching = watchPage({ onReturn: retry })
    const close = () => {
      this.#closers.delete(close)
      for (const name of GESTURES) document.removeEventListener(name, retry, true)
      stopWatching()
    }
    this.#closers.add(close)
  }

  #source(track: MediaStreamTrack): MediaStreamAudioSourceNode {
    try {
      return new MediaStreamAudioSourceNode(this.context, { mediaStream: new MediaStream([track]) })
    } catch (cause) {
      throw mediaError(cause, "audio")
    }
  }
}

function checkSound(track: MediaStreamTrack): void {
  if (track.kind !== "audio") throw new AvError("UsageError", { kind: track.kind }, { message: "An audio track is needed here." })
  if (track.readyState === "ended") throw new AvError("TrackEnded", { label: track.label })
}

/** By what the track says of itself; the worker sees what really comes. */
function canReadSound(track: MediaStreamTrack): track is MediaStreamAudioTrack {
  if (typeof MediaStreamTrackProcessor === "undefined") return false
  return (track.getSettings().sampleRate ?? AUDIO_SAMPLE_RATE) === AUDIO_SAMPLE_RATE
}
