/** Makes the camera and microphone files of the tests: a picture that carries a number, and a tone. */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** Picture size and the layout of the code: a row of squares for the camera's number, one for the frame's. */
export const PICTURE = {
  width: 320,
  height: 180,
  framesPerSecond: 15,
  frames: 64,
  square: 32,
  left: 32,
  idTop: 24,
  frameTop: 88,
} as const
const CODE_BITS = 8
const SAMPLE_RATE = 48_000
/** Seconds from beep to beep, and of a beep. */
const BEEP_PERIOD = 0.5
const BEEP_LENGTH = 0.3

export interface Clip {
  /** 0..255, shown in the picture. */
  code: number
  /** Hertz. */
  tone: number
  video: string
  audio: string
}

/** Writes a looping y4m picture and a wav tone into `folder`. */
export function makeClip(folder: string, code: number, tone: number): Clip {
  mkdirSync(folder, { recursive: true })
  const video = join(folder, `camera-${code}.y4m`)
  const audio = join(folder, `tone-${tone}.wav`)
  writeFileSync(video, picture(code))
  writeFileSync(audio, toneFile(tone))
  return { code, tone, video, audio }
}

function picture(code: number): Uint8Array {
  const { width, height, framesPerSecond, frames } = PICTURE
  const parts: Uint8Array[] = [Buffer.from(`YUV4MPEG2 W${width} H${height} F${framesPerSecond}:1 Ip A1:1 C420jpeg\n`)]
  for (let index = 0; index < frames; index++) {
    const luma = new Uint8Array(width * height).fill(96)
    const chroma = new Uint8Array((width * height) / 2).fill(128)
    // A colour per camera and a bar that moves: something for the encoder and for the eye.
    chroma.fill(64 + ((code * 37) % 128), 0, chroma.length / 2)
    fill(luma, (index * 5) % (width - 16), 150, 16, 24, 220)
    squares(luma, PICTURE.idTop, code)
    squares(luma, PICTURE.frameTop, index)
    parts.push(Buffer.from("FRAME\n"), luma, chroma)
  }
  return Buffer.concat(parts)
}

function squares(luma: Uint8Array, top: number, value: number): void {
  const { square, left } = PICTURE
  for (let bit = 0; bit < CODE_BITS; bit++) fill(luma, left + bit * square, top, square, square, (value >> bit) & 1 ? 235 : 16)
}

function fill(luma: Uint8Array, x: number, y: number, w: number, h: number, value: number): void {
  for (let row = y; row < y + h; row++) luma.fill(value, row * PICTURE.width + x, row * PICTURE.width + x + w)
}

/** Beeps, because the browser's noise suppression takes a steady tone for noise and removes it. */
function toneFile(frequency: number): Uint8Array {
  const samples = 4 * SAMPLE_RATE
  const file = Buffer.alloc(44 + samples * 2)
  file.write("RIFF", 0)
  file.writeUInt32LE(36 + samples * 2, 4)
  file.write("WAVEfmt ", 8)
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(SAMPLE_RATE, 24)
  file.writeUInt32LE(SAMPLE_RATE * 2, 28)
  file.writeUInt16LE(2, 32)
  file.writeUInt16LE(16, 34)
  file.write("data", 36)
  file.writeUInt32LE(samples * 2, 40)
  for (let i = 0; i < samples; i++) {
    const loudness = 12_000 * beep((i / SAMPLE_RATE) % BEEP_PERIOD)
    file.writeInt16LE(Math.round(loudness * Math.sin((2 * Math.PI * frequency * i) / SAMPLE_RATE)), 44 + i * 2)
  }
  return file
}

/** Loudness at a moment of the period: on for a while, with soft edges. */
function beep(seconds: number): number {
  return seconds > BEEP_LENGTH ? 0 : Math.sin((Math.PI * seconds) / BEEP_LENGTH)
}
