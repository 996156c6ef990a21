/** Finds out what this browser lacks for a call, before anything is started. */

import { AvError } from "../wire/errors.ts"
import { canCaptureByElement } from "./capture/element-capture.ts"
import { canOutputByCanvas } from "./playout/canvas-output.ts"
import { AUDIO_SAMPLE_RATE, type MediaKind } from "./types.ts"
import { decodableCodecs, VIDEO_CODECS } from "./video-codecs.ts"

/** Names of the missing browser features, in a form that can be searched for; empty when nothing is missing. */
export interface MediaSupport {
  send: Record<MediaKind, string[]>
  receive: Record<MediaKind, string[]>
}

const LADDER = VIDEO_CODECS.map(({ name }) => name).join(", ")
const OPUS = { codec: "opus", sampleRate: AUDIO_SAMPLE_RATE, numberOfChannels: 1 }

/** Asks the browser; the real trial of the video encoder is made when a camera is published. */
export async function probeMedia(): Promise<MediaSupport> {
  const encodeVideo = (codec: string) => ({ codec, width: 640, height: 360, bitrate: 500_000, framerate: 30 })
  const [videoEncode, videoDecode, opusEncode, opusDecode] = await Promise.all([
    typeof VideoEncoder === "undefined" ? undefined : anyCodec((codec) => VideoEncoder.isConfigSupported(encodeVideo(codec))),
    typeof VideoDecoder === "undefined" ? undefined : decodableCodecs().then((names) => names.length > 0),
    typeof AudioEncoder === "undefined" ? undefined : supported(AudioEncoder.isConfigSupported({ ...OPUS, bitrate: 32_000 })),
    typeof AudioDecoder === "undefined" ? undefined : supported(AudioDecoder.isConfigSupported(OPUS)),
  ])
  const worklet = typeof AudioWorkletNode === "undefined" ? ["AudioWorklet"] : []
  return {
    send: {
      video: [
        ...codec("VideoEncoder", LADDER, videoEncode),
        ...(canCaptureByElement() ? [] : feature("MediaStreamTrackProcessor")),
      ],
      audio: [...codec("AudioEncoder", "opus", opusEncode), ...worklet],
    },
    receive: {
      video: [
        ...codec("VideoDecoder", LADDER, videoDecode),
        ...(canOutputByCanvas() ? [] : feature("MediaStreamTrackGenerator")),
      ],
      // Sound is decoded by WebAssembly where the browser has no decoder.
      audio: [...(typeof WebAssembly === "undefined" ? codec("AudioDecoder", "opus", opusDecode) : []), ...worklet],
    },
  }
}

/** @throws AvError `MediaUnsupported` naming the first missing feature */
export function requireSupport(support: MediaSupport, direction: "send" | "receive", kind: MediaKind): void {
  const missing = support[direction][kind]
  if (missing[0] === undefined) return
  const action = direction === "send" ? "send" : "receive"
  const message = `This browser cannot ${action} ${kind}: it lacks ${missing.join(" and ")}.`
  throw new AvError("MediaUnsupported", { missing: missing[0], direction, kind }, { message })
}

/** @throws AvError `MediaUnsupported` with `missing` when the global of this name is not there */
export function requireFeature(name: "MediaStreamTrackProcessor" | "MediaStreamTrackGenerator", purpose: string): void {
  if (feature(name).length === 0) return
  throw new AvError("MediaUnsupported", { missing: name }, { message: `This browser cannot ${purpose}: it lacks ${name}.` })
}

function feature(name: string): string[] {
  return name in globalThis ? [] : [name]
}

function codec(api: string, name: string, works: boolean | undefined): string[] {
  if (works === undefined) return [api]
  return works ? [] : [`${api} for ${name}`]
}

async function anyCodec(ask: (codec: string) => Promise<{ supported?: boolean }>): Promise<boolean> {
  const answers = await Promise.all(VIDEO_CODECS.map(({ codec: name }) => supported(ask(name))))
  return answers.includes(true)
}

async function supported(answer: Promise<{ supported?: boolean }>): Promise<boolean> {
  return (await answer.catch(() => undefined))?.supported === true
}
