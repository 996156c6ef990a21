/** Announcements as bytes and as JSON, and the rules of tags. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { equalBytes, toHex } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import { codeOf, damaged, FUZZ_RUNS } from "../wire/testing.ts"
import type { Bytes } from "../wire/types.ts"
import { type Announcement, MAX_ALLOW_LIST } from "./announcement.ts"
import {
  decodeAnnouncement,
  decodeAnnouncementBody,
  encodeAnnouncement,
  encodeAnnouncementBody,
  requireGenuine,
  signAnnouncement,
  withHopCount,
} from "./announcement-codec.ts"
import { formatAnnouncementJson, parseAnnouncementJson } from "./announcement-json.ts"
import { buildTags, parseMembership, stripReservedMetadata } from "./tags.ts"
import { announcementOf, testSigner } from "./testing.ts"

const alice = await testSigner(1)
const full = announcementOf(alice, {
  version: 7n,
  tags: ["nrpc:echo", "nat:cone", `subnet:${"ab".repeat(16)}`],
  metadata: new Map([
    ["note", 'quo"te\n€'],
    ["__proto__", "x"],
    ["1", ""],
  ]),
  reflex: [
    { family: 6, address: new Uint8Array([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), port: 443 },
    { family: 4, address: new Uint8Array([192, 0, 2, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), port: 0 },
  ],
  generation: 3,
  allowedNodes: ["000000000000002a", "00000000deadbeef"],
  allowedSubnets: [new Uint8Array(16).fill(2), new Uint8Array(16).fill(1)],
  allowedGroups: [new Uint8Array(32).fill(9)],
  certs: [new Uint8Array(149).fill(4)],
  strictMembership: true,
  pqHash: new Uint8Array(32).fill(6),
})
const small = announcementOf(alice)
const signedFull = await signAnnouncement(full, alice)
const signedSmall = await signAnnouncement(small, alice)
const nodes = (count: number) => Array.from({ length: count }, (_, i) => (i + 1).toString(16).padStart(16, "0"))

describe("bodies (2.3)", () => {
  test("AUTH-R3: 64 entries pass, 65 are refused by builder and reader alike", () => {
    const lists: [keyof Announcement, (count: number) => unknown][] = [
      ["allowedNodes", nodes],
      ["allowedSubnets", (count) => nodes(count).map((_, i) => new Uint8Array(16).fill(i + 1))],
      ["allowedGroups", (count) => nodes(count).map((_, i) => new Uint8Array(32).fill(i + 1))],
    ]
    for (const [field, make] of lists) {
      const at = (count: number) => encodeAnnouncementBody({ ...small, [field]: make(count) })
      expect((decodeAnnouncementBody(at(MAX_ALLOW_LIST))[field] as unknown[]).length).toBe(64)
      expect(codeOf(() => at(MAX_ALLOW_LIST + 1))).toBe("AllowListTooLong")
    }
  })

  test("AUTH-R6: no lists and empty lists are the same bytes", () => {
    const { allowedNodes: _, ...without } = small
    expect(toHex(encodeAnnouncementBody({ ...without, allowedNodes: [] }))).toBe(toHex(encodeAnnouncementBody(small)))
    expect(decodeAnnouncementBody(encodeAnnouncementBody(small))).toEqual(small)
  })

  test("builders take lists in any order, and nothing that a reader refuses", () => {
    expect(toHex(encodeAnnouncementBody({ ...full, allowedNodes: [...full.allowedNodes].reverse() }))).toBe(
      toHex(signedFull.body),
    )
    const wrong: [Partial<Announcement>, string][] = [
      [{ tags: ["a", "a"] }, "NonCanonical"],
      [{ tags: ["a b"] }, "BadField"],
      [{ ttlSeconds: 1.5 }, "BadField"],
      [{ ttlSeconds: 86_401 }, "BadField"],
      [{ version: 0n }, "BadField"],
      [{ metadata: new Map([["k", "x".repeat(4097)]]) }, "BadField"],
      [{ metadata: new Map([["k", "\ud800"]]) }, "BadField"],
      [{ extensions: new Map([[16, 1]]) }, "UnknownCriticalField"],
      [{ extensions: new Map([[64, new Uint8Array(12_288)]]) }, "BadField"],
    ]
    for (const [fields, code] of wrong) expect(codeOf(() => encodeAnnouncementBody({ ...small, ...fields }))).toBe(code)
  })

  test("WIRE-R1: unknown fields 64 to 255 pass and stay, others are critical", async () => {
    const extended = announcementOf(alice, { extensions: new Map([[200, ["x", 1]]]) })
    const signed = await signAnnouncement(extended, alice)
    expect((await requireGenuine(decodeAnnouncement(encodeAnnouncement(signed)))).announcement).toEqual(extended)
    expect(codeOf(() => formatAnnouncementJson(signed))).toBe("UsageError")
  })
})

describe("payloads (2.2)", () => {
  test("the hop count is outside of the signature, everything else is inside (AUTH-R7, P5)", async () => {
    const payload = encodeAnnouncement(signedSmall)
    expect((await requireGenuine(decodeAnnouncement(withHopCount(payload, 15)))).hopCount).toBe(15)
    const accepted: number[] = []
    await Promise.all(
      Array.from({ length: payload.length * 8 }, async (_, bit) => {
        const changed = payload.slice()
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        try {
          await requireGenuine(decodeAnnouncement(changed))
          accepted.push(bit)
        } catch (error) {
          if (!isAvError(error)) throw error
        }
      }),
    )
    // Only hop counts 1, 2, 4 and 8: bits 8 to 11.
    expect(accepted.sort((a, b) => a - b)).toEqual([8, 9, 10, 11])
  })

  test("AUTH-R8: a victim's node id under another key", async () => {
    const mallory = await testSigner(2)
    const forged = await signAnnouncement({ ...announcementOf(mallory), nodeId: alice.nodeId }, mallory)
    await expect(requireGenuine(forged)).rejects.toMatchObject({ code: "NodeIdMismatch" })
  })

  test("any bytes: a value or a typed error, and what is accepted encodes to itself", () => {
    const samples = [
      encodeAnnouncement(signedFull),
      encodeAnnouncement(signedSmall),
      withHopCount(encodeAnnouncement(signedFull), 9),
    ]
    fuzz(samples, (bytes) =>
      encodeAnnouncement({ ...decodeAnnouncement(bytes), body: encodeAnnouncementBody(decodeAnnouncement(bytes).announcement) }),
    )
    fuzz([signedFull.body, signedSmall.body], (bytes) => encodeAnnouncementBody(decodeAnnouncementBody(bytes)))
  })
})

function fuzz(samples: Bytes[], roundTrip: (bytes: Bytes) => Bytes): void {
  for (const sample of samples) expect(equalBytes(roundTrip(sample), sample)).toBe(true)
  const inputs = fc.oneof({ weight: 3, arbitrary: damaged(samples) }, fc.uint8Array({ maxLength: 200 }))
  fc.assert(
    fc.property(inputs, (bytes) => {
      try {
        return equalBytes(roundTrip(bytes), bytes)
      } catch (error) {
        return isAvError(error)
      }
    }),
    { numRuns: FUZZ_RUNS },
  )
}

describe("JSON (2.3)", () => {
  test("JSON to body and back is the identity, and verifies when the bytes do", async () => {
    for (const signed of [signedFull, signedSmall]) {
      const json = formatAnnouncementJson(signed)
      expect([json.endsWith("}\n"), json.indexOf("\n")]).toEqual([true, json.length - 1])
      const back = await requireGenuine(parseAnnouncementJson(json))
      expect(toHex(back.body)).toBe(toHex(signed.body))
      expect(formatAnnouncementJson(back)).toBe(json)
      const other = parseAnnouncementJson(json.replace('"ttl_s":300', '"ttl_s":301'))
      await expect(requireGenuine(other)).rejects.toMatchObject({ code: "BadSignature" })
    }
  })

  test("addresses have their usual short form", () => {
    const address = (groups: string) => Uint8Array.from(groups.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))
    const forms = {
      "20010db8000000000000000000000001": "[2001:db8::1]:1",
      "00000000000000000000000000000000": "[::]:1",
      "00000000000000000000000000000001": "[::1]:1",
      "20010db8000000000000000000000000": "[2001:db8::]:1",
      "20010000000000010000000000000001": "[2001:0:0:1::1]:1",
      "20010000000100010001000100010001": "[2001:0:1:1:1:1:1:1]:1",
      "00010000000000020003000000000004": "[1::2:3:0:0:4]:1",
    }
    for (const [hex, text] of Object.entries(forms)) {
      const a = announcementOf(alice, { reflex: [{ family: 6, address: address(hex), port: 1 }] })
      const json = formatAnnouncementJson({ ...signedSmall, announcement: a })
      expect(json).toContain(`"reflex":["${text}"]`)
      expect(parseAnnouncementJson(json).announcement).toEqual(a)
    }
  })

  test("what does not belong there is refused", () => {
    const json = formatAnnouncementJson(signedFull)
    const changed = (from: string, to: string) => codeOf(() => parseAnnouncementJson(json.replace(from, to)))
    expect(changed("{", '{"extra":1,')).toBe("BadField")
    expect(changed("{", '{"__proto__":1,')).toBe("BadField")
    expect(changed('"version":"7"', '"version":7')).toBe("BadField")
    expect(changed('"ttl_s":300', '"ttl_s":"300"')).toBe("BadField")
    expect(changed('"ttl_s":300,', "")).toBe("MissingField")
    expect(changed('"flags":1', '"flags":0')).toBe("NonCanonical")
    expect(changed("[2001:", "2001:")).toBe("BadField")
    expect(changed("}", "")).toBe("Malformed")
    expect(codeOf(() => parseAnnouncementJson("[]"))).toBe("Malformed")
    expect(codeOf(() => parseAnnouncementJson("{}"))).toBe("MissingField")
    expect(codeOf(() => parseAnnouncementJson(" ".repeat(200_000)))).toBe("Malformed")
    // Operators may write node ids in other ways.
    expect(parseAnnouncementJson(json.replace('"000000000000002a"', '"42"')).announcement).toEqual(
      parseAnnouncementJson(json).announcement,
    )
  })

  test("any text: a value or a typed error", () => {
    const samples = [formatAnnouncementJson(signedFull), formatAnnouncementJson(signedSmall)].map((text) =>
      new TextEncoder().encode(text),
    )
    fc.assert(
      fc.property(fc.oneof(damaged(samples), fc.uint8Array({ maxLength: 100 })), (bytes) => {
        const text = new TextDecoder().decode(bytes)
        try {
          const parsed = parseAnnouncementJson(text)
          return equalBytes(encodeAnnouncementBody(parsed.announcement), parsed.body)
        } catch (error) {
          return isAvError(error)
        }
      }),
      { numRuns: FUZZ_RUNS },
    )
  })
})

describe("tags (2.4)", () => {
  const subnet = (n: number) => `subnet:${n.toString(16).padStart(32, "0")}`

  test("AUTH-R1, R2: several subnets are none, in any order; one named twice is that one", () => {
    const tags = [subnet(1), "x", subnet(2), `group:${"0f".repeat(32)}`]
    for (const order of [tags, [...tags].reverse()])
      expect(parseMembership(order)).toMatchObject({ subnet: undefined, collapsed: true })
    expect(parseMembership([subnet(10), subnet(10).replace(/a$/, "A")])).toMatchObject({ collapsed: false })
    expect(parseMembership([subnet(10), subnet(10).replace(/a$/, "A")]).subnet?.[15]).toBe(10)
  })

  test("membership does not depend on the order of tags", () => {
    const tag = fc.oneof(
      fc.integer({ min: 1, max: 3 }).map(subnet),
      fc.integer({ min: 1, max: 3 }).map((n) => `group:${n.toString(16).padStart(64, "0")}`),
      fc.constantFrom("SUBNET:1", "subnet:xyz", "group:", "a"),
    )
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 8 }), fc.nat(), (tags, turn) => {
        const turned = tags.map((_, i) => tags[(i + turn) % tags.length] as string)
        expect(parseMembership(turned)).toEqual(parseMembership(tags))
      }),
    )
  })

  test("applications cannot announce what is reserved, nor a NAT class of their own", () => {
    expect(codeOf(() => buildTags(["scope:x"], [], undefined))).toBe("ReservedPrefix")
    expect(codeOf(() => buildTags(["no space"], [], undefined))).toBe("BadField")
    expect(buildTags(["nat:open", "a", "a"], ["echo"], "cone")).toEqual(["a", "nrpc:echo", "nat:cone"])
  })

  test("reserved metadata is stripped, the rest kept", () => {
    const kept = stripReservedMetadata(
      new Map(["intent", "owner", "priority", "colocate-with", "colocate-with-strict", "note"].map((k) => [k, ""])),
    )
    expect([...kept.keys()]).toEqual(["note"])
  })
})

test("known answer of the specification's appendix", async () => {
  const seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
  const { signerFromSeeds } = await import("../identity/index.ts")
  const signer = await signerFromSeeds(Uint8Array.from(seed.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)))
  const fields = {
    version: 7n,
    issuedMs: 1_750_000_000_000n,
    tags: ["nrpc:echo", "nat:cone"],
    allowedNodes: ["00000000deadbeef", "000000000000002a"],
  }
  const signed = await signAnnouncement(announcementOf(signer, fields), signer)
  expect(toHex(signed.signature)).toBe(
    "4e95b9b462e6d8316ac7a3a3bbea9c1e1bd097aafa3e99f2494c726f9a9404b74c484fa36b586b8538a58030eb87a3fd037c84e4592272f03c770cd403b05a07",
  )
})
