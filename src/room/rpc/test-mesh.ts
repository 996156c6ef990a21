/** For the tests of this folder: pages without a page. Each has a control plane, and real sessions between them. */
import { createIdentity, type IdentitySigner, PinTable } from "../../identity/index.ts"
import { SessionProof } from "../../identity/session-proof.ts"
import type { FramePipe } from "../../link/frame-outbox.ts"
import type { ControlSession } from "../../link/index.ts"
import { SessionCore } from "../../link/session-core.ts"
import type { Bytes, NodeId, PeerKeyId } from "../../wire/types.ts"
import { RoomParticipant } from "../participant.ts"
import { CapabilityFace } from "./capabilities.ts"
import { ControlPlane, type ControlPlaneHost } from "./control-plane.ts"
import { createRoomRpc } from "./room-rpc.ts"
import type { RoomRpc } from "./types.ts"

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))

export interface TestPeer {
  signer: IdentitySigner
  plane: ControlPlane
  rpc: RoomRpc
  capabilities: CapabilityFace
  /** How the others see it. */
  id: PeerKeyId
  errors: string[]
}

/** One end of a link as a test may disturb it. */
export interface TestLink {
  /** Of the first peer named, and of the second. */
  sessions: readonly [ControlSession, ControlSession]
  /** Frames of the RPC channel wait while this is true. */
  stalled: boolean
  /** Lets what waited go. */
  release(): void
  close(): void
}

export class TestMesh {
  readonly #people = new Map<PeerKeyId, RoomParticipant>()
  readonly #nodes = new Map<PeerKeyId, NodeId>()
  readonly #cores: SessionCore[] = []
  readonly #planes: ControlPlane[] = []
  #links = 0

  async peer(options: Partial<ControlPlaneHost> = {}): Promise<TestPeer> {
    const signer = options.signer ?? (await createIdentity())
    const errors: string[] = []
    const pins = new PinTable()
    pins.pinForever(signer.nodeId, signer.entityId)
    this.#people.set(signer.keyId, new RoomParticipant(signer.keyId, false))
    this.#nodes.set(signer.keyId, signer.nodeId)
    const plane = new ControlPlane({
      signer,
      pins,
      now: () => Date.now(),
      offsetMs: () => 0,
      participant: (keyId) => this.#people.get(keyId),
      nodeOf: (keyId) => this.#nodes.get(keyId),
      dropped: (error) => errors.push(error.code),
      warn: (error) => errors.push(`warning ${error.code}`),
      minAnnounceMs: 20,
      ...options,
    })
    this.#planes.push(plane)
    return { signer, plane, rpc: createRoomRpc(plane), capabilities: new CapabilityFace(plane), id: signer.keyId, errors }
  }

  /** A member that left: nobody knows it any more, whatever its sessions say. */
  expel(peer: TestPeer): void {
    this.#people.delete(peer.id)
  }

  /** Connects two peers with the whole handshake; both are members to each other unless told otherwise. */
  async link(a: TestPeer, b: TestPeer, members = true): Promise<TestLink> {
    const number = ++this.#links
    const held: (() => void)[] = []
    let stalled = false
    const cores: SessionCore[] = []
    const ready: Promise<void>[] = []
    for (const [side, peer] of [a, b].entries()) {
      const other = () => cores[1 - side]
      const rpc: FramePipe = {
        get buffered() {
          return stalled ? Number.POSITIVE_INFINITY : 0
        },
        send(frame) {
          const sent = frame.slice()
          queueMicrotask(() => other()?.receiveRpc(sent))
        },
      }
      const control: FramePipe = {
        buffered: 0,
        send(frame) {
          const sent = frame.slice()
          queueMicrotask(() => other()?.receive(sent))
        },
      }
      ready.push(
        new Promise((resolve) => {
          const core = new SessionCore({
            id: `link-${number}-${side}`,
            kind: "direct",
            signer: peer.signer,
            control,
            rpc,
            random,
            clock: () => performance.now(),
            wallClock: () => Date.now(),
            onReady: (session) => {
              peer.plane.sessionOpened(session)
              session.on("frame", ({ type, payload }) => peer.plane.receive(session.id, type, payload))
              session.on("closed", () => peer.plane.sessionClosed(session.id))
              resolve()
            },
            onClosed: () => {},
          })
          cores.push(core)
          held.push(() => core.flush())
        }),
      )
    }
    this.#cores.push(...cores)
    const fingerprints: [Bytes, Bytes] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    for (const [side, peer] of [a, b].entries()) {
      const localFingerprint = fingerprints[side] as Bytes
      const remoteFingerprint = fingerprints[1 - side] as Bytes
      const proof = new SessionProof({
        signer: peer.signer,
        localFingerprint,
        remoteFingerprint,
        wallMs: Date.now(),
        now: performance.now(),
      })
      cores[side]?.prove(proof)
    }
    await Promise.all(ready)
    const sessions = cores as unknown as [ControlSession, ControlSession]
    if (members) {
      a.plane.classified(sessions[0].id, true)
      b.plane.classified(sessions[1].id, true)
    }
    return {
      sessions,
      get stalled() {
        return stalled
      },
      set stalled(value) {
        stalled = value
      },
      release() {
        stalled = false
        for (const flush of held) flush()
      },
      close() {
        for (const core of cores) core.abandon("local")
      },
    }
  }

  close(): void {
    for (const plane of this.#planes) plane.close()
    for (const core of this.#cores) core.abandon("local")
  }
}

export const text = (value: string): Bytes => new TextEncoder().encode(value)
export const words = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)

/** What a promise rejects with, as an RPC failure or the code of an error. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error && "failure" in error) return error.failure
    return error instanceof Error && "code" in error ? error.code : error
  }
  return "no failure"
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const out: T[] = []
  for await (const item of items) out.push(item)
  return out
}
