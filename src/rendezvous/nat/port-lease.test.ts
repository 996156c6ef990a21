/** NAT-R11, NAT-R12: what becomes of a port mapping, whatever a gateway answers. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type GrantedPort, PortLease, type PortLeaseAction, unavailable } from "./port-lease.ts"

const HOUR = 3_600_000
const good: GrantedPort = { externalHost: "8.8.4.4", externalPort: 40_000, leaseSeconds: 3_600 }
const lease = () => new PortLease("192.168.1.20")

/** The attempt that an action asks for. */
const asked = ([action]: PortLeaseAction[]) => {
  if (action?.type !== "ask") throw new Error(`not asked: ${action?.type}`)
  return action
}

describe("NAT-R11: the internal address", () => {
  it.each(["127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "255.255.255.255", "::1", "fe80::1", "localhost", "", "gateway.lan"])(
    "%s is refused, in every build",
    (host) => expect(() => new PortLease(host)).toThrow(TypeError),
  )

  it.each(["192.168.1.20", "10.0.0.1", "172.16.9.9", "9.9.9.9"])("%s is taken", (host) => {
    expect(() => new PortLease(host)).not.toThrow()
  })
})

describe("NAT-R12: a mapping", () => {
  it("is asked for with NAT-PMP for a second, then with UPnP for two, for an hour; then the node does without", () => {
    const port = lease()
    const first = asked(port.start())
    expect(first).toEqual({ type: "ask", attempt: 1, method: "nat-pmp", leaseSeconds: 3_600, timeoutMs: 1_000 })
    expect(port.start()).toEqual([])
    const second = asked(port.refused(1, unavailable("timeout"), 1_000))
    expect(second).toMatchObject({ attempt: 2, method: "upnp", timeoutMs: 2_000 })
    const error = unavailable("timeout")
    expect(port.refused(2, error, 3_000)).toEqual([{ type: "unavailable", error }])
    expect(error).toMatchObject({ code: "TraversalError", details: { kind: "port-map-unavailable" } })
    // Not a scanner: the next try is half an hour away.
    expect([port.tick(3_000 + HOUR / 2 - 1), port.dueAt]).toEqual([[], 3_000 + HOUR / 2])
    expect(asked(port.tick(port.dueAt)).method).toBe("nat-pmp")
  })

  it("is published under the port that was mapped, and read anew at every renewal", () => {
    const port = lease()
    port.start()
    const [published] = port.granted(1, { ...good, externalPort: 41_234 }, 0)
    expect(published).toMatchObject({ type: "published", method: "nat-pmp", external: { host: "8.8.4.4", port: 41_234 } })
    expect(port.dueAt).toBe(HOUR / 2)
    expect(asked(port.tick(HOUR / 2)).method).toBe("nat-pmp")
    expect(port.granted(2, { ...good, externalPort: 41_234 }, HOUR / 2)).toEqual([])
    port.tick(HOUR)
    const [moved] = port.granted(3, { ...good, externalHost: "9.9.9.9" }, HOUR)
    expect(moved).toMatchObject({ type: "published", external: { host: "9.9.9.9", port: 40_000 } })
    expect(port.stats).toEqual({ active: true, external: "9.9.9.9:40000", renewals: 2 })
  })

  it("with a short lease is renewed at its half; one of no time is an error", () => {
    const port = lease()
    port.start()
    port.granted(1, { ...good, leaseSeconds: 120 }, 0)
    expect(port.dueAt).toBe(60_000)
    const other = lease()
    other.start()
    expect(asked(other.granted(1, { ...good, leaseSeconds: 0 }, 0)).method).toBe("upnp")
    expect(other.granted(2, { ...good, leaseSeconds: Number.NaN }, 0)[0]?.type).toBe("unavailable")
  })

  it.each(["10.1.2.3", "192.168.0.1", "100.64.0.1", "127.0.0.1", "0.0.0.0", "224.0.0.1", "203.0.113.7"])(
    "to %s is not published, and withdrawn where it became so",
    (externalHost) => {
      const port = lease()
      port.start()
      expect(port.granted(1, { ...good, externalHost }, 0)[0]?.type).toBe("unavailable")
      expect(port.external).toBeUndefined()
      const other = lease()
      other.start()
      other.granted(1, good, 0)
      other.tick(HOUR / 2)
      expect(other.granted(2, { ...good, externalHost }, HOUR / 2)[0]?.type).toBe("withdrawn")
      expect(other.stats.active).toBe(false)
    },
  )

  it("is withdrawn at the third renewal in a row that failed, before its lease has ended; one success starts anew", () => {
    const port = lease()
    port.start()
    port.granted(1, good, 0)
    const fail = () => {
      const at = port.dueAt
      const { attempt } = asked(port.tick(at))
      return { at, out: port.refused(attempt, unavailable("gone"), at) }
    }
    expect([fail().out, fail().out]).toEqual([[], []])
    const at = port.dueAt
    expect(port.granted(asked(port.tick(at)).attempt, good, at)).toEqual([])
    expect([fail().out, fail().out]).toEqual([[], []])
    const third = fail()
    expect(third.out[0]?.type).toBe("withdrawn")
    expect(third.at - at).toBeLessThan(HOUR)
    expect(port.external).toBeUndefined()
  })

  it("is taken away at the end, once, and only where there is one", () => {
    const port = lease()
    port.start()
    port.granted(1, good, 0)
    expect(port.close()).toEqual([{ type: "unmap", method: "nat-pmp", timeoutMs: 200 }])
    expect([port.close(), port.start(), port.tick(HOUR)]).toEqual([[], [], []])
    const without = lease()
    without.start()
    expect(without.close()).toEqual([])
    // An answer that comes after the end.
    expect(without.granted(1, good, 0)).toEqual([])
  })

  it("NAT-R13: for any answers in any order, asks only in its own time and publishes only public addresses", () => {
    const answer = fc.record({
      late: fc.boolean(),
      ok: fc.boolean(),
      externalHost: fc.constantFrom("8.8.4.4", "9.9.9.9", "10.0.0.1", "::1", "nonsense", "2600::1"),
      externalPort: fc.constantFrom(0, 1, 40_000, 65_536, Number.NaN),
      leaseSeconds: fc.constantFrom(0, 1, 3_600, 1e12, Number.NaN),
    })
    fc.assert(
      fc.property(fc.array(answer, { maxLength: 60 }), (answers) => {
        const port = lease()
        let now = 0
        let [action] = port.start()
        for (const { late, ok, ...granted } of answers) {
          if (action?.type !== "ask") {
            expect(port.tick(port.dueAt - 1)).toEqual([])
            now = Math.max(now, port.dueAt)
            ;[action] = port.tick(now)
          }
          if (action?.type !== "ask") throw new Error("it stopped asking")
          const attempt = action.attempt - (late ? 1 : 0)
          const out = ok ? port.granted(attempt, granted, now) : port.refused(attempt, unavailable("x"), now)
          if (late) expect(out).toEqual([])
          else [action] = out
          const { external } = port
          if (external !== undefined) expect(["8.8.4.4", "9.9.9.9"]).toContain(external.host)
        }
      }),
      { numRuns: 300 },
    )
  })
})
