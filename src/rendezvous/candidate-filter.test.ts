import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type AddressBlock, addressFromText, CANDIDATE_TYPES, type CandidateEntry } from "../wire/address.ts"
import { equalBytes } from "../wire/bytes.ts"
import { addressRange, CandidateFilter } from "./candidate-filter.ts"

const at = (host: string, port = 50_000): AddressBlock => addressFromText(host, port)!
const candidate = (address: AddressBlock, type: CandidateEntry["type"] = "host"): CandidateEntry => ({
  address,
  type,
  protocol: "udp",
  priority: 1,
})
const MDNS = "0badc0de-1234-4abc-8def-0123456789ab.local"

describe("candidate filter", () => {
  const evidence = { peerAttested: [at("1.1.1.1", 0)], ownAttested: [at("9.9.9.9", 0)], relayAllow: [at("8.8.8.8", 0)] }

  it("NAT-R1: keeps a shifted port of an attested address and nothing a third party could own", () => {
    const judge = (...list: CandidateEntry[]) => new CandidateFilter(evidence).filter(list).reasons
    expect(
      judge(candidate(at("1.1.1.1", 1_024), "srflx"), candidate(at("1.1.1.1", 65_535)), candidate(at("1.1.1.2"), "srflx")),
    ).toEqual([null, null, "unattested"])
    expect(
      judge(candidate(at("8.8.8.8", 443), "relay"), candidate(at("8.8.8.8", 0), "relay"), candidate(at("8.8.4.4"), "relay")),
    ).toEqual([null, "relay-not-allowed", "relay-not-allowed"])
    expect(judge(candidate(at("8.8.8.8"), "srflx"))).toEqual(["unattested"])
    expect(judge({ ...candidate(at("1.1.1.1")), protocol: "tcp" }, candidate(at("1.1.1.1", 1_023)))).toEqual(["tcp", "port"])
    expect(judge(candidate(at(MDNS)), candidate(at("192.168.1.7")), candidate(at("10.0.0.1"), "srflx"))).toEqual([
      "mdns-cross-site",
      "private-cross-site",
      "private-cross-site",
    ])
    expect(judge(candidate(at("127.0.0.1")), candidate(at("fe80::1")), candidate(at("::1")))).toEqual(Array(3).fill("bad-range"))
  })

  it("lets neighbours of one site use what only works there", () => {
    const local = [
      candidate(at(MDNS)),
      candidate(at("192.168.1.7")),
      candidate(at("192.168.1.7"), "srflx"),
      candidate(at(MDNS), "srflx"),
    ]
    const expected = [null, null, "private-cross-site", "mdns-cross-site"]
    const same = { ...evidence, ownAttested: [at("1.1.1.1", 0)] }
    expect(new CandidateFilter(same).filter(local).reasons).toEqual(expected)
    const lan = { ...evidence, peerAttested: [at("10.1.2.3", 0)], ownAttested: [at("192.168.0.9", 0)] }
    expect(new CandidateFilter(lan).filter(local).reasons).toEqual(expected)
    const six = { ...evidence, peerAttested: [at("2001:4860:1:2:3::1", 0)], ownAttested: [at("2001:4860:1:2:ffff::9", 0)] }
    expect(new CandidateFilter(six).filter(local).reasons).toEqual(expected)
    expect(
      new CandidateFilter({
        ...evidence,
        ownAttested: [at("127.0.0.1", 0)],
        peerAttested: [at("127.0.0.1", 0)],
        allowLoopback: true,
      }).filter([candidate(at("127.0.0.1"))]).reasons,
    ).toEqual([null])
  })

  it("counts on over trickled candidates: two public addresses, eight blocks", () => {
    const many = { ...evidence, peerAttested: [at("1.1.1.1"), at("1.1.1.2"), at("1.1.1.3")] }
    const filter = new CandidateFilter(many)
    expect(filter.filter([candidate(at("1.1.1.1")), candidate(at("1.1.1.2"))]).kept).toEqual([0, 1])
    expect(filter.filter([candidate(at("1.1.1.3")), candidate(at("1.1.1.1", 50_001))]).reasons).toEqual(["too-many", null])
    const next = filter.filter(Array.from({ length: 8 }, (_, i) => candidate(at("8.8.8.8", 3_000 + i), "relay")))
    expect(next.reasons.map((reason) => reason === null)).toEqual([true, true, true, true, true, false, false, false])
    expect(filter.filter([candidate(at("1.1.1.1"))]).kept).toEqual([0])
  })

  it("judges one's own candidates without attestation", () => {
    const own = new CandidateFilter({ ...evidence, peerAttested: [], own: true })
    expect(own.filter([candidate(at("4.4.4.4"), "srflx"), candidate(at("169.254.1.1"))]).reasons).toEqual([null, "bad-range"])
  })

  it("knows the special ranges at their edges", () => {
    const ranges = (...hosts: string[]) => hosts.map((host) => addressRange(at(host)))
    expect(
      ranges(
        "9.255.255.255",
        "11.0.0.0",
        "172.15.0.1",
        "172.32.0.1",
        "100.63.0.1",
        "100.128.0.1",
        "192.0.1.1",
        "198.17.0.1",
        "198.20.0.1",
        "223.255.255.255",
      ),
    ).toEqual(Array(10).fill("public"))
    expect(
      ranges("10.0.0.0", "172.16.0.1", "172.31.0.1", "192.168.0.0", "100.64.0.1", "100.127.0.1", "fc00::1", "fdff::1"),
    ).toEqual(Array(8).fill("private"))
    expect(
      ranges(
        "0.1.2.3",
        "169.254.0.1",
        "192.0.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "198.19.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "64:ff9b::1",
        "fe80::1",
        "ff02::1",
        "2001:db8::1",
        "4000::1",
      ),
    ).toEqual(Array(16).fill("bad"))
  })

  it("never keeps an address outside of attested, same-site private and allowed relays", () => {
    const hosts = [
      "1.1.1.1",
      "1.1.1.2",
      "10.0.0.1",
      "192.168.3.4",
      "127.0.0.1",
      "0.0.0.0",
      "2001:4860::1",
      "2001:4860:0:1::1",
      "fd00::1",
      "fe80::1",
      "8.8.8.8",
      MDNS,
    ]
    const block = fc
      .record({ host: fc.constantFrom(...hosts), port: fc.constantFrom(0, 80, 1_024, 50_000) })
      .map(({ host, port }) => at(host, port))
    const entry = fc.record({
      address: block,
      type: fc.constantFrom(...CANDIDATE_TYPES),
      protocol: fc.constantFrom("udp" as const, "tcp" as const),
      priority: fc.constant(1),
    })
    const list = fc.array(
      block.filter(({ family }) => family !== 0),
      { maxLength: 4 },
    )
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 12 }), list, list, list, (candidates, peerAttested, ownAttested, relayAllow) => {
        const { kept } = new CandidateFilter({ peerAttested, ownAttested, relayAllow }).filter(candidates)
        const sameIp = (a: AddressBlock) => (b: AddressBlock) => a.family === b.family && equalBytes(a.address, b.address)
        const sameNet = (a: AddressBlock) => (b: AddressBlock) =>
          a.family === b.family && equalBytes(a.address.subarray(0, 8), b.address.subarray(0, 8))
        for (const index of kept) {
          const { address, type, protocol } = candidates[index]!
          const allowed =
            type === "relay"
              ? relayAllow.some(sameIp(address))
              : address.family === 0 || addressRange(address) === "private"
                ? type === "host" &&
                  (peerAttested.some((peer) => ownAttested.some(sameNet(peer))) ||
                    [peerAttested, ownAttested].every((all) => all.some((one) => addressRange(one) === "private")))
                : peerAttested.some(sameNet(address))
          expect(allowed && protocol === "udp" && address.port >= (type === "relay" ? 1 : 1_024)).toBe(true)
        }
      }),
      { numRuns: 10_000 },
    )
  })
})
