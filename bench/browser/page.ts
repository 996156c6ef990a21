/** What the benchmark's pages can do; main.ts calls it through `globalThis.bench`. */
import { createInvitation, joinRoom, type Room } from "holomesh"
import { findEcho, serveEcho, timeRoundTrips } from "../round-trips.ts"
import type { BenchRow } from "../subject.ts"
import { ClockPainter, ClockReader, FRAMES_PER_SECOND, type SeenNumber, wallClockError } from "./clock-picture.ts"
import { answerPlainCall, canSend, offerPlainCall, type PlainCall, plainStages } from "./plain-call.ts"

/** Milliseconds from the call of `joinRoom`. */
export interface FirstFrameTimes {
  joined: number
  track: number
  firstFrame: number
}

interface Watched {
  seen: SeenNumber[]
  width: number
  height: number
}

/** Where the time goes, as far as the side asked knows: means or current values in milliseconds. */
interface Stages {
  encodeMs?: number
  bufferMs?: number
}

/** Nothing here may wait for ever: a benchmark that hangs says nothing. */
const PATIENCE_MS = 30_000

const canvas = query("canvas")
const video = query("video")
let painter: ClockPainter | undefined
let room: Room | undefined
let plain: PlainCall | undefined

function query<K extends "canvas" | "video">(name: K): HTMLElementTagNameMap[K] {
  const element = document.querySelector(name)
  if (element === null) throw new Error(`no ${name} in the page`)
  return element
}

/** A fresh track of the painted canvas. */
function paintedTrack(): MediaStreamTrack {
  painter ??= new ClockPainter(canvas)
  const [track] = canvas.captureStream(FRAMES_PER_SECOND).getVideoTracks()
  if (track === undefined) throw new Error("the canvas gives no track")
  return track
}

function show(track: MediaStreamTrack): void {
  video.srcObject = new MediaStream([track])
}

async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer = 0
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(() => reject(new Error(`no ${what} within ${PATIENCE_MS} ms`)), PATIENCE_MS)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}

/** The first frame that the video element presents from now on. */
function nextFrame(): Promise<void> {
  return new Promise((resolve) => {
    video.requestVideoFrameCallback(() => resolve())
  })
}

const abilities = {
  canSend,
  wallClockError,

  /** With a microphone granted, the browser offers its real host addresses instead of names that have to be resolved. */
  async prepare(): Promise<void> {
    await navigator.mediaDevices.getUserMedia({ audio: true })
  },

  /** A room URL with a new secret. */
  newRoom(): string {
    return createInvitation(location.href, `bench-${Date.now().toString(36)}`).url
  },

  async publish(url: string): Promise<void> {
    room = await joinRoom(url, { name: "sender" })
    await room.publish(paintedTrack(), { source: "camera", frameRate: FRAMES_PER_SECOND })
  },

  /** Joins and resolves when the first remote frame is on the screen. */
  async receive(url: string): Promise<FirstFrameTimes> {
    const start = performance.now()
    room = await joinRoom(url, { name: "receiver" })
    const joined = performance.now() - start
    const track = await within("video track", firstTrack(room))
    const times = { joined, track: performance.now() - start, firstFrame: 0 }
    const presented = nextFrame()
    show(track)
    await within("first frame", presented)
    times.firstFrame = performance.now() - start
    return times
  },

  async answerCalls(url: string): Promise<void> {
    room = await joinRoom(url, { name: "callee" })
    serveEcho(room)
  },

  async joinCaller(url: string): Promise<void> {
    room = await joinRoom(url, { name: "caller" })
  },

  async roundTrips(size: number, together: number, ms: number): Promise<BenchRow> {
    if (room === undefined) throw new Error("not in a room")
    const peer = await within("echo", findEcho(room))
    return timeRoundTrips(room, peer, size, together, ms)
  },

  async leave(): Promise<void> {
    video.srcObject = null
    await room?.leave()
    room = undefined
  },

  async plainOffer(codec: string): Promise<string> {
    const call = await offerPlainCall(paintedTrack(), codec)
    plain = call
    return call.offer
  },

  async plainAnswer(offer: string): Promise<string> {
    const call = await within("answer", answerPlainCall(offer))
    plain = call
    show(call.track)
    return call.answer
  },

  async plainConnect(answer: string): Promise<void> {
    await plain?.connection.setRemoteDescription({ type: "answer", sdp: answer })
  },

  plainClose(): void {
    video.srcObject = null
    plain?.close()
    plain = undefined
  },

  /** Watches the video for `milliseconds`. */
  async watch(milliseconds: number): Promise<Watched> {
    const reader = new ClockReader(video)
    const seen: SeenNumber[] = []
    const end = performance.now() + milliseconds
    while (performance.now() < end) seen.push(await within("readable frame", reader.next()))
    return { seen, width: video.videoWidth, height: video.videoHeight }
  },

  /** Of the call that is under way. */
  async stages(): Promise<Stages> {
    if (plain !== undefined) return plainStages(plain.connection)
    const stats = await room?.stats()
    const encodeMs = stats?.send.find(({ kind }) => kind === "video")?.encodeMs
    const bufferMs = stats?.receive.find(({ kind }) => kind === "video")?.bufferMs
    return { ...(encodeMs !== undefined && { encodeMs }), ...(bufferMs !== undefined && { bufferMs }) }
  },

  /** When each number was drawn; forgets them. */
  takeDrawn(): [number: number, at: number][] {
    const drawn = [...(painter?.drawnAt ?? [])]
    painter?.drawnAt.clear()
    return drawn
  },
}

async function firstTrack(joined: Room): Promise<MediaStreamTrack> {
  for (const participant of joined.participants.values()) {
    const known = participant.subscriptions.find(({ kind }) => kind === "video")
    if (known !== undefined) return known.track
  }
  return new Promise((resolve) => {
    const stop = joined.on("track", ({ track }) => {
      if (track.kind !== "video") return
      stop()
      resolve(track)
    })
  })
}

declare global {
  var bench: BenchPage
}
type BenchPage = typeof abilities

globalThis.bench = abilities
