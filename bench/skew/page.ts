/** What the pages of the skew benchmark can do; run.ts uses it through `globalThis.skewBench`. */
import { createInvitation, joinRoom, type ReceiveStreamStats, type Room } from "holomesh"
import { ContextClock, eventClock } from "./context-clock.ts"
import { FlashPainter, FlashWatcher, FRAMES_PER_SECOND, watchCapture } from "./flash-picture.ts"
import type { Events } from "./match.ts"

const EVERY_MS = 1_000
const BEEP_SECONDS = 0.1
const BEEP_HERTZ = 1_000
const LOUDNESS = 0.5

export interface Seen extends Events {
  /** Flashes that were presented before we looked. */
  missed: number
  /** From rendering to the loudspeaker: as measured, and as the browser says; ms. */
  outputMs: number
  claimedOutputMs: number
}

export interface Sample {
  atMs: number
  audio: ReceiveStreamStats | undefined
  video: ReceiveStreamStats | undefined
}

const events: Events = { flashes: [], beeps: [] }
/** The detector has a context of its own on both sides, so that sound goes the same way to it. */
const detector = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" })
const clock = new ContextClock(detector)
let watcher: FlashWatcher | undefined
let room: Room | undefined

/** Page time as time on the clock that all processes of the machine share, roughly. */
const shared = (pageMs: number) => performance.timeOrigin + pageMs

function query<K extends "canvas" | "video">(name: K): HTMLElementTagNameMap[K] {
  const element = document.querySelector(name)
  if (element === null) throw new Error(`no ${name} in the page`)
  return element
}

/** @param timeOf when the sample of a context time counts, on the page's clock */
async function listen(audio: MediaStreamTrack, timeOf: (contextSeconds: number) => number): Promise<void> {
  await detector.audioWorklet.addModule("beep-processor.js")
  const node = new AudioWorkletNode(detector, "beep")
  node.port.onmessage = ({ data }: MessageEvent<number>) => {
    events.beeps.push(shared(timeOf(data)))
  }
  new MediaStreamAudioSourceNode(detector, { mediaStream: new MediaStream([audio]) }).connect(node)
  // A node that leads nowhere is not run; its output is silence.
  node.connect(detector.destination)
}

const flashed = (atMs: number) => {
  events.flashes.push(shared(atMs))
}

/** A flash and a beep at once, every second. */
function perform(): { video: MediaStreamTrack; audio: MediaStreamTrack } {
  const sound = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" })
  const out = sound.createMediaStreamDestination()
  const tone = new OscillatorNode(sound, { frequency: BEEP_HERTZ })
  const loudness = new GainNode(sound, { gain: 0 })
  tone.connect(loudness).connect(out)
  tone.start()
  let nextMs = 0
  new FlashPainter(query("canvas"), (nowMs) => {
    if (nowMs < nextMs) return false
    nextMs = Math.max(nextMs + EVERY_MS, nowMs + EVERY_MS / 2)
    loudness.gain.setValueAtTime(LOUDNESS, sound.currentTime)
    loudness.gain.setValueAtTime(0, sound.currentTime + BEEP_SECONDS)
    return true
  })
  const [video] = query("canvas").captureStream(FRAMES_PER_SECOND).getVideoTracks()
  const [audio] = out.stream.getAudioTracks()
  if (video === undefined || audio === undefined) throw new Error("the page gives no tracks")
  return { video, audio }
}

const abilities = {
  /** With a microphone granted, the browser offers its real addresses. */
  async prepare(): Promise<void> {
    await navigator.mediaDevices.getUserMedia({ audio: true })
    await detector.resume()
  },

  newRoom(): string {
    return createInvitation(location.origin, `skew-${Date.now().toString(36)}`).url
  },

  async publish(url: string): Promise<void> {
    const { video, audio } = perform()
    room = await joinRoom(url, { name: "sender" })
    await room.publish(audio, { source: "microphone" })
    await room.publish(video, { source: "camera", frameRate: FRAMES_PER_SECOND })
    // What can be captured of the own tracks, and when: the way into the browser is the same for every call.
    await listen(audio, (seconds) => clock.madeAt(seconds))
    void watchCapture(video.clone(), eventClock, flashed)
  },

  async receive(url: string): Promise<void> {
    room = await joinRoom(url, { name: "receiver" })
    const joined = room
    const tracks = new Map<string, MediaStreamTrack>()
    await new Promise<void>((resolve) => {
      const take = (track: MediaStreamTrack) => {
        tracks.set(track.kind, track)
        if (tracks.size === 2) resolve()
      }
      joined.on("track", ({ track }) => take(track))
      for (const { subscriptions } of joined.participants.values()) for (const { track } of subscriptions) take(track)
    })
    const [video, audio] = [tracks.get("video"), tracks.get("audio")]
    if (video === undefined || audio === undefined) throw new Error("no tracks came")
    await listen(audio, (seconds) => clock.heardAt(seconds))
    watcher = new FlashWatcher(query("video"), video, flashed)
  },

  /** What was seen and heard so far. */
  seen(): Seen {
    return {
      ...events,
      missed: watcher?.missed ?? 0,
      outputMs: clock.heardAt(0) - clock.madeAt(0),
      claimedOutputMs: 1_000 * (detector.baseLatency + detector.outputLatency),
    }
  },

  async sample(): Promise<Sample> {
    const streams = (await room?.stats())?.receive ?? []
    return {
      atMs: Date.now(),
      audio: streams.find(({ kind }) => kind === "audio"),
      video: streams.find(({ kind }) => kind === "video"),
    }
  },
}

declare global {
  var skewBench: typeof abilities
}

globalThis.skewBench = abilities
