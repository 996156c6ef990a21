/** Which video codec a publisher uses when its receivers differ in what they can show. */
import type { VideoCodecName } from "../media/video-codecs.ts"

export interface CodecMix {
  /** The streams of the track may use these; best first. */
  main: VideoCodecName[]
  /** A small second encoding for those who can show none of {@link main}; absent when nobody needs it. */
  second?: VideoCodecName[]
}

/**
 * The best codec that everybody can show. Where at least half can show a better one and this machine has the time for it, they get
 * the better one and the rest a second encoding.
 *
 * @param available codecs this machine may encode with, best first
 * @param audience what each receiver can show; undefined: it did not say, and is taken to show everything
 */
export function chooseMix(
  available: readonly VideoCodecName[],
  audience: readonly (readonly VideoCodecName[] | undefined)[],
  affordsSecond: boolean,
): CodecMix {
  const shows = (receiver: readonly VideoCodecName[] | undefined, codec: VideoCodecName) => receiver?.includes(codec) ?? true
  // Who can show nothing we make must not decide what the others get.
  const reachable = audience.filter((receiver) => available.some((codec) => shows(receiver, codec)))
  const showing = (codec: VideoCodecName) => reachable.filter((receiver) => shows(receiver, codec))
  const common = available.filter((codec) => showing(codec).length === reachable.length)
  const better = available.find((codec) => 2 * showing(codec).length >= reachable.length)
  if (better === undefined || common.includes(better)) return { main: common.length > 0 ? common : [...available] }
  const majority = showing(better)
  const minority = reachable.filter((receiver) => !shows(receiver, better))
  const second = available.filter((codec) => minority.every((receiver) => shows(receiver, codec)))
  const main = available.filter((codec) => majority.every((receiver) => shows(receiver, codec)))
  if ((!affordsSecond && common.length > 0) || second.length === 0) return { main: common.length > 0 ? common : main }
  return { main, second }
}
