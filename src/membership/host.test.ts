/** What hosts do in a room, and what nobody else can (RM-18, RM-34 to RM-36). */
import { describe, expect, it } from "vitest"
import { encodeChain, issueToken, SCOPE } from "../token/index.ts"
import { equalBytes } from "../wire/bytes.ts"
import { DEFAULT_SETTINGS, encodeSettingsBody, parseSettingsBody, type RoomSettings } from "../wire/room-settings.ts"
import { seededRandom } from "../wire/seeded.ts"
import type { Bytes } from "../wire/types.ts"
import { type RightClaim, RoomRights, rightChannel } from "./rights.ts"
import { START, TestNetwork } from "./test-network.ts"
import { type TestIdentity, type TestNode, testIdentity } from "./test-node.ts"

const ROOM = "test-room"
const HOUR = 3_600

function rightsOf(floor = 0): RoomRights {
  return new RoomRights(ROOM, () => floor)
}

async function chainFor(
  root: TestIdentity,
  subject: Bytes,
  right: "host" | "publish" | "relay" = "host",
  { scope, ttlSeconds = HOUR, at = START }: { scope?: number; ttlSeconds?: number; at?: number } = {},
): Promise<Bytes> {
  const channel = rightChannel(ROOM, root.peer.entityId, right)
  const signer = { entityId: root.peer.entityId, signEd25519: root.sign }
  const now = BigInt(Math.floor(at / 1000))
  const request = { subject, scope: scope ?? channel.scope, channelHash: channel.hash, ttlSeconds, generation: 0, now }
  return encodeChain([await issueToken(signer, request)])
}

/** The founder is the root; the others come one after the other. */
async function room(seed: number, labels: readonly string[]): Promise<{ net: TestNetwork; nodes: TestNode[] }> {
  const net = new TestNetwork(seed)
  const nodes: TestNode[] = []
  for (const label of labels) {
    nodes.push(net.add(label, { rights: rightsOf() }))
    expect(await net.run(10_000, () => net.agreed())).toBe(true)
  }
  await net.run(3_000)
  return { net, nodes }
}

const KNOCK: RoomSettings = { ...DEFAULT_SETTINGS, barred: [], admission: "knock" }

describe("the door of a room that asks", () => {
  it("keeps a newcomer waiting until the host has decided, and then no longer than a moment", async () => {
    const { net, nodes } = await room(1, ["host", "member"])
    const [host, member] = nodes as [TestNode, TestNode]
    net.feed(host, { type: "settings", settings: KNOCK })
    await net.run(500)
    const guest = net.add("guest", { rights: rightsOf() })
    expect(await net.run(10_000, () => guest.machine.phase === "waiting")).toBe(true)
    await net.run(200)
    expect(host.saw("asking").map(({ keyId, name }) => [keyId, name])).toEqual([[guest.keyId, "guest"]])
    expect(member.saw("asking")).toHaveLength(1)
    // Somebody who is no host decides: nothing happens but a warning at that page.
    net.feed(member, { type: "decide", keyId: guest.keyId, admit: true })
    await net.run(3_000)
    expect(member.saw("warning").map(({ error }) => error.code)).toEqual(["NotAllowed"])
    expect(guest.machine.phase).toBe("waiting")
    const decidedAt = net.now
    net.feed(host, { type: "decide", keyId: guest.keyId, admit: true })
    expect(await net.run(10_000, () => net.agreed())).toBe(true)
    expect(net.now - decidedAt).toBeLessThan(2_000)
    expect(member.saw("decided").map(({ keyId, admit }) => [keyId, admit])).toEqual([[guest.keyId, true]])
  })

  it("says no at once to whoever is declined, and forgets a knock that stops", async () => {
    const { net, nodes } = await room(2, ["host"])
    const [host] = nodes as [TestNode]
    net.feed(host, { type: "settings", settings: KNOCK })
    await net.run(500)
    const guest = net.add("guest")
    expect(await net.run(10_000, () => guest.machine.phase === "waiting")).toBe(true)
    const decidedAt = net.now
    net.feed(host, { type: "decide", keyId: guest.keyId, admit: false })
    expect(await net.run(10_000, () => guest.finished || guest.saw("failed").length > 0)).toBe(true)
    expect(net.now - decidedAt).toBeLessThan(2_000)
    expect(guest.saw("failed").map(({ error }) => error.code)).toEqual(["AdmissionDeclined"])
  })

  it("lets everybody in who waits when it does not ask any more, and tells hosts again of whoever waits long", async () => {
    const { net, nodes } = await room(3, ["host"])
    const [host] = nodes as [TestNode]
    net.feed(host, { type: "settings", settings: KNOCK })
    await net.run(500)
    const guest = net.add("guest", { rights: rightsOf() })
    expect(await net.run(10_000, () => guest.machine.phase === "waiting")).toBe(true)
    await net.run(45_000)
    const told = host.saw("asking").length
    expect(told).toBeGreaterThanOrEqual(2)
    expect(told).toBeLessThanOrEqual(4)
    const opened = net.now
    net.feed(host, { type: "settings", settings: { ...KNOCK, admission: "invited" } })
    expect(await net.run(10_000, () => net.agreed())).toBe(true)
    expect(net.now - opened).toBeLessThan(2_000)
  })
})

describe("orders of a host", () => {
  it("silence a member by asking it, whoever it is", async () => {
    const { net, nodes } = await room(4, ["host", "a", "b"])
    const [host, a, b] = nodes as [TestNode, TestNode, TestNode]
    net.feed(host, { type: "mute", keyId: a.keyId })
    net.feed(b, { type: "mute", keyId: a.keyId })
    await net.run(1_000)
    expect(a.saw("muteAsked").map(({ by }) => equalBytes(by, host.identity.peer.entityId))).toEqual([true])
    expect(b.saw("muteAsked")).toEqual([])
    expect(b.saw("warning")).toHaveLength(1)
  })

  it("remove a member, whose key and old link are worth nothing then, and who does not learn the new secret", async () => {
    const { net, nodes } = await room(5, ["host", "a", "b"])
    const [host, a, b] = nodes as [TestNode, TestNode, TestNode]
    net.feed(host, { type: "remove", keyId: b.keyId })
    expect(await net.run(10_000, () => !a.memberIds.includes(b.keyId) && b.saw("failed").length > 0)).toBe(true)
    await net.run(2_000)
    expect(b.saw("failed").map(({ error }) => error.code)).toEqual(["Removed"])
    const last = (node: TestNode) => node.saw("settings").at(-1)?.settings
    expect(last(a)).toMatchObject({ barred: [b.keyId], invite: { generation: 1 } })
    expect(b.saw("settings").some(({ settings }) => settings.invite !== undefined)).toBe(false)
    // With another key and the old link: good for a minute, then no more.
    await net.run(65_000)
    const back = net.add("b again")
    expect(await net.run(20_000, () => back.saw("failed").length > 0)).toBe(true)
    expect(back.saw("failed").map(({ error }) => error.code)).toEqual(["InvitationRefused"])
    const guest = net.add("guest", { secret: last(a)!.invite!.k, rights: rightsOf() })
    expect(await net.run(20_000, () => net.agreed([host, a, guest]))).toBe(true)
  })

  it("can keep the link as it is", async () => {
    const { net, nodes } = await room(6, ["host", "a", "b"])
    const [host, a, b] = nodes as [TestNode, TestNode, TestNode]
    net.feed(host, { type: "remove", keyId: b.keyId, keepInvitation: true })
    expect(await net.run(10_000, () => !a.memberIds.includes(b.keyId))).toBe(true)
    await net.run(3_000)
    expect(a.saw("settings").map(({ settings }) => [settings.barred, settings.invite])).toEqual([[[b.keyId], undefined]])
  })
})

describe("a host by token", () => {
  it("gives orders and settings that hold everywhere", async () => {
    const { net, nodes } = await room(7, ["root", "deputy", "a"])
    const [root, deputy, a] = nodes as [TestNode, TestNode, TestNode]
    const chain = await chainFor(root.identity, deputy.identity.peer.entityId)
    expect(deputy.machine.isHost).toBe(false)
    net.feed(deputy, { type: "hostChain", chain })
    expect(deputy.machine.isHost).toBe(true)
    net.feed(deputy, { type: "settings", settings: { ...KNOCK, maxMembers: 9 } })
    await net.run(1_000)
    expect(root.saw("settings").map(({ settings }) => settings.maxMembers)).toEqual([9])
    net.feed(deputy, { type: "remove", keyId: a.keyId })
    expect(await net.run(10_000, () => !root.memberIds.includes(a.keyId) && a.saw("failed").length > 0)).toBe(true)
    expect(a.saw("failed").map(({ error }) => error.code)).toEqual(["Removed"])
    expect(await net.run(5_000, () => net.agreed([root, deputy]))).toBe(true)
    net.feed(deputy, { type: "hostChain", chain: undefined })
    expect(deputy.machine.isHost).toBe(false)
  })

  it.each([
    [
      "the token of another member",
      (root: TestNode, _d: TestNode, a: TestNode) => chainFor(root.identity, a.identity.peer.entityId),
    ],
    ["a token it signed itself", (_r: TestNode, d: TestNode) => chainFor(d.identity, d.identity.peer.entityId)],
    ["another right", (root: TestNode, d: TestNode) => chainFor(root.identity, d.identity.peer.entityId, "publish")],
    [
      "too small a right",
      (root: TestNode, d: TestNode) => chainFor(root.identity, d.identity.peer.entityId, "host", { scope: SCOPE.PUBLISH }),
    ],
    [
      "a token that has ended",
      (root: TestNode, d: TestNode) =>
        chainFor(root.identity, d.identity.peer.entityId, "host", { at: START - 10 * HOUR * 1000 }),
    ],
    ["nonsense", async () => new Uint8Array([1, 2, 3])],
  ])("is refused by everybody with %s", async (_what, make) => {
    const { net, nodes } = await room(8, ["root", "deputy", "a"])
    const [root, deputy, a] = nodes as [TestNode, TestNode, TestNode]
    net.feed(deputy, { type: "hostChain", chain: await make(root, deputy, a) })
    net.feed(deputy, { type: "mute", keyId: a.keyId })
    net.feed(deputy, { type: "settings", settings: KNOCK })
    net.feed(deputy, { type: "remove", keyId: a.keyId })
    await net.run(3_000)
    expect(a.saw("muteAsked")).toEqual([])
    expect([...root.saw("settings"), ...a.saw("settings")]).toEqual([])
    expect(root.memberIds).toContain(a.keyId)
    expect(root.machine.counters.OrderInvalid).toBeGreaterThan(0)
    expect(root.machine.counters.SettingsInvalid).toBeGreaterThan(0)
  })
})

describe("rights", () => {
  const random = seededRandom(9).bytes
  const [root, ann] = [testIdentity(random), testIdentity(random)]
  const claim = (right: RightClaim["right"], chain: Bytes | undefined, entityId = ann.peer.entityId): RightClaim => {
    return { right, entityId, chain, root: root.peer.entityId }
  }

  it("end with their time and with the floor of the root", async () => {
    const chain = await chainFor(root, ann.peer.entityId, "publish")
    let floor = 0
    const rights = new RoomRights(ROOM, () => floor)
    const proven = await rights.prove(claim("publish", chain), START)
    expect(proven && rights.stillHeld(proven, START + 1_000)).toBe(true)
    expect(proven && rights.stillHeld(proven, START + 2 * HOUR * 1_000)).toBe(false)
    floor = 1
    expect(proven && rights.stillHeld(proven, START + 1_000)).toBe(false)
    expect(await rights.prove(claim("publish", chain), START)).toBeUndefined()
    // Receivers of a commit must agree whatever floors they know.
    expect(await rights.heldThen(claim("publish", chain), START)).toBe(true)
  })

  it("are for one room, one root and one thing", async () => {
    const chain = await chainFor(root, ann.peer.entityId, "relay")
    expect(await rightsOf().prove(claim("relay", chain), START)).toBeDefined()
    expect(await rightsOf().prove(claim("publish", chain), START)).toBeUndefined()
    expect(await new RoomRights("other", () => 0).prove(claim("relay", chain), START)).toBeUndefined()
    expect(await rightsOf().prove({ ...claim("relay", chain), root: ann.peer.entityId }, START)).toBeUndefined()
    // The root's word is enough for orders; as a publisher it shows a chain like everybody.
    expect(await rightsOf().prove(claim("host", undefined, root.peer.entityId), START)).toBeDefined()
    expect(await rightsOf().prove(claim("publish", undefined, root.peer.entityId), START)).toBeUndefined()
  })

  it("travel with the settings; what is not understood there is left out", () => {
    const grant = { keyId: "mk1abc", right: "publish" as const, chain: new Uint8Array([1, 2]) }
    const body = encodeSettingsBody({ ...KNOCK, grants: [grant] })
    expect(parseSettingsBody(body).grants).toEqual([grant])
    const json = JSON.parse(new TextDecoder().decode(body))
    for (const grants of [7, "x", {}, [{ key_id: "mk1abc", right: "king", chain: "AQI=" }], [null]]) {
      const read = parseSettingsBody(new TextEncoder().encode(JSON.stringify({ ...json, grants })))
      expect(read.grants).toEqual([])
    }
    const many = Array.from({ length: 64 }, () => json.grants[0])
    expect(parseSettingsBody(new TextEncoder().encode(JSON.stringify({ ...json, grants: many }))).grants).toHaveLength(32)
  })

  it("name their channel as the room's rules say", () => {
    const { name } = rightChannel(ROOM, root.peer.entityId, "relay")
    expect(name).toMatch(/^room\/[0-9a-f]{32}\/relay$/)
    expect(name.slice(0, -"/relay".length)).toBe(rightChannel(ROOM, root.peer.entityId, "host").name)
    expect(name).not.toBe(rightChannel(ROOM, ann.peer.entityId, "relay").name)
  })
})
