/** The parts of a room that need a camera, a screen or loudspeakers, where there are none. */
import type { AudioEngine } from "../media/index.ts"
import type { PublishApi } from "../pipeline/publish/types.ts"
import type { ReceiveApi } from "../pipeline/receive/types.ts"
import { AvError } from "../wire/errors.ts"

const NO_MEDIA = "Node has no cameras and no loudspeakers: it hands on what others publish."

function unsupported(): AvError {
  return new AvError("MediaUnsupported", { missing: "media devices" }, { message: NO_MEDIA })
}

async function refuse(): Promise<never> {
  throw unsupported()
}

function nothing(): void {}

/** Takes nothing and makes nothing. */
export function noPublisher(): PublishApi {
  return {
    setMeshPort: (port) => port.close(),
    setEventPort: (port) => port.close(),
    addVideoSource: refuse,
    addAudioSource: refuse,
    setMuted: nothing,
    removeSource: nothing,
    startVideo: refuse,
    startAudio: refuse,
    stopStream: nothing,
    stats: () => [],
    close: nothing,
  }
}

export function noReceiver(): ReceiveApi {
  return {
    setMeshPort: (port) => port.close(),
    setEventPort: (port) => port.close(),
    setAv1Port: (port) => port.close(),
    endAv1: nothing,
    addVideo: refuse,
    addDescription: refuse,
    addReplacement: refuse,
    addAudio: refuse,
    setMaxTemporal: nothing,
    setMuted: nothing,
    setOutputLatency: nothing,
    removeStream: nothing,
    resetGaps: nothing,
    stats: () => [],
    close: nothing,
  }
}

/** What a room asks of the sound of a page. */
export function noSound(): AudioEngine {
  const engine: Pick<AudioEngine, "blocked" | "onStateChange" | "resume" | "onLatency" | "capture" | "createOutput" | "close"> = {
    blocked: false,
    onStateChange: () => nothing,
    resume: async () => undefined,
    onLatency: nothing,
    capture: () => {
      throw unsupported()
    },
    createOutput: () => {
      throw unsupported()
    },
    close: async () => undefined,
  }
  return { ...engine, context: { state: "closed" } } as unknown as AudioEngine
}
