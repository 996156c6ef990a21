/** A CONNECT whose addresses the server never saw its sender at (control-plane 6.4, 6.7). */
import { describe, expect, test } from "vitest"
import { nodeIdOf } from "../crypto/ids.ts"
import { type AddressBlock, addressFromText, type CandidateEntry } from "../wire/address.ts"
import { FRAME_RENDEZVOUS } from "../wire/control-frame.ts"
import { encodeUnsignedDescription, joinDescription } from "../wire/description.ts"
import { decodeRendezvousMessage, encodeRendezvousMessage, type RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { Bytes } from "../wire/types.ts"
import { visitorKey } from "./evidence.ts"
import { SERVER_LIMITS } from "./limits.ts"
import { addressOfVisitor, namesOnlyOthers } from "./named-addresses.ts"
import { type ServerAction, ServerMachine } from "./server-machine.ts"

const at = (host: string, port = 0): AddressBlock => addressFromText(host, port) as AddressBlock
const candidate = (host: string, type: CandidateEntry["type"] = "srflx"): CandidateEntry => {
  return { address: at(host, 50_000), type, protocol: "udp", priority: 1 }
}
const entity = (n: number): Bytes => new Uint8Array(32).fill(n)
const MDNS = "11111111-2222-3333-4444-555555555555.local"

function description(candidates: CandidateEntry[], attemptId = 1n): Bytes {
  const unsigned = encodeUnsignedDescription({
    answer: false,
    iceRestart: false,
    trickle: false,
    endOfCandidates: true,
    fromEntity: entity(1),
    toNode: nodeIdOf(entity(2)),
    attemptId,
    issuedMs: 0n,
    dtlsFingerprint: entity(9),
    ufrag: "abcd",
    pwd: "x".repeat(22),
    candidates,
  })
  return joinDescription(unsigned, new Uint8Array(64))
}

const judge = (seen: string[], target: string[], ...candidates: CandidateEntry[]) =>
  namesOnlyOthers(
    description(candidates),
    seen.map((host) => at(host)),
    target.map((host) => at(host)),
  )

describe("addresses in a CONNECT", () => {
  test("NAT-R1: another's public address is refused, another port of the own one is not", () => {
    expect(judge(["1.1.1.1"], ["9.9.9.9"], candidate("8.8.8.8"))).toBe(true)
    expect(judge(["1.1.1.1"], ["9.9.9.9"], candidate("8.8.8.8", "host"), candidate(MDNS, "host"))).toBe(true)
    expect(judge(["1.1.1.1"], ["9.9.9.9"], candidate("1.1.1.1"))).toBe(false)
    expect(judge(["2606:4700::1"], ["9.9.9.9"], candidate("2606:4700:0:0:9::1", "host"))).toBe(false)
    expect(judge(["2606:4700::1"], ["9.9.9.9"], candidate("2606:4700:0:1::1", "host"))).toBe(true)
  })

  test("one candidate that can be used is enough", () => {
    expect(judge(["1.1.1.1"], ["9.9.9.9"], candidate("8.8.8.8"), candidate("1.1.1.1"))).toBe(false)
    expect(judge(["1.1.1.1"], ["1.1.1.1"], candidate("8.8.8.8"), candidate(MDNS, "host"))).toBe(false)
    expect(judge(["192.168.1.5"], ["192.168.1.6"], candidate("8.8.8.8"), candidate("192.168.1.5", "host"))).toBe(false)
    expect(judge(["1.1.1.1"], ["9.9.9.9"], candidate("8.8.8.8"), candidate("8.8.4.4", "relay"))).toBe(false)
  })

  test("nothing public is named, or nothing is known: the receiver judges", () => {
    expect(judge(["1.1.1.1"], ["9.9.9.9"])).toBe(false)
    expect(judge(["1.1.1.1"], ["9.9.9.9"], candidate(MDNS, "host"), candidate("192.168.1.5", "host"))).toBe(false)
    expect(judge([], ["9.9.9.9"], candidate("8.8.8.8"))).toBe(false)
    expect(namesOnlyOthers(new Uint8Array(7), [at("1.1.1.1")], [])).toBe(false)
  })

  test("a family in which a public sender was never seen says nothing; a sender inside has no public address", () => {
    expect(judge(["2606:4700::1"], ["9.9.9.9"], candidate("8.8.8.8"))).toBe(false)
    expect(judge(["2606:4700::1", "1.1.1.1"], ["9.9.9.9"], candidate("8.8.8.8"))).toBe(true)
    for (const inside of ["127.0.0.1", "::1", "192.168.1.5", "fd00::1"]) {
      expect(judge([inside], ["9.9.9.9"], candidate("8.8.8.8")), inside).toBe(true)
    }
  })

  test("what a socket is known by leads back to its address, of IPv6 to the first half", () => {
    expect(addressOfVisitor(visitorKey("1.2.3.4"))).toEqual(at("1.2.3.4"))
    expect(addressOfVisitor(visitorKey("::ffff:1.2.3.4"))).toEqual(at("1.2.3.4"))
    expect(addressOfVisitor(visitorKey("2001:db8:1:2:3::4"))).toEqual(at("2001:db8:1:2::"))
    expect(addressOfVisitor(visitorKey("::1"))).toEqual(at("::1"))
    expect(addressOfVisitor("visitor 1")).toBeUndefined()
  })
})

test("NAT-R5: the server answers reflex-mismatch at once and forwards nothing", () => {
  const machine = new ServerMachine({ limits: SERVER_LIMITS })
  const say = (session: number, message: RendezvousMessage): ServerAction[] =>
    machine.message(session, FRAME_RENDEZVOUS, encodeRendezvousMessage(message), 0)
  for (const [i, host] of [
    [1, "1.1.1.1"],
    [2, "9.9.9.9"],
  ] as const) {
    machine.admit(i, visitorKey(host))
    machine.proven(i, { entityId: entity(i), nodeId: nodeIdOf(entity(i)), keyId: `mk1${i}` })
    say(i, { kind: "register", namespace: "tea" })
  }
  const targetNode = nodeIdOf(entity(2))
  const connect = (host: string, attemptId: bigint) =>
    say(1, { kind: "connect", targetNode, description: description([candidate(host)], attemptId) }).map((action) => {
      if (action.type !== "send") return action.type
      const message = decodeRendezvousMessage(action.payload)
      return [action.session, message.kind, message.kind === "reject" ? [message.reason, message.attemptId] : undefined]
    })
  expect(connect("8.8.8.8", 7n)).toEqual([[1, "reject", ["reflex-mismatch", 7n]]])
  expect(machine.stats()).toMatchObject({ attempts: 0, drops: { "connect-reflex-mismatch": 1 } })
  expect(connect("1.1.1.1", 8n)).toEqual([[2, "introduce", undefined]])
})
