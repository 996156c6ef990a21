import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type AddressBlock, addressFromText } from "../../wire/address.ts"
import { decodeBindingResponse, encodeBindingRequest } from "../../wire/stun.ts"
import { networkKey } from "../evidence.ts"
import { StunObservers } from "./stun-observers.ts"

const at = (host: string, port: number): AddressBlock => addressFromText(host, port)!
const PLACES = [at("5.5.5.5", 3_478), at("5.5.5.5", 3_479), at("6.6.6.6", 3_478), at("2600::5", 3_478)]
const ask = (n = 0, fromElsewhere = false) => encodeBindingRequest({ transaction: new Uint8Array(12).fill(n), fromElsewhere })
const ada = at("1.1.1.1", 50_000)

function make(attested: readonly string[] = []) {
  return new StunObservers({ places: PLACES, isAttested: (source) => attested.includes(networkKey(source)) })
}

describe("STUN observers", () => {
  it("tell who asks where the question came from, from the address that was asked", () => {
    const observers = make()
    const reply = observers.received(ask(7), ada, 2, 0)
    expect(reply?.from).toBe(2)
    expect(decodeBindingResponse(reply!.bytes)).toEqual({ transaction: new Uint8Array(12).fill(7), mapped: ada })
    expect(observers.received(new Uint8Array(20), ada, 0, 0)).toBeUndefined()
    expect(observers.drops).toEqual({ "stun-malformed": 1 })
  })

  it("say which of them saw a source, for thirty seconds", () => {
    const observers = make()
    observers.received(ask(), ada, 0, 0)
    observers.received(ask(), ada, 2, 5_000)
    const unheard = at("1.1.1.1", 50_001)
    expect(observers.query([ada, unheard], "ada", 6_000)).toEqual({
      entries: [
        { address: ada, observerIndex: 0 },
        { address: ada, observerIndex: 2 },
      ],
      fresh: [ada],
      conflicts: 0,
    })
    expect(observers.query([ada], "ada", 30_001)).toEqual({
      entries: [{ address: ada, observerIndex: 2 }],
      fresh: [],
      conflicts: 0,
    })
    expect(observers.query([ada], "ada", 40_000).entries).toEqual([])
  })

  it("name no more pairs than a reply may hold", () => {
    const places = Array.from({ length: 9 }, (_, i) => at(`5.5.5.${i + 1}`, 3_478))
    const observers = new StunObservers({ places, isAttested: () => false })
    const named = Array.from({ length: 8 }, (_, i) => at(`1.1.${i}.1`, 50_000))
    for (const source of named) for (const index of places.keys()) observers.received(ask(), source, index, 0)
    expect(observers.query(named, "ada", 1).entries).toHaveLength(64)
  })

  it("keep a source for whoever named it first, until two minutes after its last request", () => {
    const observers = make()
    observers.received(ask(), ada, 0, 0)
    observers.query([ada], "ada", 1)
    expect(observers.query([ada], "eve", 2)).toEqual({ entries: [], fresh: [], conflicts: 1 })
    observers.received(ask(), ada, 0, 60_000)
    expect(observers.query([ada], "eve", 180_000)).toMatchObject({ conflicts: 1 })
    expect(observers.query([ada], "eve", 180_001)).toMatchObject({ conflicts: 0, entries: [] })
    observers.received(ask(), ada, 0, 190_000)
    expect(observers.query([ada], "eve", 190_001)).toMatchObject({ conflicts: 0, fresh: [ada] })
  })

  it("drop what is above the budget of an address, of a /64 in IPv6, without a word", () => {
    const observers = make()
    const answered = (source: (i: number) => AddressBlock) =>
      Array.from({ length: 30 }, (_, i) => observers.received(ask(i), source(i), 0, i)).filter((reply) => reply !== undefined)
        .length
    expect(answered((i) => at("1.1.1.1", 50_000 + i))).toBe(20)
    expect(answered((i) => at(`2600:1:2:3::${i + 1}`, 9_000))).toBe(20)
    expect(answered((i) => at(`1.1.2.${i}`, 50_000))).toBe(30)
    expect(observers.drops).toEqual({ "stun-budget": 20 })
    expect(observers.received(ask(), ada, 0, 10_001)).toBeDefined()
  })

  it("NAT-R8: answer from an address that was not contacted, only to who is attested there, four times in ten seconds", () => {
    const observers = make([networkKey(ada)])
    observers.received(ask(), ada, 0, 0)
    // Index 1 is the machine that was asked, 3 is another family.
    const reply = observers.received(ask(9, true), ada, 0, 10)
    expect(reply?.from).toBe(2)
    expect(decodeBindingResponse(reply!.bytes)?.mapped).toEqual(ada)
    const stranger = at("1.1.1.2", 50_000)
    expect(observers.received(ask(9, true), stranger, 0, 10)).toBeUndefined()
    const more = [11, 12, 13, 14].map((now) => observers.received(ask(9, true), ada, 0, now)?.from)
    expect(more).toEqual([2, 2, 2, undefined])
    // Who has asked both machines learns nothing by hearing from either.
    const known = at("1.1.1.1", 50_009)
    observers.received(ask(), known, 2, 20_000)
    expect(observers.received(ask(9, true), known, 0, 20_001)).toBeUndefined()
    expect(observers.drops).toEqual({ "dial-back-unattested": 1, "dial-back-budget": 1, "dial-back-nobody": 1 })
    expect(observers.counts).toEqual({ answered: 6, dialBacks: 4 })
  })

  it("never answer anybody but the source of the datagram, whatever comes", () => {
    const host = fc.constantFrom("1.1.1.1", "1.1.1.2", "2600::9", "5.5.5.5")
    const step = fc.record({
      host,
      port: fc.integer({ min: 1, max: 3 }),
      index: fc.nat(3),
      elsewhere: fc.boolean(),
      later: fc.nat(9_000),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const observers = make([networkKey(ada)])
        let now = 0
        for (const { host, port, index, elsewhere, later } of steps) {
          now += later
          const source = at(host, port)
          const reply = observers.received(ask(index, elsewhere), source, index, now)
          if (reply === undefined) continue
          expect(decodeBindingResponse(reply.bytes)?.mapped).toEqual(source)
          if (elsewhere) {
            expect(host).toBe("1.1.1.1")
            expect(PLACES[reply.from]?.address).not.toEqual(PLACES[index]?.address)
          } else expect(reply.from).toBe(index)
        }
      }),
      { numRuns: 30 },
    )
  })
})
