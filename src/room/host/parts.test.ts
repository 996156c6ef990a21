/** The parts of host tools: who waits, whose streams count, which rights came with the settings. */
import { describe, expect, it } from "vitest"
import { ed25519PublicKey, ed25519Sign } from "../../crypto/index.ts"
import { RoomRights, rightChannel } from "../../membership/index.ts"
import { encodeChain, issueToken } from "../../token/index.ts"
import { equalBytes } from "../../wire/bytes.ts"
import type { ParticipantState } from "../../wire/index.ts"
import type { Bytes } from "../../wire/types.ts"
import { Grants } from "./grants.ts"
import { PublishGate } from "./publish-gate.ts"
import { WaitingList } from "./waiting-list.ts"

const NOW = 1_750_000_000_000

describe("the list of those who wait", () => {
  it("shows each once, the oldest first, and forgets whoever is not heard of any more", () => {
    const list = new WaitingList()
    expect(list.asking("a", "Ann", NOW)).toBe(true)
    expect(list.asking("b", "", NOW + 1_000)).toBe(true)
    expect(list.asking("a", "Ann", NOW + 20_000)).toBe(false)
    expect(list.list).toEqual([
      { id: "a", name: "Ann", since: NOW },
      { id: "b", name: "", since: NOW + 1_000 },
    ])
    expect(list.expire(NOW + 66_000)).toBe(true)
    expect(list.list.map(({ id }) => id)).toEqual(["a"])
    expect([list.drop("a"), list.drop("a"), list.clear()]).toEqual([true, false, false])
  })

  it("is bounded", () => {
    const list = new WaitingList()
    for (let i = 0; i < 200; i++) list.asking(`k${i}`, "", NOW)
    expect(list.list).toHaveLength(64)
  })
})

describe("whose streams count", () => {
  const state = (name: string, chain?: Bytes): ParticipantState => {
    const track = { label: "camera", kind: "video" as const, source: "camera" as const, muted: false, streams: [] }
    return { version: 1n, name, tracks: [track], links: [], relay: true, ...(chain === undefined ? {} : { chain }) }
  }

  function later() {
    let resolve: (may: boolean) => void = () => {}
    const promise = new Promise<boolean>((done) => {
      resolve = done
    })
    return { promise, resolve }
  }

  function gate() {
    let asks = false
    const answers = new Map<Bytes, { resolve: (may: boolean) => void; promise: Promise<boolean> }>()
    const applied: [string, string, number][] = []
    const made = new PublishGate({
      asks: () => asks,
      mayPublish(_keyId, chain) {
        if (chain === undefined) return Promise.resolve(false)
        const held = answers.get(chain) ?? later()
        answers.set(chain, held)
        return held.promise
      },
      apply: (keyId, { name, tracks }) => void applied.push([keyId, name, tracks.length]),
    })
    const ask = (on: boolean) => {
      asks = on
    }
    return { gate: made, applied, answers, ask }
  }
  const settled = () => new Promise((resolve) => setTimeout(resolve))

  it("everybody's, at once, while the room does not ask", () => {
    const { gate: made, applied } = gate()
    made.state("a", state("one"))
    made.state("a", state("two"))
    expect(applied).toEqual([
      ["a", "one", 1],
      ["a", "two", 1],
    ])
  })

  it("only theirs who show a right; and nobody's while it is being checked", async () => {
    const { gate: made, applied, answers, ask } = gate()
    ask(true)
    const chain = new Uint8Array([1])
    made.state("a", state("with", chain))
    made.state("b", state("without"))
    await settled()
    expect(applied).toEqual([["b", "without", 0]])
    answers.get(chain)?.resolve(true)
    await settled()
    expect(applied).toEqual([
      ["b", "without", 0],
      ["a", "with", 1],
    ])
    made.again()
    await settled()
    expect(applied).toHaveLength(2)
  })

  it("an answer about an older state, or about somebody who left, changes nothing", async () => {
    const { gate: made, applied, answers, ask } = gate()
    ask(true)
    const [old, fresh] = [new Uint8Array([1]), new Uint8Array([2])]
    made.state("a", state("old", old))
    made.state("a", state("fresh", fresh))
    answers.get(fresh)?.resolve(false)
    await settled()
    answers.get(old)?.resolve(true)
    await settled()
    expect(applied).toEqual([["a", "fresh", 0]])
    const gone = new Uint8Array([3])
    made.state("b", state("gone", gone))
    made.forget("b")
    answers.get(gone)?.resolve(true)
    await settled()
    expect(applied).toHaveLength(1)
  })

  it("comes and goes with what the room asks for", async () => {
    const { gate: made, applied, ask } = gate()
    made.state("a", state("x"))
    ask(true)
    made.again()
    await settled()
    ask(false)
    made.again()
    expect(applied).toEqual([
      ["a", "x", 1],
      ["a", "x", 0],
      ["a", "x", 1],
    ])
  })
})

describe("rights that came with the settings", () => {
  const person = (byte: number) => {
    const seed = new Uint8Array(32).fill(byte)
    return { entityId: ed25519PublicKey(seed), signEd25519: (message: Bytes) => ed25519Sign(seed, message) }
  }
  const [root, ann, bob] = [person(1), person(2), person(3)]
  const chainOf = async (issuer: typeof root, subject: Bytes, right: "host" | "publish" | "relay", generation = 0) => {
    const { hash, scope } = rightChannel("r", root.entityId, right)
    const request = { subject, scope, channelHash: hash, ttlSeconds: 3_600, generation, now: BigInt(NOW / 1000) }
    return encodeChain([await issueToken(issuer, request)])
  }

  it("are worth what their chains prove, for the member they name", async () => {
    let floor = 0
    const grants = new Grants(new RoomRights("r", () => floor))
    const list = [
      { keyId: "ann", right: "host" as const, chain: await chainOf(root, ann.entityId, "host") },
      { keyId: "ann", right: "publish" as const, chain: await chainOf(root, ann.entityId, "publish") },
      // Of another entity, of another right, signed by somebody else, and nonsense.
      { keyId: "bob", right: "host" as const, chain: await chainOf(root, ann.entityId, "host") },
      { keyId: "bob", right: "relay" as const, chain: await chainOf(root, bob.entityId, "publish") },
      { keyId: "bob", right: "publish" as const, chain: await chainOf(bob, bob.entityId, "publish") },
      { keyId: "bob", right: "host" as const, chain: new Uint8Array([9]) },
    ]
    expect(await grants.take(list, root.entityId, () => NOW)).toBe(true)
    const rights = (keyId: string, entity: Bytes | undefined, at = NOW) =>
      grants.of(keyId, entity, at).map((held) => held.grant.right)
    expect(rights("ann", ann.entityId)).toEqual(["host", "publish"])
    expect(rights("ann", bob.entityId)).toEqual([])
    expect(rights("ann", undefined)).toEqual([])
    expect(rights("bob", bob.entityId)).toEqual([])
    expect([grants.isHost(ann.entityId, NOW), grants.isHost(bob.entityId, NOW)]).toEqual([true, false])
    expect(rights("ann", ann.entityId, NOW + 2 * 3_600_000)).toEqual([])
    floor = 1
    expect([rights("ann", ann.entityId), grants.isHost(ann.entityId, NOW)]).toEqual([[], false])
  })

  it("are judged by the clock of whom they must convince", async () => {
    const grants = new Grants(new RoomRights("r", () => 0))
    const list = [
      { keyId: "ann", right: "host" as const, chain: await chainOf(root, ann.entityId, "host") },
      { keyId: "bob", right: "host" as const, chain: await chainOf(root, bob.entityId, "host") },
    ]
    // Ann is this device; its clock is ten minutes slow, the room's is right.
    const timeFor = (entity: Bytes) => (equalBytes(entity, ann.entityId) ? NOW : NOW - 600_000)
    await grants.take(list, root.entityId, timeFor)
    expect(grants.of("ann", ann.entityId, timeFor(ann.entityId))).toHaveLength(1)
    expect(grants.isHost(bob.entityId, timeFor(bob.entityId))).toBe(false)
  })

  it("an older list that is proven later does not come back", async () => {
    const grants = new Grants(new RoomRights("r", () => 0))
    const one = [{ keyId: "ann", right: "host" as const, chain: await chainOf(root, ann.entityId, "host") }]
    const results = await Promise.all([grants.take(one, root.entityId, () => NOW), grants.take([], root.entityId, () => NOW)])
    expect(results).toEqual([false, true])
    expect(grants.of("ann", ann.entityId, NOW)).toEqual([])
  })
})
