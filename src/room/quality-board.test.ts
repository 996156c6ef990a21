/** The board: from the workers' counters to scores, freezes by cause, and the quality of people. */
import { describe, expect, it } from "vitest"
import type { MeshLinkStats, MeshReceiveStats, MeshSendStats } from "../pipeline/index.ts"
import type { PublishStreamStats } from "../pipeline/publish/types.ts"
import type { ReceiveStats } from "../pipeline/receive/types.ts"
import { type Look, QualityBoard } from "./quality-board.ts"

const PICTURE = "11".repeat(32)
const SOUND = "22".repeat(32)
const OWN = "33".repeat(32)
const bytes = (key: string) => new Uint8Array(32).fill(Number.parseInt(key.slice(0, 2), 16))

/** A call of two in numbers, one second at a time. */
class Call {
  readonly board = new QualityBoard()
  nowMs = 0
  hidden = false
  muted = false
  subscribers = ["bob"]
  link = { lossPct: 0, queueMs: 0, rttMs: 40 }
  readonly mesh = { frames: 0, lostFrames: 0, within150: 0 }
  readonly sound = { frames: 0, concealedMs: 0 }
  readonly worker = { renderedFrames: 0, skippedFrames: 0, decodeMs: 4 }
  readonly freezes = { count: 0, totalMs: 0, openMs: 0, last: undefined as { ms: number; capturedMs: number } | undefined }
  readonly own = { frames: 0, droppedFrames: 0, loadLevel: 0, targetBitrate: 600_000 }

  second(frames = 30, own = 30): void {
    this.nowMs += 1_000
    this.mesh.frames += frames
    this.mesh.within150 += frames
    this.worker.renderedFrames += frames
    this.own.frames += own
    this.look()
  }

  goWell(seconds: number): void {
    for (let n = 0; n < seconds; n++) {
      this.sound.frames += 50
      this.second()
    }
  }

  look(): void {
    const receive = (key: string, kind: "audio" | "video", figures: object) =>
      ({ streamId: bytes(key), kind, from: ["bob"], lostFrames: 0, within150: 0, ...figures }) as unknown as MeshReceiveStats
    const look: Look = {
      mesh: {
        links: [{ peer: "bob", ...this.link } as unknown as MeshLinkStats],
        receive: [receive(PICTURE, "video", { ...this.mesh }), receive(SOUND, "audio", { frames: this.sound.frames })],
        send: [
          {
            streamId: bytes(OWN),
            kind: "video",
            subscribers: this.subscribers,
            targetBitrate: this.own.targetBitrate,
          } as unknown as MeshSendStats,
        ],
      },
      publish: [{ streamKey: OWN, kind: "video", encodeMs: 8, ...this.own } as unknown as PublishStreamStats],
      receive: [
        {
          streamKey: PICTURE,
          kind: "video",
          frameRate: 30,
          ...this.worker,
          freezes: { ...this.freezes },
        } as unknown as ReceiveStats,
        { streamKey: SOUND, kind: "audio", bufferMs: 60, concealedMs: this.sound.concealedMs } as unknown as ReceiveStats,
      ],
      received: (key) => ({
        participant: "bob",
        source: key === PICTURE ? "camera" : "microphone",
        muted: this.muted,
        frameRate: key === PICTURE ? 30 : undefined,
      }),
      sent: () => ({ source: "camera", muted: false, askedFps: 30 }),
      hidden: this.hidden,
    }
    this.board.look(look, this.nowMs)
  }
}

describe("QualityBoard", () => {
  it("says nothing in the first seconds, then that all is well", () => {
    const call = new Call()
    call.goWell(2)
    expect(call.board.quality(PICTURE)).toBeUndefined()
    call.goWell(6)
    for (const key of [PICTURE, SOUND, OWN]) expect(call.board.quality(key)).toEqual({ score: 5, level: "good", reason: "none" })
    expect(call.board.ofParticipant("bob")?.score).toBe(5)
    expect(call.board.ofParticipant("cleo")).toBeUndefined()
  })

  it("moves down with the network within two seconds, and up again after it", () => {
    const call = new Call()
    call.goWell(8)
    for (let n = 0; n < 2; n++) {
      call.sound.frames += 45
      call.sound.concealedMs += 100
      call.mesh.lostFrames += 6
      call.second(24)
    }
    expect(call.board.ofParticipant("bob")).toMatchObject({ reason: "network" })
    expect(call.board.ofParticipant("bob")?.level).not.toBe("good")
    call.goWell(12)
    expect(call.board.ofParticipant("bob")?.level).toBe("good")
  })

  it("counts freezes by cause", () => {
    const call = new Call()
    call.goWell(8)
    const freeze = (ms: number, capturedMs: number, lost = 0) => {
      call.freezes.count++
      call.freezes.totalMs += ms
      call.freezes.last = { ms, capturedMs }
      call.mesh.lostFrames += lost
      call.goWell(1)
    }
    freeze(400, 390)
    freeze(500, 480, 4)
    call.hidden = true
    freeze(900, 20)
    call.hidden = false
    expect(call.board.freezes(PICTURE)).toEqual({
      count: 3,
      totalMs: 1_800,
      causes: { source: 1, network: 1, hidden: 1, cpu: 0 },
    })
    expect(call.board.freezes(SOUND)).toBeUndefined()
  })

  it("blames the camera for a picture that stands while the sound goes on, the network when both stop", () => {
    const call = new Call()
    call.goWell(8)
    call.freezes.openMs = 4_000
    call.sound.frames += 50
    call.second(0)
    expect(call.board.quality(PICTURE)).toMatchObject({ reason: "source" })
    for (let n = 0; n < 3; n++) call.second(0)
    expect(call.board.quality(PICTURE)).toMatchObject({ level: "lost", reason: "network" })
    expect(call.board.quality(SOUND)?.reason).toBe("network")
  })

  it("judges nothing that is muted or that nobody receives", () => {
    const call = new Call()
    call.goWell(8)
    call.muted = true
    call.subscribers = []
    for (let n = 0; n < 5; n++) call.second(0, 0)
    for (const key of [PICTURE, SOUND, OWN]) expect(call.board.quality(key)).toBeUndefined()
    expect(call.board.ofLocal()).toBeUndefined()
  })

  it("tells the person that sends what is wrong here", () => {
    const call = new Call()
    call.goWell(8)
    call.own.targetBitrate = 80_000
    call.goWell(3)
    expect(call.board.ofLocal()).toMatchObject({ reason: "network" })
    const slow = new Call()
    slow.goWell(8)
    for (let n = 0; n < 4; n++) slow.second(30, 6)
    expect(slow.board.ofLocal()).toMatchObject({ reason: "source" })
  })

  it("does not take a page that slept for one second of disaster", () => {
    const call = new Call()
    call.goWell(8)
    call.nowMs += 60_000
    call.mesh.lostFrames += 1_000
    call.goWell(5)
    expect(call.board.quality(PICTURE)?.level).toBe("good")
  })
})
