/** The video codecs we send, best first, and which of them this browser can show. */

export type VideoCodecName = "av1" | "vp9" | "vp8" | "h264"

interface VideoCodec {
  readonly name: VideoCodecName
  /** WebCodecs codec string, as it stands in the descriptor. */
  readonly codec: string
}

/**
 * AV1 Main, VP9 profile 0, VP8, H.264 Constrained Baseline, all at levels that allow 1080p30. Each needs less time than the one
 * before it, and more bits for the same picture.
 */
export const VIDEO_CODECS: readonly VideoCodec[] = [
  { name: "av1", codec: "av01.0.08M.08" },
  { name: "vp9", codec: "vp09.00.40.08" },
  { name: "vp8", codec: "vp8" },
  { name: "h264", codec: "avc1.42E028" },
]

/** The codec of a WebCodecs codec string; undefined for one that is not on our ladder. */
export function codecNameOf(codec: string): VideoCodecName | undefined {
  const family = codec.split(".")[0]
  if (family === "av01") return "av1"
  if (family === "vp09") return "vp9"
  if (family === "vp8") return "vp8"
  return family === "avc1" || family === "avc3" ? "h264" : undefined
}

/** First part of the codec string: how a member names what it can show. */
export function familyOf(name: VideoCodecName): string {
  const { codec } = VIDEO_CODECS.find((entry) => entry.name === name)!
  return codec.split(".")[0]!
}

/** The codecs of our ladder among what another member says that it can show. */
export function codecsNamed(families: readonly string[]): VideoCodecName[] {
  return VIDEO_CODECS.flatMap(({ name }) => (families.some((family) => codecNameOf(family) === name) ? [name] : []))
}

/** What remains of the ladder below this codec; empty at its end. */
export function codecsBelow(name: VideoCodecName): VideoCodecName[] {
  const names = VIDEO_CODECS.map((entry) => entry.name)
  return names.slice(names.indexOf(name) + 1)
}

/** The codecs a stream of ours may have to be shown here. Asks only: a decoder that fails all the same says so when it does. */
export async function decodableCodecs(): Promise<VideoCodecName[]> {
  if (typeof VideoDecoder === "undefined") return []
  const answers = await Promise.all(
    VIDEO_CODECS.map(({ codec }) =>
      VideoDecoder.isConfigSupported({ codec }).then(
        ({ supported }) => supported === true,
        () => false,
      ),
    ),
  )
  return VIDEO_CODECS.flatMap(({ name }, index) => (answers[index] ? [name] : []))
}

/** The codecs that we can decode without the browser's help. Whether the module really runs shows when it is loaded. */
export function softwareCodecs(): VideoCodecName[] {
  return typeof WebAssembly === "undefined" || typeof VideoFrame === "undefined" ? [] : ["av1"]
}
