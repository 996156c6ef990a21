/** A page that shares what it recorded with the room's memory, or gets it from there. */
import { createInvitation, isAvError, joinRoom, type MemoryItem, type Room } from "holomesh"

/** A picture small enough that five pages of it cost nothing. */
const SIZE = { width: 64, height: 48, frameRate: 5 }

let room: Room | undefined

function live(): Room {
  if (room === undefined) throw new Error("not in a room")
  return room
}

function paint(): MediaStreamTrack {
  const canvas = document.createElement("canvas")
  canvas.width = SIZE.width
  canvas.height = SIZE.height
  const context = canvas.getContext("2d")
  let turn = 0
  setInterval(() => {
    if (context === null) return
    turn += 1
    context.fillStyle = `hsl(${turn * 20} 80% 50%)`
    context.fillRect(0, 0, SIZE.width, SIZE.height)
    context.fillStyle = "white"
    context.fillRect(turn % SIZE.width, 10, 8, 8)
  }, 1_000 / SIZE.frameRate)
  return canvas.captureStream(SIZE.frameRate).getVideoTracks()[0] as MediaStreamTrack
}

async function digest(blob: Blob): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer())
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("")
}

/** The picture size and length that a player finds in it. */
async function play(blob: Blob): Promise<{ width: number; height: number; shown: number }> {
  const video = document.createElement("video")
  video.muted = true
  video.src = URL.createObjectURL(blob)
  let shown = 0
  const count = () => {
    shown += 1
    video.requestVideoFrameCallback(count)
  }
  video.requestVideoFrameCallback(count)
  await video.play()
  await new Promise((resolve) => {
    video.onended = resolve
    setTimeout(resolve, 4_000)
  })
  return { width: video.videoWidth, height: video.videoHeight, shown }
}

/** An item as it crosses to the test. */
export interface Seen {
  id: string
  name: string
  size: number
  readable: boolean
  /** Key ids without whom it is lost. */
  needed: string[]
  holders: { id: string; share: number }[]
}

const seen = ({ id, name, size, readable, needed, holders }: MemoryItem): Seen => ({
  id,
  name,
  size,
  readable,
  needed: [...needed],
  holders: holders.map(({ id: holder, share }) => ({ id: holder, share })),
})

const abilities = {
  newRoom: async (name: string): Promise<string> => (await createInvitation(location.href, name)).url,

  async join(url: string, name: string): Promise<string> {
    room = await joinRoom(url, { name, relay: { enabled: false } })
    return room.local.id
  },

  members: () => live().participants.size + 1,

  async publish(): Promise<void> {
    await live().publish(paint(), { source: "camera", mode: "single", maxBitrate: 60_000 })
  },

  /** Records what this page sees, and shares it. */
  async record(ms: number, name: string): Promise<{ item: Seen; digest: string; progress: number[] }> {
    const recording = await live().record({ width: 160, height: 120, frameRate: SIZE.frameRate })
    await new Promise((resolve) => setTimeout(resolve, ms))
    const { file, durationMs } = await recording.stop()
    const progress: number[] = []
    const item = await live().memory.put(file, { name, kind: "recording", durationMs, onProgress: (done) => progress.push(done) })
    return { item: seen(item), digest: await digest(file), progress }
  },

  async put(bytes: number, name: string): Promise<{ item: Seen; digest: string }> {
    const content = new Uint8Array(bytes)
    for (let at = 0; at < bytes; at += 65_536) crypto.getRandomValues(content.subarray(at, Math.min(bytes, at + 65_536)))
    const file = new File([content], name)
    return { item: seen(await live().memory.put(file)), digest: await digest(file) }
  },

  list: async (): Promise<Seen[]> => (await live().memory.list()).map(seen),

  async get(id: string): Promise<{ digest: string; name: string } | { code: string }> {
    try {
      const file = await live().memory.get(id)
      return { digest: await digest(file), name: file.name }
    } catch (error) {
      if (isAvError(error)) return { code: error.code }
      throw error
    }
  },

  play: async (id: string) => play(await live().memory.get(id)),

  async revoke(id: string): Promise<string | undefined> {
    try {
      await live().memory.revoke(id)
      return undefined
    } catch (error) {
      if (isAvError(error)) return error.code
      throw error
    }
  },

  usage: () => live().memory.usage(),
  leave: () => live().leave(),
}

declare global {
  var memoryPage: typeof abilities
}
globalThis.memoryPage = abilities
