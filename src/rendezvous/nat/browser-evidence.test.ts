import { describe, expect, it } from "vitest"
import { type AddressBlock, addressFromText } from "../../wire/address.ts"
import { addressesToAsk, browserObservations, type LocalCandidate, readLocalCandidate } from "./browser-evidence.ts"
import { classifyNat } from "./classify.ts"
import { areEnough, readStunUrl, stunServers } from "./stun-servers.ts"

const at = (host: string, port: number): AddressBlock => addressFromText(host, port)!
const servers = stunServers([{ urls: "stun:5.5.5.5" }, { urls: "turn:5.5.5.5" }, { urls: "stun:6.6.6.6:19302" }], [])
const all = new Set(servers.map(({ url }) => url))
const chromium = (host: string, port: number, network = 1) =>
  readLocalCandidate(
    `candidate:842163049 1 udp 1677729535 ${host} ${port} typ srflx raddr 0.0.0.0 rport 0 generation 0 ufrag x network-id ${network} network-cost 10`,
  )!
const classOf = (candidates: LocalCandidate[], entries: [AddressBlock, number][] = [], answered = new Set<string>()) => {
  const replies = entries.map(([address, observerIndex]) => ({ address, observerIndex }))
  const observations = browserObservations({ candidates, entries: replies, servers, answered })
  return classifyNat({ observations, hostAddresses: [], override: false, dialBack: false })?.class
}

describe("STUN servers", () => {
  it("are those that were configured, once each, with their place in the server's list", () => {
    expect(servers).toEqual([
      { url: "stun:5.5.5.5:3478", host: "5.5.5.5", port: 3_478, index: 0 },
      { url: "stun:6.6.6.6:19302", host: "6.6.6.6", port: 19_302, index: 2 },
    ])
    const own = stunServers(
      servers.map(({ url }) => ({ urls: url })),
      [{ urls: ["stun:5.5.5.5:3478", "stun:[2600::1]"] }],
    )
    expect(own.map(({ url, index }) => [url, index])).toEqual([
      ["stun:5.5.5.5:3478", 0],
      ["stun:6.6.6.6:19302", 1],
      ["stun:[2600::1]:3478", undefined],
    ])
    for (const no of ["stuns:a", "turn:a", "stun:", "stun:a:0", "stun:a:70000", "stun:a@b", "https://a"]) {
      expect(readStunUrl(no)).toBeUndefined()
    }
    expect(areEnough(stunServers([], [{ urls: ["stun:a:1", "stun:a:2"] }]))).toBe(false)
    expect(stunServers([], [{ urls: Array.from({ length: 20 }, (_, i) => `stun:s${i}`) }])).toHaveLength(8)
  })
})

describe("candidates of a browser", () => {
  it("are read with what tells their socket", () => {
    expect(chromium("1.1.1.1", 5_000)).toMatchObject({ type: "srflx", base: " network-id 1" })
    const shown = readLocalCandidate("candidate:2 1 UDP 1685987327 1.1.1.1 5000 typ srflx raddr 10.0.0.2 rport 4000", "stun:a")
    const host = readLocalCandidate("candidate:1 1 udp 2122252543 10.0.0.2 4000 typ host")
    expect(shown).toMatchObject({ type: "srflx", base: host?.base, url: "stun:a" })
    const hidden = readLocalCandidate("candidate:7 1 UDP 1685987327 1.1.1.1 5000 typ srflx raddr 0.0.0.0 rport 9")
    expect(hidden?.base).toBe("foundation 7")
    for (const line of [
      "candidate:1 1 tcp 1518280447 1.1.1.1 9 typ host tcptype active",
      "candidate:1 1 udp 2122252543 0d1f2a3b-1111-2222-3333-444455556666.local 4000 typ host",
      "candidate:1 1 udp 1 1.1.1.1 4000 typ relay raddr 2.2.2.2 rport 1",
      "candidate:1 1 udp 1 1.1.1.1 0 typ srflx raddr 0.0.0.0 rport 0",
      "",
    ]) {
      expect(readLocalCandidate(line)).toBeUndefined()
    }
    const many = Array.from({ length: 12 }, (_, i) => chromium("1.1.1.1", 5_000 + i))
    expect(addressesToAsk([host!, ...many, many[0]!]).map(({ port }) => port)).toEqual([
      5_000, 5_001, 5_002, 5_003, 5_004, 5_005, 5_006, 5_007,
    ])
  })

  it("make a cone when observers on two hosts saw one mapping", () => {
    const one = [chromium("1.1.1.1", 5_000)]
    const mapped = at("1.1.1.1", 5_000)
    expect(classOf(one)).toBeUndefined()
    expect(classOf(one, [[mapped, 0]])).toBeUndefined()
    expect(
      classOf(one, [
        [mapped, 0],
        [mapped, 2],
      ]),
    ).toBe("cone")
    // Indexes that nobody has, and addresses that are not ours, say nothing.
    expect(
      classOf(one, [
        [mapped, 0],
        [mapped, 1],
        [at("9.9.9.9", 5_000), 2],
      ]),
    ).toBeUndefined()
    // Without the server's word: the browser would have told of a server that did not answer.
    expect(classOf(one, [], all)).toBe("cone")
    expect(classOf(one, [[mapped, 0]], new Set(["stun:6.6.6.6:19302"]))).toBe("cone")
  })

  it("make it symmetric when one socket has two mappings", () => {
    const two = [chromium("1.1.1.1", 5_000), chromium("1.1.1.1", 5_001)]
    expect(classOf(two)).toBe("symmetric")
    expect(
      classOf(
        two,
        [
          [at("1.1.1.1", 5_000), 0],
          [at("1.1.1.1", 5_001), 2],
        ],
        all,
      ),
    ).toBe("symmetric")
    // Two networks of one machine are no NAT.
    expect(classOf([chromium("1.1.1.1", 5_000), chromium("7.7.7.7", 5_001, 2)])).toBeUndefined()
    expect(classOf([chromium("1.1.1.1", 5_000), chromium("7.7.7.7", 5_001, 2)], [], all)).toBe("cone")
  })

  it("say nothing of a family in which no server can be asked", () => {
    const six = readLocalCandidate("candidate:1 1 udp 2122252543 2600::9 4000 typ host")!
    expect(classOf([six], [], all)).toBeUndefined()
    expect(classOf([six, chromium("1.1.1.1", 5_000), chromium("1.1.1.1", 5_001)], [], all)).toBe("symmetric")
    const named = stunServers([], [{ urls: ["stun:one.example", "stun:two.example"] }])
    const answered = new Set(named.map(({ url }) => url))
    const seenBy = (candidates: LocalCandidate[]) =>
      browserObservations({ candidates, entries: [], servers: named, answered }).length
    expect([seenBy([six]), seenBy([six, chromium("1.1.1.1", 5_000)])]).toEqual([0, 2])
  })

  it("go by who is outside, and never call a page open", () => {
    const host = readLocalCandidate("candidate:1 1 udp 2122252543 8.8.4.4 4000 typ host")!
    const seen: [AddressBlock, number][] = [
      [host.address, 0],
      [host.address, 2],
    ]
    expect(classOf([host], seen)).toBe("cone")
    // One observer in the own network: not a second mapping to be compared with.
    const inside = readLocalCandidate("candidate:2 1 udp 1685987327 10.0.0.2 4000 typ srflx raddr 10.0.0.2 rport 4000")!
    const outside = readLocalCandidate("candidate:2 1 udp 1685987327 1.1.1.1 5000 typ srflx raddr 10.0.0.2 rport 4000")!
    expect(
      classOf(
        [inside, outside],
        [
          [inside.address, 0],
          [outside.address, 2],
        ],
      ),
    ).toBeUndefined()
  })
})
