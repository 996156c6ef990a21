/** A track of another member: the streams it consists of, and which of them this page can choose among. */
import { codecNameOf, VIDEO_CODECS, type VideoCodecName } from "../media/video-codecs.ts"
import { type AvError, isAvError } from "../wire/errors.ts"
import type { TrackState } from "../wire/index.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { type RemoteStream, readRemoteStream } from "./descriptors.ts"

export interface RemoteTrack {
  label: string
  kind: "audio" | "video"
  source: TrackState["source"]
  muted: boolean
  streams: RemoteStream[]
}

/**
 * Reads a track of a member's state. `refused` hears of descriptors that do not hold: such a stream does not exist for us, the
 * others do.
 */
export function readRemoteTrack(
  track: TrackState,
  publisher: PeerKeyId,
  roomId: Bytes,
  refused: (error: AvError) => void,
): RemoteTrack {
  const { label, kind, source, muted } = track
  const streams = track.streams.flatMap((descriptor): RemoteStream[] => {
    try {
      const stream = readRemoteStream(descriptor, publisher, roomId, label)
      return stream.kind === kind ? [stream] : []
    } catch (error) {
      if (!isAvError(error)) throw error
      refused(error)
      return []
    }
  })
  return { label, kind, source, muted, streams }
}

/**
 * The streams to choose among: all rungs or all descriptions in the best codec this page can show, each once. Empty when it can
 * show none.
 *
 * @param decodes codecs this page can show; undefined: not known yet, everything is tried
 * @param ownDecoders codecs that only a decoder of ours shows: taken where there is nothing else
 */
export function choosable(
  track: Pick<RemoteTrack, "kind" | "streams">,
  decodes: readonly VideoCodecName[] | undefined,
  ownDecoders: readonly VideoCodecName[] = [],
): RemoteStream[] {
  if (track.kind === "audio") return track.streams.slice(0, 1)
  const ladder = VIDEO_CODECS.map(({ name }) => name)
  for (const name of [...ladder.filter((each) => decodes?.includes(each) ?? true), ...ownDecoders]) {
    const inCodec = track.streams.filter((stream) => codecNameOf(stream.codec) === name)
    const descriptions = inCodec.filter((stream) => stream.description !== undefined)
    const found = descriptions.length > 0 ? descriptions : inCodec
    const same = (a: RemoteStream, b: RemoteStream) => a.spatial === b.spatial && a.description === b.description
    if (found.length > 0) return found.filter((stream) => found.find((other) => same(other, stream)) === stream)
  }
  // A codec that we have no name for: the decoder decides.
  const unnamed = track.streams.filter((stream) => codecNameOf(stream.codec) === undefined)
  return unnamed.slice(0, 1)
}
