/** What a page of the mesh test can do: publish a coded picture, or watch one and note when its frames are rendered. */
import {
  createInvitation,
  type JoinOptions,
  joinRoom,
  type Publication,
  type PublishOptions,
  type Room,
  type RoomStats,
} from "holomesh"

/** As in the clips of the other tests, which are made outside the browser. */
const PICTURE = { width: 320, height: 180, framesPerSecond: 15, square: 32, left: 32, idTop: 24, frameTop: 88 } as const
const NUMBERS = 256
const EVERY_MS = 1_000 / PICTURE.framesPerSecond

/** What a viewer saw of the publisher's picture. */
export interface Sight {
  /** Number of the camera as it is in the picture; undefined when nothing can be read. */
  code: number | undefined
  frames: number
  /** Longest time between two rendered frames since the last `mark`, that since the last frame included; ms. */
  longestGapMs: number
}

const canvas = query("canvas")
const video = query("video")
let room: Room | undefined
let camera: Publication | undefined
let frames = 0
let lastAt = 0
let longest = 0
const warnings: string[] = []

function query<K extends "canvas" | "video">(name: K): HTMLElementTagNameMap[K] {
  const element = document.querySelector(name)
  if (element === null) throw new Error(`no ${name} in the page`)
  return element
}

function paint(code: number): MediaStreamTrack {
  canvas.width = PICTURE.width
  canvas.height = PICTURE.height
  const context = canvas.getContext("2d")
  if (context === null) throw new Error("no 2d context")
  let number = 0
  const row = (top: number, value: number) => {
    for (let bit = 0; bit < 8; bit++) {
      context.fillStyle = (value >> bit) & 1 ? "#fff" : "#000"
      context.fillRect(PICTURE.left + bit * PICTURE.square, top, PICTURE.square, PICTURE.square)
    }
  }
  setInterval(() => {
    context.fillStyle = "#666"
    context.fillRect(0, 0, PICTURE.width, PICTURE.height)
    number = (number + 1) % NUMBERS
    row(PICTURE.idTop, code)
    row(PICTURE.frameTop, number)
  }, EVERY_MS)
  const [track] = canvas.captureStream().getVideoTracks()
  if (track === undefined) throw new Error("the canvas gives no track")
  return track
}

function tone(): MediaStreamTrack {
  const context = new AudioContext()
  const out = context.createMediaStreamDestination()
  const oscillator = new OscillatorNode(context, { frequency: 440 })
  oscillator.connect(out)
  oscillator.start()
  return out.stream.getAudioTracks()[0] as MediaStreamTrack
}

/** The code that the rendered picture shows. */
function readCode(): number | undefined {
  if (video.readyState < 2 || video.videoWidth === 0) return undefined
  canvas.width = PICTURE.width
  canvas.height = PICTURE.height
  const context = canvas.getContext("2d", { willReadFrequently: true })
  if (context === null) return undefined
  context.drawImage(video, 0, 0, PICTURE.width, PICTURE.height)
  let value = 0
  for (let bit = 0; bit < 8; bit++) {
    const x = PICTURE.left + bit * PICTURE.square + PICTURE.square / 2
    const [luma = 128] = context.getImageData(x, PICTURE.idTop + PICTURE.square / 2, 1, 1).data
    if (luma > 80 && luma < 170) return undefined
    if (luma >= 170) value |= 1 << bit
  }
  return value
}

function onFrame(now: number): void {
  if (frames > 0) longest = Math.max(longest, now - lastAt)
  frames += 1
  lastAt = now
  video.requestVideoFrameCallback(onFrame)
}

/** Key ids of those who feed the picture, and whom this page hands it on to. */
export interface Place {
  id: string
  parents: RoomStats["receive"][number]["parents"]
  /** Members this page sends the picture to, whether it is its own or handed on. */
  children: string[]
  counts: RoomStats["relay"]["parents"]
}

/** Pictures since the page joined. */
export interface FrameCounts {
  encoded: number
  received: number
  decoded: number
}

const abilities = {
  newRoom: async (): Promise<string> => (await createInvitation(location.href, "mesh")).url,

  async publish(url: string, code: number, copies: number, more: Pick<PublishOptions, "codecs"> = {}): Promise<string> {
    room = await joinRoom(url, { name: "publisher", persistentIdentity: false, relay: { maxSubscribers: copies } })
    const [published] = await room.publish(paint(code), { source: "camera", mode: "single", ...more })
    camera = published
    await room.publish(tone(), { source: "microphone" })
    return room.local.id
  },

  async watch(url: string, name: string, relays: boolean, more: Pick<JoinOptions, "workers"> = {}): Promise<string> {
    room = await joinRoom(url, { name, persistentIdentity: false, relay: { enabled: relays }, ...more })
    room.on("warning", ({ error }) => warnings.push(error.code))
    room.on("track", ({ track }) => {
      if (track.kind === "video") video.srcObject = new MediaStream([track])
    })
    for (const { subscriptions } of room.participants.values()) {
      for (const { track } of subscriptions) if (track.kind === "video") video.srcObject = new MediaStream([track])
    }
    video.requestVideoFrameCallback(onFrame)
    return room.local.id
  },

  sight: (): Sight => ({
    code: readCode(),
    frames,
    longestGapMs: frames === 0 ? Number.POSITIVE_INFINITY : Math.max(longest, performance.now() - lastAt),
  }),

  /** From here on gaps count. */
  mark(): void {
    longest = 0
    lastAt = Math.max(lastAt, performance.now() - EVERY_MS)
  },

  async place(): Promise<Place> {
    if (room === undefined) throw new Error("not in a room")
    const { receive, send, relay } = await room.stats()
    const streams = [...receive, ...send].filter(({ kind }) => kind === "video").map(({ streamId }) => streamId)
    const own = send.filter(({ kind }) => kind === "video").flatMap(({ subscribers }) => subscribers)
    const handed = relay.streams.filter(({ streamId }) => streams.includes(streamId)).flatMap(({ children }) => children)
    return {
      id: room.local.id,
      parents: receive.find(({ kind }) => kind === "video")?.parents ?? [],
      children: [...own, ...handed.map(({ peer }) => peer)],
      counts: relay.parents,
    }
  },

  pause: async (paused: boolean): Promise<void> => (paused ? camera?.mute() : camera?.unmute()),

  async frames(): Promise<FrameCounts> {
    const stats = await room?.stats()
    const picture = stats?.receive.find(({ kind }) => kind === "video")
    const encoded = stats?.send.find(({ kind }) => kind === "video")?.frames ?? 0
    return { encoded, received: picture?.frames ?? 0, decoded: picture?.decodedFrames ?? 0 }
  },

  async sent(): Promise<{ bytes: number; at: number }> {
    const stats = await room?.stats()
    const lanes = stats?.links.flatMap((link) => link.lanes) ?? []
    return { bytes: lanes.reduce((sum, { sentBytes }) => sum + sentBytes, 0), at: performance.now() }
  },

  /** What leaves this page, for looking into a run that went wrong. */
  async raw(): Promise<string> {
    const stats = await room?.stats()
    const links = stats?.links.map(({ rate, queueMs, shedPct, lossPct, mode, drops }) => ({
      rate,
      queueMs,
      shedPct,
      lossPct,
      mode,
      drops,
    }))
    return JSON.stringify(
      { room: stats?.room, links, send: stats?.send, receive: stats?.receive, stages: stats?.stages, relay: stats?.relay },
      (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value),
    )
  },

  /** What the room would send with a bug report: its last events are in it. */
  log: (): Promise<string> | undefined => room?.diagnostics(),

  /** Codes of the warnings of a viewer's room. */
  warnings: (): string[] => warnings,
  state: (): string | undefined => room?.state,

  leave: (): Promise<void> | undefined => room?.leave(),
}

type MeshPage = typeof abilities

declare global {
  var meshPage: MeshPage
}
globalThis.meshPage = abilities
