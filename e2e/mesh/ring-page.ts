/** What a page of the large-room test can do: join with few links, publish, and tell who it is linked to and what it shows. */
import { createInvitation, joinRoom, type Room } from "holomesh"

let room: Room | undefined
let frames = 0

function inRoom(): Room {
  if (room === undefined) throw new Error("not in a room")
  return room
}

function video(): HTMLVideoElement {
  const element = document.querySelector("video")
  if (element === null) throw new Error("no video in the page")
  return element
}

function movingPicture(): MediaStreamTrack {
  const canvas = document.querySelector("canvas")
  const context = canvas?.getContext("2d")
  if (canvas == null || context == null) throw new Error("no canvas in the page")
  canvas.width = 320
  canvas.height = 180
  let step = 0
  setInterval(() => {
    context.fillStyle = `hsl(${step++ % 360} 80% 50%)`
    context.fillRect(0, 0, canvas.width, canvas.height)
  }, 66)
  const [track] = canvas.captureStream().getVideoTracks()
  if (track === undefined) throw new Error("the canvas gives no track")
  return track
}

const abilities = {
  newRoom: async (): Promise<string> => (await createInvitation(location.href, "ring")).url,

  /** Joins as one that hands nothing on: whoever wants a stream needs its publisher. */
  async join(url: string, name: string, maxNeighbours: number): Promise<string> {
    room = await joinRoom(url, { name, persistentIdentity: false, relay: { enabled: false }, maxNeighbours })
    room.on("track", ({ track }) => {
      if (track.kind !== "video") return
      video().srcObject = new MediaStream([track])
    })
    const onFrame = () => {
      frames += 1
      video().requestVideoFrameCallback(onFrame)
    }
    video().requestVideoFrameCallback(onFrame)
    return room.local.id
  },

  publish: async (): Promise<void> => {
    await inRoom().publish(movingPicture(), { source: "camera", mode: "single" })
  },

  frames: (): number => frames,
  members: (): number => inRoom().participants.size + 1,
  connections: (): string[] => [...inRoom().participants.values()].map(({ connection }) => connection),

  /** Key ids of those with a direct link; whether the server is there; from whom the picture comes. */
  async seen(): Promise<{ linked: string[]; server: boolean; from: string[] }> {
    const { links, room: about, receive } = await inRoom().stats()
    const linked = links.filter(({ kind }) => kind === "direct").map(({ peer }) => peer)
    return { linked: [...new Set(linked)], server: about.serverConnected, from: receive.map(({ from }) => from) }
  },
}

type RingPage = typeof abilities

declare global {
  var ringPage: RingPage
}
globalThis.ringPage = abilities
