import { beforeEach, describe, expect, test } from "vitest"
import { Coordinator, type DescriptionFacts, type Neighbourhood } from "./coordinator.ts"
import { COORDINATOR_LIMITS } from "./limits.ts"

/** Descriptions of these tests are their facts as JSON. */
function description(facts: Partial<DescriptionFacts> & { from: string; to: string }): Uint8Array {
  const { from, to, attemptId = 1n, issuedMs = 0n, answer = false, trickle = false } = facts
  return new TextEncoder().encode(JSON.stringify([from, to, String(attemptId), String(issuedMs), answer, trickle]))
}

const around: Neighbourhood = {
  hasSession: (node) => ["a", "b", "c", "elsewhere"].includes(node),
  mayMeet: (a, b) => a !== "elsewhere" && b !== "elsewhere",
  attestationFits: (attestation) => attestation.length > 0,
  read: (bytes) => {
    if (bytes.length === 0) return undefined
    const [from, to, attemptId, issuedMs, answer, trickle] = JSON.parse(new TextDecoder().decode(bytes))
    return { from, to, attemptId: BigInt(attemptId), issuedMs: BigInt(issuedMs), answer, trickle }
  },
}

describe("Coordinator", () => {
  let coordinator: Coordinator
  beforeEach(() => {
    coordinator = new Coordinator(around, COORDINATOR_LIMITS)
  })
  const offer = (now = 0, attemptId = 1n) => {
    return coordinator.connect(
      "a",
      "b",
      { description: description({ from: "a", to: "b", attemptId, issuedMs: BigInt(now) }) },
      now,
    )
  }
  const reply = (attemptId = 1n) => ({ description: description({ from: "b", to: "a", attemptId, answer: true }) })

  test("forwards an offer, its answer once, and trickled candidates both ways", () => {
    expect(offer()).toMatchObject({ kind: "introduce", to: "b", from: "a", ttlMs: 10_000 })
    expect(coordinator.answer("b", "a", reply(), 10)).toMatchObject({ kind: "answer", to: "a" })
    expect(coordinator.answer("b", "a", reply(), 20)).toEqual({ kind: "drop", why: "no-attempt" })
    const more = (from: string, to: string) => coordinator.candidates(from, to, description({ from, to, trickle: true }), 30)
    expect(more("a", "b")).toMatchObject({ kind: "candidates", to: "b" })
    expect(more("b", "a")).toMatchObject({ kind: "candidates", to: "a" })
    expect(more("c", "a")).toEqual({ kind: "drop", why: "no-attempt" })
  })

  test("nothing unasked for passes", () => {
    expect(coordinator.answer("b", "a", reply(), 0)).toEqual({ kind: "drop", why: "no-attempt" })
    offer()
    expect(coordinator.answer("b", "a", reply(2n), 0)).toEqual({ kind: "drop", why: "no-attempt" })
    expect(coordinator.answer("b", "c", reply(), 0)).toEqual({ kind: "drop", why: "malformed" })
    expect(coordinator.refuse("c", 1n, "policy", 0, 0)).toEqual({ kind: "drop", why: "no-attempt" })
    expect(coordinator.answer("b", "a", reply(), 10_250)).toEqual({ kind: "drop", why: "no-attempt" })
    expect(coordinator.openAttempts).toBe(0)
  })

  test("a refusal of the target finds its way to the requester, with a clamped time", () => {
    offer()
    const back = coordinator.refuse("b", 1n, "target-busy", 1e9, 5)
    expect(back).toEqual({ kind: "reject", to: "a", target: "b", attemptId: 1n, reason: "target-busy", retryAfterMs: 60_000 })
    expect(coordinator.refuse("b", 1n, "target-busy", 0, 6).kind).toBe("drop")
  })

  test("NAT-R5: each refusal has its reason", () => {
    const connect = (target: string, bytes: Uint8Array, attestation?: Uint8Array, now = 0) => {
      const result = coordinator.connect("a", target, { description: bytes, ...(attestation && { attestation }) }, now)
      return result.kind === "reject" ? result.reason : result.kind
    }
    const to = (target: string) => description({ from: "a", to: target })
    expect(connect("b", new Uint8Array())).toBe("malformed")
    expect(connect("b", description({ from: "c", to: "b" }))).toBe("malformed")
    expect(connect("b", description({ from: "a", to: "c" }))).toBe("malformed")
    expect(connect("b", description({ from: "a", to: "b", answer: true }))).toBe("malformed")
    expect(connect("b", to("b"), new Uint8Array())).toBe("malformed")
    expect(connect("b", to("b"), undefined, 60_001)).toBe("stale")
    expect(connect("nobody", to("nobody"))).toBe("no-session-with-target")
    expect(connect("a", to("a"))).toBe("no-session-with-target")
    expect(connect("elsewhere", to("elsewhere"))).toBe("policy")
  })

  test("NAT-R5: the seventeenth CONNECT within ten seconds is rate-limited and says for how long", () => {
    for (let i = 0; i < 16; i++) expect(offer(1_000, BigInt(i)).kind).toBe("introduce")
    expect(offer(5_000, 99n)).toMatchObject({ kind: "reject", reason: "rate-limited", attemptId: 99n, retryAfterMs: 6_000 })
    expect(offer(11_000, 99n).kind).toBe("introduce")
  })

  test("NAT-R5: the thirty-third introduction of one target within ten seconds finds it busy", () => {
    const crowd = new Coordinator({ ...around, hasSession: () => true }, COORDINATOR_LIMITS)
    const ring = (i: number) => {
      return crowd.connect(`p${i}`, "b", { description: description({ from: `p${i}`, to: "b", attemptId: BigInt(i) }) }, 0)
    }
    for (let i = 0; i < 32; i++) expect(ring(i).kind).toBe("introduce")
    expect(ring(32)).toMatchObject({ kind: "reject", reason: "target-busy" })
  })

  test("an attempt id of somebody else cannot be taken over", () => {
    offer()
    const thief = coordinator.connect("c", "b", { description: description({ from: "c", to: "b" }) }, 1)
    expect(thief).toMatchObject({ kind: "reject", reason: "limit" })
    expect(coordinator.answer("b", "a", reply(), 2).kind).toBe("answer")
  })

  test("trickle is bounded per end, attempts are bounded in all", () => {
    const small = new Coordinator(around, { ...COORDINATOR_LIMITS, candidatesPerAttempt: 1, attempts: 2, connect: [99, 1] })
    for (let i = 0n; i < 5n; i++) small.connect("a", "b", { description: description({ from: "a", to: "b", attemptId: i }) }, 0)
    expect(small.openAttempts).toBe(2)
    const trickle = description({ from: "a", to: "b", attemptId: 4n, trickle: true })
    expect(small.candidates("a", "b", trickle, 0).kind).toBe("candidates")
    expect(small.candidates("a", "b", trickle, 0)).toEqual({ kind: "drop", why: "budget" })
  })
})
