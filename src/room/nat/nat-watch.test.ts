import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import type { NatObservation } from "../../rendezvous/nat/classify.ts"
import { stunServers } from "../../rendezvous/nat/stun-servers.ts"
import { addressFromText } from "../../wire/address.ts"
import { NatWatch } from "./nat-watch.ts"
import type { NatLook } from "./types.ts"

const mapped = addressFromText("1.1.1.1", 50_000)!
const shifted = addressFromText("1.1.1.1", 50_001)!
const TWO = stunServers([], [{ urls: ["stun:5.5.5.5", "stun:6.6.6.6"] }])
const seen = (...list: (typeof mapped)[]): NatObservation[] =>
  list.map((address, i) => ({ observer: i, observerIp: `5.5.5.${i}`, mapped: address }))

function make(observations: NatObservation[] = seen(mapped, mapped)) {
  const around = {
    servers: TWO,
    observations,
    looks: [] as NatLook[],
    announced: [] as (string | undefined)[],
    hold: undefined as Promise<void> | undefined,
  }
  const watch = new NatWatch({
    probe: {
      intervalMs: 300_000,
      async look(look) {
        around.looks.push(look)
        await around.hold
        return { observations: around.observations, hostAddresses: [], dialBack: false }
      },
    },
    servers: () => around.servers,
    ask: async () => [],
    announce: (nat) => around.announced.push(nat),
    now: () => Date.now(),
    random: () => 0.5,
  })
  return { watch, around }
}

describe("the watch over the NAT", () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it("looks when there are two servers, again when there are others, and every five minutes", async () => {
    const { watch, around } = make()
    around.servers = TWO.slice(0, 1)
    watch.serversMayDiffer()
    await vi.advanceTimersByTimeAsync(600_000)
    expect([around.looks.length, watch.stats.class, around.announced]).toEqual([0, "unknown", []])
    around.servers = TWO
    watch.serversMayDiffer()
    await vi.advanceTimersByTimeAsync(0)
    expect(watch.stats).toEqual({
      class: "cone",
      reflex: "1.1.1.1:50000",
      servers: 2,
      sweeps: 1,
      conclusive: 1,
      observations: 2,
      at: Date.now(),
    })
    watch.serversMayDiffer()
    await vi.advanceTimersByTimeAsync(299_000)
    expect(around.looks.length).toBe(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(around.looks.length).toBe(2)
    around.servers = stunServers([], [{ urls: ["stun:5.5.5.5", "stun:7.7.7.7"] }])
    watch.serversMayDiffer()
    await vi.advanceTimersByTimeAsync(10_000)
    expect(around.looks.map(({ servers }) => servers.map(({ host }) => host).join(" "))).toEqual([
      "5.5.5.5 6.6.6.6",
      "5.5.5.5 6.6.6.6",
      "5.5.5.5 7.7.7.7",
    ])
    expect(around.announced).toEqual(["cone"])
    watch.close()
  })

  it("NAT-R6: has one look at a time, which everybody who asks shares", async () => {
    const { watch, around } = make()
    let go = () => {}
    around.hold = new Promise((resolve) => {
      go = resolve
    })
    const [one, two] = [watch.reclassify(), watch.reclassify()]
    expect(one).toBe(two)
    await vi.advanceTimersByTimeAsync(10)
    go()
    expect((await one).class).toBe("cone")
    // The next one keeps its distance.
    const third = watch.reclassify()
    await vi.advanceTimersByTimeAsync(9_980)
    expect(around.looks.length).toBe(1)
    await vi.advanceTimersByTimeAsync(20)
    await third
    expect(around.looks.length).toBe(2)
    watch.close()
  })

  it("NAT-R7: announces only what is another class, and keeps a good one for want of evidence", async () => {
    const { watch, around } = make()
    const look = async (observations: NatObservation[]) => {
      around.observations = observations
      const stats = watch.reclassify()
      await vi.advanceTimersByTimeAsync(10_000)
      return (await stats).class
    }
    const classes = []
    for (const observations of [seen(mapped, mapped), seen(shifted, shifted), [], seen(shifted), seen(mapped, shifted)]) {
      classes.push(await look(observations))
    }
    expect(classes).toEqual(["cone", "cone", "cone", "cone", "symmetric"])
    expect(around.announced).toEqual(["cone", "symmetric"])
    expect(watch.stats).toMatchObject({ sweeps: 5, conclusive: 3 })
    watch.close()
  })

  it("forgets the class when the network changes, and looks two seconds after the last change", async () => {
    const { watch, around } = make()
    watch.networkChanged()
    watch.serversMayDiffer()
    await vi.advanceTimersByTimeAsync(20_000)
    watch.networkChanged()
    await vi.advanceTimersByTimeAsync(1_500)
    watch.networkChanged()
    await vi.advanceTimersByTimeAsync(1_999)
    expect([around.looks.length, watch.stats.class, watch.stats.reflex]).toEqual([1, "unknown", undefined])
    await vi.advanceTimersByTimeAsync(1)
    expect([around.looks.length, watch.stats.class]).toEqual([2, "cone"])
    expect(around.announced).toEqual(["cone", undefined, "cone"])
    watch.close()
  })

  it("gives a look up after five seconds, and takes nothing from it any more", async () => {
    const { watch, around } = make()
    let go = () => {}
    around.hold = new Promise((resolve) => {
      go = resolve
    })
    const asked = watch.reclassify()
    await vi.advanceTimersByTimeAsync(5_000)
    expect((await asked).class).toBe("unknown")
    expect(around.looks[0]?.signal.aborted).toBe(true)
    go()
    await vi.advanceTimersByTimeAsync(0)
    expect([watch.stats.class, around.announced]).toEqual(["unknown", []])
    watch.close()
  })

  it("lets nobody wait when it is closed", async () => {
    const { watch, around } = make()
    around.hold = new Promise(() => {})
    const asked = watch.reclassify()
    watch.close()
    expect((await asked).class).toBe("unknown")
    expect(around.looks[0]?.signal.aborted).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
    expect((await watch.reclassify()).sweeps).toBe(1)
  })
})
