/** Offers of files as others write them, how fast files go out, and chunks over real sessions behind the gate. */
import { afterEach, describe, expect, it } from "vitest"
import { sha256Sync } from "../../crypto/index.ts"
import { TREE_CHUNK } from "../../store/tree/manifest.ts"
import { SharedTree, sourceOf } from "../../transfer/index.ts"
import { equalBytes, utf8Encode } from "../../wire/bytes.ts"
import { isAvError } from "../../wire/errors.ts"
import { FRAME_BLOB } from "../../wire/frame.ts"
import { TestMesh, type TestPeer } from "../rpc/test-mesh.ts"
import { BlobDesk } from "./blob-desk.ts"
import { decodeOffers, encodeOffers } from "./offers.ts"
import { UploadPace } from "./upload-pace.ts"

describe("offers", () => {
  const ref = { size: 10, chunks: [new Uint8Array(32).fill(7)] }
  const offer = { name: "trip", files: 3, bytes: 10, ref }

  it("come back as they were, with an id that their content decides", () => {
    const [first, second] = decodeOffers(encodeOffers([offer, { ...offer, name: "again" }])) ?? []
    expect(first).toMatchObject(offer)
    expect(first?.id).toBe(second?.id)
    expect(decodeOffers(encodeOffers([]))).toEqual([])
  })

  it("of others are bounded, and what is not understood is left out", () => {
    const json = JSON.parse(new TextDecoder().decode(encodeOffers([offer])))
    const read = (change: object) =>
      decodeOffers(utf8Encode(JSON.stringify({ v: 1, offers: [{ ...json.offers[0], ...change }] })))
    const bad = [
      { name: "" },
      { name: "x".repeat(256) },
      { name: "a\nb" },
      { name: "\ud800" },
      { name: 7 },
      { files: -1 },
      { files: 1.5 },
      { files: 1e9 },
      { bytes: "1" },
      { ref: "!" },
      { ref: "AAAA" },
      { ref: 7 },
    ]
    for (const change of bad) expect([change, read(change)]).toEqual([change, []])
    for (const text of ["", "7", "null", "[]", "{}", '{"v":2,"offers":[]}', '{"v":1,"offers":7}', "{"]) {
      expect(decodeOffers(utf8Encode(text))).toBeUndefined()
    }
    expect(decodeOffers(new Uint8Array([0xff]))).toBeUndefined()
    expect(decodeOffers(new Uint8Array(40_000).fill(32))).toBeUndefined()
    const many = Array.from({ length: 100 }, () => json.offers[0])
    expect(decodeOffers(utf8Encode(JSON.stringify({ v: 1, offers: many })))).toHaveLength(64)
    expect(() => encodeOffers(Array.from({ length: 65 }, () => offer))).toThrow("LimitExceeded")
  })
})

describe("the pace of files", () => {
  /** Bytes that may go in ten seconds. */
  function inTenSeconds(pace: UploadPace, routed: boolean): number {
    let sent = 0
    for (let now = 0; now < 10_000; ) {
      const wait = pace.take(16_000, routed, now)
      if (wait === 0) sent += 16_000
      // Timers know whole milliseconds.
      now += Math.ceil(wait)
    }
    return sent
  }

  it("leaves room for the call, more or less as the application wants", () => {
    const pace = new UploadPace()
    expect(inTenSeconds(pace, false) * 0.8).toBeCloseTo(8_000_000, -6)
    const slow = new UploadPace()
    slow.uplink = 2_000_000
    // A quarter of what the person allows for everything.
    const bitrate = inTenSeconds(slow, false) * 0.8
    expect(bitrate).toBeLessThan(600_000)
    expect(bitrate).toBeGreaterThan(400_000)
  })

  it("spares the server", () => {
    const routed = inTenSeconds(new UploadPace(), true)
    expect(routed).toBeLessThan(262_144)
    expect(routed).toBeGreaterThan(100_000)
  })

  it("knows no bound where none is wanted", () => {
    const pace = new UploadPace()
    pace.bitrate = undefined
    for (let i = 0; i < 1_000; i++) expect(pace.take(16_000, false, 0)).toBe(0)
  })
})

describe("chunks over linked peers", () => {
  let mesh = new TestMesh()
  afterEach(() => {
    mesh.close()
    mesh = new TestMesh()
  })

  async function pair() {
    const [a, b] = await Promise.all([mesh.peer(), mesh.peer()])
    const content = Uint8Array.from({ length: TREE_CHUNK }, (_, i) => i & 0xff)
    const tree = await SharedTree.of([{ path: "f", kind: "file", mode: 0, source: sourceOf(content) }])
    const fast = () => {
      const pace = new UploadPace()
      pace.bitrate = undefined
      return pace
    }
    const desks = [
      new BlobDesk(a.plane, fast(), (id) => tree.read(id)),
      new BlobDesk(b.plane, fast(), async () => undefined),
    ] as const
    const link = await mesh.link(a, b)
    return { a, b, content, id: sha256Sync(content), desks, link }
  }
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => "fetched",
      (error: unknown) => (isAvError(error) ? error.code : String(error)),
    )
  const node = ({ signer }: TestPeer) => signer.nodeId

  it("go only to those whom the announcement admits", async () => {
    const { a, b, content, id, desks } = await pair()
    const ask = () => desks[1].client.fetch(node(a), id, content.length)
    expect(await codeOf(ask())).toBe("BlobRefused")
    desks[0].serve(true)
    expect(equalBytes(await ask(), content)).toBe(true)
    a.capabilities.announce({ policy: { participants: [a.id] } })
    expect(await codeOf(ask())).toBe("BlobRefused")
    a.capabilities.announce({ policy: { participants: [b.id] } })
    expect(equalBytes(await ask(), content)).toBe(true)
    desks[0].serve(false)
    expect(await codeOf(ask())).toBe("BlobRefused")
  })

  it("nonsense is counted, and honest requests beside it are answered", async () => {
    const { a, content, id, desks, link } = await pair()
    desks[0].serve(true)
    for (const bytes of [[], [9], [1, 0, 0, 0, 5], [2, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], [3, 0, 0, 0, 77, 0]]) {
      link.sessions[1].sendFrame(FRAME_BLOB, new Uint8Array(bytes))
    }
    expect(equalBytes(await desks[1].client.fetch(node(a), id, content.length), content)).toBe(true)
    expect(a.plane.stats().dropped["malformed-blob"]).toBe(5)
  })

  it("end with the session", async () => {
    const { a, content, id, desks, link } = await pair()
    desks[0].serve(true)
    const fetching = codeOf(desks[1].client.fetch(node(a), id, content.length))
    link.close()
    expect(await fetching).toBe("SessionClosed")
  })
})
