import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { AvError } from "../wire/errors.ts"
import { DeviceKeeper } from "./device-keeper.ts"
import type { Device } from "./devices.ts"

class FakeTrack extends EventTarget {
  readyState: "live" | "ended" = "live"
  readonly deviceId: string
  constructor(deviceId: string) {
    super()
    this.deviceId = deviceId
  }
  getSettings() {
    return { deviceId: this.deviceId, groupId: this.deviceId }
  }
  stop() {
    this.readyState = "ended"
  }
  unplug() {
    this.readyState = "ended"
    this.dispatchEvent(new Event("ended"))
  }
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function setUp(preferred?: string) {
  const plugged = new Set(["built-in", "headset"])
  const failing = new Map<string, AvError>()
  const used: string[] = []
  const events: string[] = []
  let notify = () => {}
  const track = new FakeTrack(preferred ?? "built-in")
  const open = async (device: string | true) => {
    const id = device === true ? [...plugged][0]! : device
    const error = failing.get(id)
    if (error !== undefined) throw error
    return new FakeTrack(id) as unknown as MediaStreamTrack
  }
  const keeper = new DeviceKeeper({
    kind: "microphone",
    track: track as unknown as MediaStreamTrack,
    list: async () => [...plugged].map((id): Device => ({ id, kind: "microphone", label: id, groupId: id })),
    open,
    use: async (fresh) => void used.push((fresh as unknown as FakeTrack).deviceId),
    onDeviceChange: (handler) => {
      notify = handler
      return () => {
        notify = () => {}
      }
    },
    onLost: () => void events.push("lost"),
    ...(preferred === undefined ? {} : { preferred }),
  })
  const run = (ms: number) => vi.advanceTimersByTimeAsync(ms)
  const change = async (...ids: string[]) => {
    plugged.clear()
    for (const id of ids) plugged.add(id)
    notify()
    notify()
    await run(400)
  }
  return { keeper, track, failing, used, events, run, change, current: () => keeper.track as unknown as FakeTrack }
}

describe("DeviceKeeper", () => {
  it("falls back when the headset is pulled out, and returns to it when it is back", async () => {
    const { track, used, events, change, current, keeper } = setUp("headset")
    track.unplug()
    await change("built-in")
    expect(used).toEqual(["built-in"])
    await change("built-in", "headset")
    expect(used).toEqual(["built-in", "headset"])
    expect(current().readyState).toBe("live")
    expect(events).toEqual([])
    keeper.close()
  })

  it("acts on a track that ended although the list still names the device", async () => {
    const { track, used, failing, run, keeper } = setUp("headset")
    failing.set("headset", new AvError("MediaDeviceMissing"))
    track.unplug()
    await run(10)
    expect(used).toEqual(["built-in"])
    keeper.close()
  })

  it("says once that nothing is left, and takes the next device that appears", async () => {
    const { track, used, events, change, keeper } = setUp()
    track.unplug()
    await change()
    await change()
    expect(events).toEqual(["lost"])
    await change("usb")
    expect(used).toEqual(["usb"])
    keeper.close()
  })

  it("tries a busy device again, ever more slowly, and a forbidden one not at all", async () => {
    for (const [code, attempts] of [
      ["MediaDeviceBusy", 5],
      ["MediaPermission", 1],
    ] as const) {
      const { track, failing, run, keeper, used } = setUp()
      const error = new AvError(code)
      let count = 0
      failing.set("built-in", error)
      const get = failing.get.bind(failing)
      failing.get = (id) => {
        count++
        return get(id)
      }
      track.unplug()
      await run(10_000)
      expect(count).toBe(attempts)
      failing.clear()
      await run(20_000)
      expect(used).toEqual(code === "MediaDeviceBusy" ? ["built-in"] : [])
      keeper.close()
    }
  })

  it("lets go of the device while released, whatever is plugged in, and opens it again on restart", async () => {
    const { keeper, track, used, change, current } = setUp("headset")
    keeper.release()
    expect(track.readyState).toBe("ended")
    await change("built-in")
    await change("built-in", "headset")
    expect(used).toEqual([])
    const restarted = keeper.restart()
    await vi.advanceTimersByTimeAsync(10)
    await restarted
    expect(used).toEqual(["headset"])
    expect(current().readyState).toBe("live")
    keeper.close()
  })

  it("stays released when the device does not open, and stops one that opens too late", async () => {
    const { keeper, used, failing, run } = setUp()
    keeper.release()
    failing.set("built-in", new AvError("MediaPermission"))
    await expect(keeper.restart()).rejects.toMatchObject({ code: "MediaPermission" })
    failing.clear()
    await run(20_000)
    expect(used).toEqual([])
    const late = keeper.restart()
    keeper.release()
    await run(10)
    await late
    expect(used).toEqual([])
    keeper.close()
  })

  it("changes to what the person chooses, stops the device before, and nothing more after close", async () => {
    const { keeper, track, used, run, change } = setUp()
    keeper.prefer("headset")
    await run(10)
    expect(used).toEqual(["headset"])
    expect(track.readyState).toBe("ended")
    keeper.close()
    await change("built-in")
    expect(used).toEqual(["headset"])
  })
})
