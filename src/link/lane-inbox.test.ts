import { describe, expect, it, vi } from "vitest"
import type { AvError } from "../wire/errors.ts"
import { encodeLaneControl, type LaneControl } from "../wire/lane-control.ts"
import { LaneInbox } from "./lane-inbox.ts"

const soon = (check: () => unknown) => vi.waitFor(check, { timeout: 20_000 })

function open() {
  const done: LaneControl[] = []
  const faults: AvError[] = []
  let waiting: (() => void)[] = []
  const lanes = {
    allow: vi.fn(),
    receive: async (message: LaneControl) => {
      await new Promise<void>((resolve) => waiting.push(resolve))
      done.push(message)
    },
  }
  const inbox = new LaneInbox({ lanes, listed: () => 0, onFault: (error) => faults.push(error) })
  /** Lets one message finish, and the one after it begin. */
  const finishOne = async () => {
    await soon(() => expect(waiting).toHaveLength(1))
    const [resolve] = waiting
    waiting = []
    resolve?.()
  }
  return { inbox, lanes, done, faults, finishOne }
}

const close = (laneId: number) => encodeLaneControl({ op: "close", laneId })

describe("lane messages of the peer", () => {
  it("wait until they are allowed, at most nine, and are then carried out one after another in their order", async () => {
    const { inbox, lanes, done, faults, finishOne } = open()
    for (let laneId = 1; laneId <= 10; laneId++) inbox.receive(close(laneId))
    expect(faults.map(({ code }) => code)).toEqual(["LaneLimit"])
    expect(lanes.allow).not.toHaveBeenCalled()
    inbox.allow()
    inbox.receive(close(11))
    expect(lanes.allow).toHaveBeenCalledOnce()
    for (let n = 0; n < 10; n++) await finishOne()
    const expected = [1, 2, 3, 4, 5, 6, 7, 8, 9, 11].map((laneId) => ({ op: "close", laneId }))
    await soon(() => expect(done).toEqual(expected))
  })

  it("that can not be read are told, and do not hold up the next", async () => {
    const { inbox, done, faults, finishOne } = open()
    inbox.allow()
    inbox.receive(Uint8Array.of(9, 9))
    inbox.receive(close(3))
    await finishOne()
    await soon(() => expect(done).toEqual([{ op: "close", laneId: 3 }]))
    expect(faults.map(({ code }) => code)).toEqual(["LaneBlockInvalid"])
  })
})
