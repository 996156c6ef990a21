import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { candidateInit, parseCandidate, withUsablePort } from "./candidates.ts"
import { buildSdp, formatFingerprint, parseFingerprint, readSdp } from "./sdp.ts"

const fingerprint = Uint8Array.from({ length: 32 }, (_, index) => index * 7)
const fields = { ufrag: "ab+/", pwd: "0123456789abcdefghijkl", fingerprint }

describe("session descriptions for our own browser", () => {
  it("reads back what it builds", () => {
    for (const kind of ["offer", "answer"] as const) expect(readSdp(buildSdp(kind, fields))).toEqual(fields)
  })

  it("offers either DTLS role and answers as the active one", () => {
    expect(buildSdp("offer", fields)).toContain("a=setup:actpass\r\n")
    expect(buildSdp("answer", fields)).toContain("a=setup:active\r\n")
  })

  it("describes one data channel section, without candidates and without their end", () => {
    const sdp = buildSdp("offer", fields)
    expect(sdp.match(/^m=/gm)).toHaveLength(1)
    expect(sdp).toContain("m=application 9 UDP/DTLS/SCTP webrtc-datachannel")
    expect(sdp).toContain("a=ice-options:trickle")
    expect(sdp).not.toContain("candidate")
  })

  it("refuses a browser that tells too little", () => {
    for (const missing of ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint"]) {
      const sdp = buildSdp("offer", fields)
        .split("\r\n")
        .filter((line) => !line.startsWith(missing))
        .join("\r\n")
      expect(() => readSdp(sdp)).toThrow(expect.objectContaining({ code: "LinkFailed" }))
    }
    expect(() => readSdp("a=fingerprint:sha-1 AA:BB")).toThrow(expect.objectContaining({ code: "LinkFailed" }))
  })

  it("formats fingerprints both ways", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        expect(parseFingerprint(formatFingerprint(bytes))).toEqual(bytes)
      }),
    )
    expect(() => parseFingerprint("AB:CD")).toThrow(expect.objectContaining({ code: "LinkFailed" }))
  })
})

describe("candidates", () => {
  const lines = [
    "candidate:1 1 udp 2113937151 192.168.1.5 50000 typ host generation 0 ufrag ab+/ network-cost 999",
    "candidate:2 1 UDP 1677729535 203.0.113.9 50001 typ srflx raddr 192.168.1.5 rport 50000",
    "candidate:3 1 udp 2113937151 6ba7b810-9dad-11d1-80b4-00c04fd430c8.local 50002 typ host",
    "candidate:4 1 udp 33562367 2001:db8:0:0:0:0:0:1 50003 typ relay raddr :: rport 9",
  ]

  it("survive the way through an entry", () => {
    for (const line of lines) {
      const entry = parseCandidate(line)
      expect(entry).toBeDefined()
      const again = candidateInit(entry!, 0)
      expect(again.sdpMid).toBe("0")
      expect(parseCandidate(again.candidate!)).toEqual(entry)
    }
  })

  it("never tell the related address", () => {
    expect(candidateInit(parseCandidate(lines[1]!)!, 3).candidate).toBe(
      "candidate:3 1 udp 1677729535 203.0.113.9 50001 typ srflx raddr 0.0.0.0 rport 9",
    )
  })

  it("are left out when they cannot be sent", () => {
    const refused = [
      "candidate:1 1 tcp 1518280447 192.168.1.5 9 typ host tcptype active",
      "candidate:1 2 udp 2113937150 192.168.1.5 50001 typ host",
      "candidate:1 1 udp 2113937151 host.example 50000 typ host",
      "candidate:1 1 udp 2113937151 192.168.1.5 0 typ host",
      "candidate:1 1 udp 2113937151 192.168.1.5 70000 typ host",
      "candidate:1 1 udp 99999999999 192.168.1.5 50000 typ host",
      "candidate:1 1 udp 2113937151 192.168.1.5 50000 typ prflx",
      "",
    ]
    for (const line of refused) expect(parseCandidate(line)).toBeUndefined()
  })

  it("are parsed without an exception, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 120 }), (text) => {
        parseCandidate(text)
        parseCandidate(`candidate:1 1 udp 1 ${text} 5000 typ host`)
      }),
      { numRuns: 10_000 },
    )
  })

  it("reach the browser only when format and number allow it", () => {
    const host = parseCandidate(lines[0]!)!
    const mdns = parseCandidate(lines[2]!)!
    const relay = parseCandidate(lines[3]!)!
    const at = (port: number, of = host) => ({ ...of, address: { ...of.address, port } })
    expect(withUsablePort([host, mdns, relay])).toHaveLength(3)
    expect(withUsablePort([at(1023), at(0), at(0, relay)])).toEqual([])
    expect(withUsablePort([at(443, relay)])).toHaveLength(1)
    expect(withUsablePort(Array.from({ length: 40 }, () => host))).toHaveLength(8)
  })
})
