/** What the pages of the network benchmark can do; the calls of calls.ts use it through `globalThis.networkBench`. */
import { createInvitation, joinRoom, type ReceiveStreamStats, type Room } from "holomesh"
import { wallClock, wallClockError } from "../browser/clock-picture.ts"
import { FRAMES_PER_SECOND, MovingPainter } from "./moving-picture.ts"
import { answerBulk, answerRtp, offerBulk, offerRtp, type PlainSide } from "./plain.ts"
import { type Sighting, type Watched, Watcher } from "./watcher.ts"

/** Counters of one side since the start of the call. */
export interface Counters {
  /** Video out of the encoder, without headers, repair and repetition. */
  encodedBytes: number
  /** Where the sender cannot tell: video that arrived at the first attempt. */
  arrivedBytes?: number
  concealedMs: number
  heardMs: number
  /** What the call says of itself. */
  encoderTarget?: number
  lanes?: number
  repairPercent?: number
  /** Video frames by the time from capture until the last part needed was there, in steps of 10 ms. */
  transit?: readonly number[]
  /** Video frames that came completely, and that never did. */
  frames?: number
}

/** Nothing here may wait for ever: a benchmark that hangs says nothing. */
const PATIENCE_MS = 30_000

const canvas = query("canvas")
const video = query("video")
const sound = new AudioContext()
const sides = new Map<string, PlainSide>()
let painter: MovingPainter | undefined
let room: Room | undefined
let watcher: Watcher | undefined
let heardFrom = 0

function query<K extends "canvas" | "video">(name: K): HTMLElementTagNameMap[K] {
  const element = document.querySelector(name)
  if (element === null) throw new Error(`no ${name} in the page`)
  return element
}

function paintedTrack(): MediaStreamTrack {
  painter ??= new MovingPainter(canvas, wallClock)
  // With a frame rate given, the browser leaves out pictures that come a little early.
  const [track] = canvas.captureStream().getVideoTracks()
  if (track === undefined) throw new Error("the canvas gives no track")
  return track
}

/** A tone that swells and fades: always sound, never silence. */
function toneTrack(): MediaStreamTrack {
  const out = sound.createMediaStreamDestination()
  const [tone, swell, loudness] = [sound.createOscillator(), sound.createOscillator(), sound.createGain()]
  tone.frequency.value = 440
  swell.frequency.value = 3
  loudness.gain.value = 0.3
  const depth = new GainNode(sound, { gain: 0.15 })
  swell.connect(depth).connect(loudness.gain)
  tone.connect(loudness).connect(out)
  tone.start()
  swell.start()
  return out.stream.getAudioTracks()[0] as MediaStreamTrack
}

function watch(track: MediaStreamTrack): void {
  watcher = new Watcher(video, track, wallClock)
  heardFrom = performance.now()
}

function keep(name: string, side: PlainSide): string {
  sides.set(name, side)
  return side.sdp
}

const abilities = {
  wallClock,
  wallClockError,

  /** With a microphone granted, the browser offers its real addresses. */
  async prepare(): Promise<void> {
    await navigator.mediaDevices.getUserMedia({ audio: true })
    await sound.resume()
  },

  newRoom(): string {
    return createInvitation(location.href, `bench-${Date.now().toString(36)}`).url
  },

  async publish(url: string, maxBitrate: number): Promise<void> {
    room = await joinRoom(url, { name: "sender" })
    await room.publish(toneTrack(), { source: "microphone" })
    await room.publish(paintedTrack(), { source: "camera", frameRate: FRAMES_PER_SECOND, maxBitrate })
  },

  /** Joins; watching begins when the remote video track is there. */
  async receive(url: string): Promise<void> {
    room = await joinRoom(url, { name: "receiver" })
    const joined = room
    const known = [...joined.participants.values()].flatMap(({ subscriptions }) => subscriptions)
    const track = known.find(({ kind }) => kind === "video")?.track ?? (await within("video track", nextVideoTrack(joined)))
    watch(track)
  },

  async offer(kind: "rtp" | "bulk", maxBitrate: number): Promise<string> {
    return keep(kind, kind === "bulk" ? await offerBulk() : await offerRtp(paintedTrack(), toneTrack(), maxBitrate))
  },

  async answer(kind: "rtp" | "bulk", offer: string): Promise<string> {
    if (kind === "bulk") return keep(kind, await answerBulk(offer))
    const side = await answerRtp(offer)
    watch(side.video)
    // A sound that nobody plays is never decoded.
    new MediaStreamAudioSourceNode(sound, { mediaStream: new MediaStream([side.audio]) })
    const element = new Audio()
    element.srcObject = new MediaStream([side.audio])
    element.muted = true
    await element.play()
    return keep(kind, side)
  },

  async connect(kind: "rtp" | "bulk", answer: string): Promise<void> {
    await sides.get(kind)?.connection.setRemoteDescription({ type: "answer", sdp: answer })
  },

  /** Ms until the sender's target lies within these bounds, bit/s; NaN for a call that does not tell, and when time is up. */
  async targetReaches(least: number, most: number, patienceMs: number): Promise<number> {
    const begin = performance.now()
    while (room !== undefined && performance.now() - begin < patienceMs) {
      const rate = (await room.stats()).links.find(({ kind }) => kind === "direct")?.rate
      if (rate !== undefined && rate >= least && rate <= most) return performance.now() - begin
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    return Number.NaN
  },

  /** Bytes that the competing transfer has brought so far. */
  async bulkBytes(): Promise<number> {
    let bytes = 0
    for (const entry of (await sides.get("bulk")?.connection.getStats())?.values() ?? []) {
      if (entry.type === "transport") bytes += entry.bytesReceived ?? 0
    }
    return bytes
  },

  closeSide(kind: "rtp" | "bulk"): void {
    sides.get(kind)?.connection.close()
    sides.delete(kind)
  },

  async end(): Promise<void> {
    watcher?.close()
    watcher = undefined
    for (const { connection } of sides.values()) connection.close()
    sides.clear()
    await room?.leave()
    room = undefined
  },

  take(): Watched | undefined {
    return watcher?.take()
  },

  /** When each number was drawn; forgets them. */
  takeDrawn(): Sighting[] {
    const drawn = [...(painter?.drawnAt ?? [])]
    painter?.drawnAt.clear()
    return drawn
  },

  async counters(): Promise<Counters> {
    const side = sides.get("rtp")
    return side === undefined ? roomCounters() : rtpCounters(side.connection)
  },
}

async function rtpCounters(connection: RTCPeerConnection): Promise<Counters> {
  const counters: Counters = { encodedBytes: 0, concealedMs: 0, heardMs: 0 }
  for (const entry of (await connection.getStats()).values()) {
    if (entry.type === "outbound-rtp" && entry.kind === "video") {
      counters.encoderTarget = entry.targetBitrate
    }
    if (entry.type === "inbound-rtp" && entry.kind === "video") {
      // The sender's bytesSent holds error correction, probes and repetitions; here they can be told apart.
      counters.arrivedBytes = entry.bytesReceived - (entry.retransmittedBytesReceived ?? 0) - (entry.fecBytesReceived ?? 0)
    }
    if (entry.type === "inbound-rtp" && entry.kind === "audio") {
      counters.concealedMs = ((entry.concealedSamples ?? 0) - (entry.silentConcealedSamples ?? 0)) / 48
      counters.heardMs = (entry.totalSamplesReceived ?? 0) / 48
    }
  }
  return counters
}

async function roomCounters(): Promise<Counters> {
  const stats = await room?.stats()
  const sent = stats?.send.find(({ kind }) => kind === "video")
  const link = stats?.links.find(({ kind }) => kind === "direct")
  const seen = stats?.receive.find(({ kind }) => kind === "video")
  const heard: (ReceiveStreamStats & { concealedMs?: number }) | undefined = stats?.receive.find(({ kind }) => kind === "audio")
  return {
    encodedBytes: sent?.encodedBytes ?? 0,
    // Without a figure of the player, a frame that never came is 20 ms.
    concealedMs: heard?.concealedMs ?? (heard?.lostFrames ?? 0) * 20,
    heardMs: heardFrom === 0 ? 0 : performance.now() - heardFrom,
    ...(sent?.targetBitrate !== undefined && { encoderTarget: sent.targetBitrate }),
    ...(link !== undefined && { lanes: link.lanes.filter(({ role, state }) => role === "video" && state === "open").length }),
    ...(link?.repairPct !== undefined && { repairPercent: link.repairPct }),
    ...(seen !== undefined && { transit: seen.transit, frames: seen.frames + seen.lostFrames }),
  }
}

function nextVideoTrack(joined: Room): Promise<MediaStreamTrack> {
  return new Promise((resolve) => {
    const stop = joined.on("track", ({ track }) => {
      if (track.kind !== "video") return
      stop()
      resolve(track)
    })
  })
}

async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer = 0
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error(`no ${what} within ${PATIENCE_MS} ms`)), PATIENCE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

declare global {
  var networkBench: typeof abilities
}

globalThis.networkBench = abilities
