/** A stream of another member as its state lists it. For tests only. */
import type { RemoteStream } from "./descriptors.ts"

/** @param number fills the stream id; 1..255 */
export function testStream(number: number, more: Partial<RemoteStream> = {}): RemoteStream {
  return {
    streamId: new Uint8Array(32).fill(number),
    streamKey: number.toString(16).padStart(2, "0").repeat(32),
    label: "cam",
    kind: "video",
    codec: "av01.0.08M.08",
    codecId: 1,
    sealProfile: 1,
    fountain: true,
    temporalLayers: 2,
    channels: 1,
    spatial: 0,
    width: 320,
    height: 180,
    ...more,
  }
}
