import { beforeEach, describe, expect, test } from "vitest"
import { createIdentity } from "../identity/index.ts"
import { type AddressBlock, addressFromText, type CandidateEntry } from "../wire/address.ts"
import { AddressEvidence, type AddressWord } from "./address-evidence.ts"
import { attestAddress, type Observer } from "./evidence.ts"

const [server, other, own, peer, mallory] = await Promise.all(Array.from({ length: 5 }, () => createIdentity()))
const NOW = 1_750_000_000_000
const HOUR = 3_600_000

const at = (host: string, port = 50_000): AddressBlock => addressFromText(host, port)!
const candidate = (host: string, type: CandidateEntry["type"] = "host"): CandidateEntry => ({
  address: at(host),
  type,
  protocol: "udp",
  priority: 1,
})
const attest = async (host: string, subject = peer!, observer: Observer = server!, now = NOW) =>
  (await attestAddress(observer, subject.entityId, host, now, 300_000))!

let evidence: AddressEvidence
let refused: string[]
beforeEach(async () => {
  evidence = new AddressEvidence()
  evidence.serverUp = true
  evidence.trust(server!.entityId)
  evidence.attested(await attest("9.9.9.9", own))
  refused = []
  evidence.onRefused = (reason) => refused.push(reason)
})

/** What is let through of these, as text. */
async function kept(word: Omit<AddressWord, "subject"> & { subject?: Uint8Array }, list: CandidateEntry[], now = NOW) {
  const gate = await evidence.gateFor({ subject: peer!.entityId, ...word }, now)
  return gate.admit(list).map((entry) => entry !== undefined)
}

describe("addresses of a peer", () => {
  const list = [candidate("1.1.1.1", "srflx"), candidate("8.8.8.8"), candidate("192.168.1.7")]

  test("are used as far as a trusted observer saw the peer there", async () => {
    expect(await kept({ attestation: await attest("1.1.1.1") }, list)).toEqual([true, false, false])
    expect(refused).toEqual(["unattested", "private-cross-site"])
  })

  test("of our own network are used when both were seen at one address", async () => {
    expect(await kept({ attestation: await attest("9.9.9.9") }, list)).toEqual([false, false, true])
  })

  test("are not used on the word of anybody else", async () => {
    const right = await attest("1.1.1.1")
    const nothing = [false, false, false]
    expect(await kept({}, list)).toEqual(nothing)
    expect(await kept({ byMember: true }, list)).toEqual(nothing)
    expect(await kept({ attestation: await attest("1.1.1.1", peer, other) }, list)).toEqual(nothing)
    // The peer attests itself; an attestation of somebody else; one that was changed; one that is no attestation.
    expect(await kept({ attestation: await attest("1.1.1.1", peer, peer) }, list)).toEqual(nothing)
    expect(await kept({ attestation: await attest("1.1.1.1", mallory) }, list)).toEqual(nothing)
    const damaged = right.map((byte, index) => (index === right.length - 1 ? byte ^ 1 : byte))
    const moved = right.map((byte, index) => (index === 86 ? byte ^ 9 : byte))
    for (const attestation of [damaged, moved, right.subarray(0, 40), new Uint8Array(0)]) {
      expect(await kept({ attestation }, list)).toEqual(nothing)
    }
  })

  test("are used only while the attestation holds", async () => {
    const attestation = await attest("1.1.1.1")
    expect(await kept({ attestation }, list, NOW + 299_999)).toEqual([true, false, false])
    expect(await kept({ attestation, byMember: true }, list, NOW + 300_000)).toEqual([false, false, false])
  })

  test("are counted over one exchange: what trickles in later does not begin anew", async () => {
    const gate = await evidence.gateFor({ subject: peer!.entityId, attestation: await attest("1.1.1.1") }, NOW)
    const many = Array.from({ length: 12 }, (_, i) => ({ ...candidate("1.1.1.1"), address: at("1.1.1.1", 2_000 + i) }))
    expect(gate.admit(many.slice(0, 6)).filter(Boolean)).toHaveLength(6)
    expect(gate.admit(many.slice(6)).filter(Boolean)).toHaveLength(2)
    expect(gate.admit(many.slice(0, 6)).filter(Boolean)).toHaveLength(6)
  })

  test("may be relays that the operator named, or that gave our own browser an address", async () => {
    const relays = [candidate("7.7.7.7", "relay"), candidate("6.6.6.6", "relay"), candidate("5.5.5.5", "relay")]
    expect(await kept({}, relays)).toEqual([false, false, false])
    evidence.relaysAre([at("7.7.7.7", 0)])
    expect(evidence.ownGate().admit([candidate("6.6.6.6", "relay")])).toHaveLength(1)
    expect(await kept({}, relays)).toEqual([true, true, false])
  })

  test("of this machine are used with a server on this machine, and with no other", async () => {
    const local = [candidate("127.0.0.1"), candidate("10.1.2.3")]
    evidence.attested(await attest("127.0.0.1", own))
    const attestation = await attest("127.0.0.1")
    evidence.loopback = true
    expect(await kept({ attestation }, local)).toEqual([true, true])
    evidence.loopback = false
    // A proxy that hides everybody's address: all seem to be in one place, but loopback stays out.
    expect(await kept({ attestation }, local)).toEqual([false, true])
  })
})

test("somebody trusted vouches for a peer only with an attestation of its own that still holds", async () => {
  const vouches = (attestation?: Uint8Array, now = NOW, byMember = false) =>
    evidence.vouches({ subject: peer!.entityId, byMember, ...(attestation && { attestation }) }, now)
  const right = await attest("1.1.1.1")
  expect([await vouches(right), await vouches(right, NOW + 299_999), await vouches(right, NOW + 300_000)]).toEqual([
    true,
    true,
    false,
  ])
  const changed = right.map((byte, index) => (index === right.length - 1 ? byte ^ 1 : byte))
  const others = [await attest("1.1.1.1", mallory), await attest("1.1.1.1", peer, other), changed, new Uint8Array(9)]
  for (const attestation of [undefined, ...others]) expect(await vouches(attestation)).toBe(false)
  // D46, and asking takes nothing from the budget.
  evidence.serverUp = false
  for (let i = 0; i < 4; i++) expect(await vouches(right, NOW + HOUR, true)).toBe(true)
  expect([await vouches(right, NOW + HOUR), await vouches(right, NOW + 13 * HOUR, true)]).toEqual([false, false])
})

describe("while the server is away", () => {
  const list = [candidate("1.1.1.1", "srflx"), candidate("9.9.9.9"), candidate("8.8.8.8")]
  beforeEach(() => {
    evidence.serverUp = false
  })

  test("an old attestation is believed of somebody whom a member introduces, twice a minute", async () => {
    const attestation = await attest("1.1.1.1")
    const later = NOW + HOUR
    expect(await kept({ attestation }, list, later)).toEqual([false, false, false])
    expect(await kept({ attestation, byMember: true }, list, later)).toEqual([true, false, false])
    expect(await kept({ attestation, byMember: true }, list, later + 1)).toEqual([true, false, false])
    expect(await kept({ attestation, byMember: true }, list, later + 2)).toEqual([false, false, false])
    // Somebody else has a budget of its own.
    const word = { subject: mallory!.entityId, attestation: await attest("1.1.1.1", mallory), byMember: true }
    expect(await kept(word, list, later + 2)).toEqual([true, false, false])
    expect(await kept({ attestation, byMember: true }, list, later + 60_000)).toEqual([true, false, false])
  })

  test("for twelve hours, and no more once the server is back", async () => {
    const attestation = await attest("1.1.1.1")
    expect(await kept({ attestation, byMember: true }, list, NOW + 12 * HOUR)).toEqual([true, false, false])
    expect(await kept({ attestation, byMember: true }, list, NOW + 12 * HOUR + 1)).toEqual([false, false, false])
    evidence.serverUp = true
    expect(await kept({ attestation, byMember: true }, list, NOW + HOUR)).toEqual([false, false, false])
  })

  test("one that still holds needs no member and no budget", async () => {
    const attestation = await attest("1.1.1.1")
    for (let i = 0; i < 5; i++) expect(await kept({ attestation }, list)).toEqual([true, false, false])
  })

  test("one public address at most", async () => {
    // Of an IPv6 address its /64 is attested: both are covered, one of them is kept.
    const later = NOW + HOUR
    const attestation = await attest("2600:1::1")
    const list = [candidate("2600:1::1"), candidate("2600:1::2")]
    expect(await kept({ attestation, byMember: true }, list, later)).toEqual([true, false])
    expect(refused).toEqual(["too-many"])
  })
})

describe("our own addresses", () => {
  test("are shown without those that everybody would refuse", () => {
    const list = [
      candidate("169.254.1.1"),
      candidate("192.168.1.7"),
      candidate("0badc0de-1234-4abc-8def-0123456789ab.local"),
      candidate("3.3.3.3", "srflx"),
      { ...candidate("3.3.3.3"), address: at("3.3.3.3", 99) },
      candidate("7.7.7.7", "relay"),
    ]
    expect(
      evidence
        .ownGate()
        .admit(list)
        .map((entry) => entry !== undefined),
    ).toEqual([false, true, true, true, false, true])
    expect(refused).toEqual([])
  })

  test("of servers that this page used before stay good, the last four of them", async () => {
    const observers = await Promise.all(Array.from({ length: 4 }, () => createIdentity()))
    const attestation = await attest("1.1.1.1")
    for (const observer of observers.slice(0, 3)) evidence.trust(observer.entityId)
    expect(await kept({ attestation }, [candidate("1.1.1.1")])).toEqual([true])
    evidence.trust(observers[3]!.entityId)
    expect(await kept({ attestation }, [candidate("1.1.1.1")])).toEqual([false])
  })
})
