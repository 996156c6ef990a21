/** A page that publishes a picture and a tone, or records those who do and looks at what the file holds. */
import {
  createInvitation,
  isAvError,
  joinRoom,
  type Publication,
  type RecordingResult,
  type RecordOptions,
  type Room,
} from "holomesh"
import { ALL_FORMATS, BlobSource, Input } from "mediabunny"

const SIZE = { width: 160, height: 120 }
const PICTURES_A_SECOND = 10

let room: Room | undefined
let isRecording = false

function live(): Room {
  if (room === undefined) throw new Error("not in a room")
  return room
}

/** Red for the first seconds after the call, blue afterwards: places in a recording can be told apart. */
function paint(): { track: MediaStreamTrack; turnBlue(): void } {
  const canvas = Object.assign(document.createElement("canvas"), SIZE)
  const context = canvas.getContext("2d")
  let [turn, colour] = [0, "rgb(220 20 20)"]
  setInterval(() => {
    if (context === null) return
    turn += 1
    context.fillStyle = colour
    context.fillRect(0, 0, SIZE.width, SIZE.height)
    context.fillStyle = "white"
    context.fillRect((turn * 3) % SIZE.width, 100, 8, 8)
  }, 1_000 / PICTURES_A_SECOND)
  const track = canvas.captureStream(PICTURES_A_SECOND).getVideoTracks()[0] as MediaStreamTrack
  const turnBlue = () => {
    colour = "rgb(20 20 220)"
  }
  return { track, turnBlue }
}

function tone(): MediaStreamTrack {
  const context = new AudioContext()
  const destination = context.createMediaStreamDestination()
  const oscillator = new OscillatorNode(context, { frequency: 440 })
  oscillator.connect(new GainNode(context, { gain: 0.3 })).connect(destination)
  oscillator.start()
  return destination.stream.getAudioTracks()[0] as MediaStreamTrack
}

let blue = () => {}
let microphone: Publication | undefined

const event = (target: EventTarget, name: string) =>
  new Promise<void>((resolve, reject) => {
    target.addEventListener(name, () => resolve(), { once: true })
    setTimeout(() => reject(new Error(`no ${name}`)), 10_000)
  })

/** What a player finds at once, and what it shows where it jumps to. */
async function play(file: File, places: readonly number[]) {
  const video = document.createElement("video")
  video.muted = true
  video.preload = "auto"
  video.src = URL.createObjectURL(file)
  await event(video, "loadeddata")
  const { duration, videoWidth: width, videoHeight: height } = video
  const canvas = Object.assign(document.createElement("canvas"), { width, height })
  const context = canvas.getContext("2d")!
  const colours: { red: number; blue: number }[] = []
  for (const place of places) {
    video.currentTime = place
    await event(video, "seeked")
    context.drawImage(video, 0, 0)
    const [red = 0, , blueness = 0] = context.getImageData(width / 2, height / 3, 1, 1).data
    colours.push({ red, blue: blueness })
  }
  return { duration: Number.isFinite(duration) ? duration : -1, width, height, colours }
}

/** As the file itself says: nothing of it is played. */
async function read(file: File) {
  const input = new Input({ formats: ALL_FORMATS, source: new BlobSource(file) })
  const [video, audio] = [await input.getPrimaryVideoTrack(), await input.getPrimaryAudioTrack()]
  const of = async (track: typeof video | typeof audio) => {
    const { packetCount = 0 } = (await track?.computePacketStats()) ?? {}
    return { packets: packetCount, seconds: (await track?.computeDuration()) ?? 0 }
  }
  return { mimeType: await input.getMimeType(), video: await of(video), audio: await of(audio) }
}

/** Root mean square of each second of the sound. */
async function loudness(file: File): Promise<number[]> {
  const context = new OfflineAudioContext(1, 48_000, 48_000)
  const sound = (await context.decodeAudioData(await file.arrayBuffer())).getChannelData(0)
  const seconds = Math.floor(sound.length / 48_000)
  return Array.from({ length: seconds }, (_, second) => {
    const part = sound.subarray(second * 48_000, (second + 1) * 48_000)
    return Math.sqrt(part.reduce((sum, sample) => sum + sample * sample, 0) / part.length)
  })
}

const abilities = {
  newRoom: async (name: string): Promise<string> => (await createInvitation(location.href, name)).url,

  async join(url: string, name: string): Promise<void> {
    room = await joinRoom(url, { name, relay: { enabled: false } })
  },

  async publish(): Promise<void> {
    const { track, turnBlue } = paint()
    blue = turnBlue
    await live().publish(track, { source: "camera", mode: "single", maxBitrate: 200_000 })
    ;[microphone] = await live().publish(tone(), { source: "microphone" })
  },

  turnBlue: () => blue(),

  /** Those whose picture and sound are here. */
  seen: () => [...live().participants.values()].filter(({ subscriptions }) => subscriptions.length >= 2).map(({ name }) => name),

  isRecording: () => isRecording,

  /** Records for so long, with what is asked for in the middle, and looks at the file. */
  async record(ms: number, options: RecordOptions & { only?: string }, places: number[]) {
    const { only, ...rest } = options
    const participants = only === undefined ? undefined : ({ name }: { name: string }) => name === only
    const recording = await live().record({
      width: 320,
      height: 240,
      frameRate: 10,
      self: false,
      labels: false,
      ...rest,
      ...(participants && { participants }),
    })
    isRecording = true
    await new Promise((resolve) => setTimeout(resolve, ms))
    isRecording = false
    const result: RecordingResult = await recording.stop()
    const again = await recording.stop()
    const { file, durationMs, seekable } = result
    return {
      same: again === result,
      name: file.name,
      type: file.type,
      size: file.size,
      durationMs,
      seekable,
      played: await play(file, places),
      said: await read(file),
      loudness: await loudness(file),
    }
  },

  /** How loud one's own microphone is in one's own recording, second by second: muted, then not. */
  async ownLoudness(): Promise<{ muted: number[]; heard: number[] }> {
    const listen = async () => {
      const recording = await live().record({ width: 160, height: 120, participants: () => false })
      await new Promise((resolve) => setTimeout(resolve, 2_500))
      return loudness((await recording.stop()).file)
    }
    await microphone?.mute()
    const muted = await listen()
    await microphone?.unmute()
    return { muted, heard: await listen() }
  },

  async cancelled(): Promise<string | undefined> {
    const recording = await live().record({ self: false })
    recording.cancel()
    try {
      await recording.stop()
      return undefined
    } catch (error) {
      if (isAvError(error)) return error.code
      throw error
    }
  },

  leave: () => live().leave(),
}

declare global {
  var recordingPage: typeof abilities
}
globalThis.recordingPage = abilities
