/** What the pages of the skew benchmark can do; run.ts uses it through `globalThis.skewBench`. */
import { createInvitation, joinRoom, type ReceiveStreamStats, type Room } from "holomesh"
import { watchBeeps } from "./beep-watcher.ts"
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
/** What an element takes to hand the sound of a track to the loudspeaker; no interface says it, and holomesh reckons with the same. */
const ELEMENT_MS = 20
/** A context that says how far away the loudspeaker is. */
const output = new AudioContext({ sampleRate: 48_000, latencyHint: "interactive" })
const clock = new ContextClock(output)
let watcher: FlashWatcher | undefined
let room: Room | undefined

/** Page time as time on the clock that all processes of the machine share, roughly. */
const shared = (pageMs: number) => performance.timeOrigin + pageMs

function query<K extends "canvas" | "video">(name: K): HTMLElementTagNameMap[K] {
  const element = document.querySelector(name)
  if (element === null) throw new Error(`no ${name} in the page`)
  return element
}

/** @param laterMs what lies between the track and the ear */
function listen(audio: MediaStreamTrack, laterMs: () => number): void {
  void watchBeeps(audio.clone(), eventClock, (atMs) => {
    events.beeps.push(shared(atMs + laterMs()))
  })
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
    await output.resume()
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
    listen(audio, () => 0)
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
    listen(audio, () => clock.outputMs + ELEMENT_MS)
    watcher = new FlashWatcher(query("video"), video, flashed)
  },

  /** What was seen and heard so far. */
  seen(): Seen {
    return {
      ...events,
      missed: watcher?.missed ?? 0,
      outputMs: clock.outputMs,
      claimedOutputMs: 1_000 * (output.baseLatency + output.outputLatency),
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
