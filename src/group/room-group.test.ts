/** The group as a room uses it: founding, joining, leaving, races and refusals. */
import { describe, expect, test, vi } from "vitest"
import { welcomeProof } from "../crypto/room-keys.ts"
import { utf8Decode, utf8Encode } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import { decodeWelcomeEnvelope } from "../wire/key-records.ts"
import { MlsEngine } from "./engine.ts"
import { readMessageHead } from "./message-head.ts"
import { admit, INVITE_KEY, makePeers, makeRoom, NOW, ROOM_ID, TestPeer } from "./test-peer.ts"
import { EPOCH_KEEP_MS } from "./types.ts"

async function codeOf(run: Promise<unknown>): Promise<string> {
  try {
    await run
  } catch (error) {
    return isAvError(error) ? error.code : `not typed: ${String(error)}`
  }
  return "no error"
}

async function agree(peers: TestPeer[]): Promise<void> {
  const views = await Promise.all(peers.map(({ group }) => group.view()))
  for (const view of views) {
    expect(view.tip).toEqual(views[0]?.tip)
    expect(view.roomCode).toBe(views[0]?.roomCode)
    expect(view.members.map(({ keyId }) => keyId)).toEqual(views[0]?.members.map(({ keyId }) => keyId))
  }
  for (const { rootSecret } of peers) expect(rootSecret).toEqual(peers[0]?.rootSecret)
}

describe("joining", () => {
  test("a batch of newcomers: one commit, one secret, one member list", async () => {
    const peers = await makeRoom(4)
    await agree(peers)
    const view = await (peers[3] as TestPeer).group.view()
    expect(view.epoch).toBe(1n)
    expect(view.members).toHaveLength(4)
    expect(view.members.every(({ verified }) => verified)).toBe(true)
    expect(view.roomCode).toMatch(/^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$/)
  })

  test("a later newcomer shares the new epoch and not the one before", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const before = a.rootSecret
    const [c] = (await makePeers(1)) as [TestPeer]
    await admit(b, [a, b], [c])
    await agree([a, b, c])
    expect(c.rootSecret).not.toEqual(before)
    expect(c.secrets).toHaveLength(1)
  })

  test("a key id that has a leaf is replaced in the same commit", async () => {
    const [a, b, c] = (await makeRoom(3)) as [TestPeer, TestPeer, TestPeer]
    const again = new TestPeer(b.identity)
    expect(await codeOf(a.group.stageCommit({ adds: [await again.request()], now: NOW }))).toBe("AlreadyMember")
    await admit(a, [a, c], [again], [b.keyId])
    await agree([a, c, again])
    expect((await a.group.view()).members).toHaveLength(3)
  })

  test("a slot refilled in the same commit does not hide the removal from the removed", async () => {
    const [a, b] = (await makeRoom(3)) as [TestPeer, TestPeer, TestPeer]
    const [d] = (await makePeers(1)) as [TestPeer]
    const staged = await a.group.stageCommit({ adds: [await d.request()], removes: [b.keyId], now: NOW })
    await b.group.learnKeys([d.keys])
    await b.group.learnRecords(staged.records, NOW)
    expect((await b.group.previewCommit(staged.bytes)).removesMe).toBe(true)
    expect(await codeOf(b.group.processCommit(staged.bytes, NOW))).toBe("RemovedFromGroup")
    expect(b.erased).toBe(1)
    expect(await codeOf(b.group.view())).toBe("UsageError")
  })

  test("refusals of a Welcome, each by name, and the group stays empty", async () => {
    const [a] = (await makeRoom(1)) as [TestPeer]
    const [b, c] = (await makePeers(2)) as [TestPeer, TestPeer]
    const staged = await a.group.stageCommit({ adds: [await b.request()], now: NOW })
    const [welcome] = staged.welcomes
    if (welcome === undefined) throw new Error("no welcome")
    const { canonical } = decodeWelcomeEnvelope(welcome.envelope)
    const leaves = await a.group.leafEvidence([a.keyId])
    const good = {
      roomId: ROOM_ID,
      envelope: welcome.envelope,
      inviter: a.keys,
      proof: welcomeProof(INVITE_KEY, canonical),
      inviteKey: INVITE_KEY,
      leaves,
      now: NOW,
    }
    const flipped = welcome.envelope.slice()
    flipped[flipped.length - 1] = (flipped[flipped.length - 1] as number) ^ 1
    expect(await codeOf(b.group.join({ ...good, proof: new Uint8Array(32) }))).toBe("InviterUnknown")
    expect(await codeOf(b.group.join({ ...good, inviter: c.keys }))).toBe("InviterUnknown")
    expect(await codeOf(b.group.join({ ...good, envelope: flipped }))).toBe("WelcomeSignatureRejected")
    expect(await codeOf(b.group.join({ ...good, envelope: flipped.slice(0, -1) }))).toBe("WelcomeMalformed")
    expect(await codeOf(c.group.join(good))).toBe("KeyPackageUnknown")
    expect(await codeOf(b.group.join({ ...good, roomId: new Uint8Array(32) }))).toBe("RoomIdMismatch")
    expect(await codeOf(b.group.join({ ...good, leaves: [] }))).toBe("LeafIdentityUnverified")
    expect(b.secrets).toHaveLength(0)
    await a.group.confirm(staged.token, NOW)
    await b.group.join(good)
    await agree([a, b])
    expect(await codeOf(b.group.join(good))).toBe("AlreadyInitialized")
    expect(await codeOf(b.group.found(ROOM_ID, NOW))).toBe("AlreadyInitialized")
  })

  test("a newcomer seals nothing and believes nobody before it has verified the leaves", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const [c] = (await makePeers(1)) as [TestPeer]
    const staged = await a.group.stageCommit({ adds: [await c.request()], now: NOW })
    await a.group.confirm(staged.token, NOW)
    await b.group.learnKeys([c.keys])
    expect(await codeOf(b.group.processCommit(staged.bytes, NOW))).toBe("LeafIdentityUnverified")
    expect((await b.group.previewCommit(staged.bytes)).unverified).toEqual([c.keyId])
    expect(await b.group.learnRecords(staged.records, NOW)).toEqual([{ keyId: c.keyId, verified: true }])
    await b.group.processCommit(staged.bytes, NOW)
    await c.take(staged.welcomes[0] as never, a)
    expect(await c.group.unverifiedMembers()).toEqual([b.keyId])
    expect(await codeOf(c.group.protect(utf8Encode("hello")))).toBe("LeafIdentityUnverified")
    const fromB = await b.group.protect(utf8Encode("from b"))
    expect(await codeOf(c.group.open(fromB))).toBe("LeafIdentityUnverified")
    const verdicts = await c.group.learnLeaves(await a.group.leafEvidence([b.keyId]), NOW)
    expect(verdicts).toEqual([{ keyId: b.keyId, verified: true }])
    expect(utf8Decode((await c.group.open(fromB)).plaintext)).toBe("from b")
    await agree([a, b, c])
  })
})

describe("leaving", () => {
  test("a removed member cannot reach the next epoch", async () => {
    const [a, b, c] = (await makeRoom(3)) as [TestPeer, TestPeer, TestPeer]
    const last = b.rootSecret
    const staged = await a.group.stageCommit({ removes: [b.keyId], now: NOW })
    await a.group.confirm(staged.token, NOW)
    const change = await c.group.processCommit(staged.bytes, NOW)
    expect(change.removed).toEqual([b.keyId])
    expect(change.author).toBe(a.keyId)
    expect(await codeOf(b.group.processCommit(staged.bytes, NOW))).toBe("RemovedFromGroup")
    await agree([a, c])
    expect(b.rootSecret).toEqual(last)
    expect(a.rootSecret).not.toEqual(last)
    expect(a.secrets.at(-1)?.sealNow).toBe(true)
  })

  test("a leaver proposes, the committer sees who it was", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const bytes = await b.group.proposeLeave()
    expect(readMessageHead(bytes)).toMatchObject({ content: "proposal", epoch: 1n })
    expect(await a.group.openProposal(bytes)).toEqual({ epoch: 1n, sender: b.keyId, senderLeaf: 1, kind: "leave" })
    expect(await codeOf(a.group.openProposal(bytes))).toBe("ProcessFailed")
  })

  test("rules on operations hold before anything changes", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const [c] = (await makePeers(1)) as [TestPeer]
    const add = await c.request()
    const stage = (input: object) => codeOf(a.group.stageCommit({ now: NOW, ...input }))
    expect(await stage({ removes: [a.keyId] })).toBe("CannotRemoveSelf")
    expect(await stage({ removes: [c.keyId] })).toBe("MemberNotFound")
    expect(await stage({ removes: [b.keyId, b.keyId] })).toBe("DuplicateOp")
    expect(await stage({ adds: [add, add] })).toBe("DuplicateOp")
    expect(await stage({ adds: [{ ...add, keys: b.keys }] })).toBe("KeyPackageSignatureInvalid")
    expect(await stage({ adds: [add], now: NOW + 25 * 3_600_000 })).toBe("KeyPackageExpired")
    expect(await stage({ adds: [{ ...add, record: add.record.slice(1) }] })).toBe("Malformed")
    expect(await stage({ adds: [{ ...add, binding: (await b.request()).binding }] })).toBe("LeafIdentityUnverified")
    expect((await a.group.view()).epoch).toBe(1n)
  })
})

describe("commits", () => {
  test("nothing moves before confirm; a pending commit blocks another; abort clears it", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const staged = await a.group.stageCommit({ now: NOW, authenticatedData: utf8Encode('{"why":[]}') })
    expect((await a.group.view()).epoch).toBe(1n)
    expect(await codeOf(a.group.stageCommit({ now: NOW }))).toBe("CommitPending")
    const text = await a.group.protect(utf8Encode("still in epoch 1"))
    expect((await b.group.open(text)).epoch).toBe(1n)
    await a.group.abort(staged.token)
    expect(await codeOf(a.group.confirm(staged.token, NOW))).toBe("CommitConflict")
    const second = await a.group.stageCommit({ now: NOW })
    const preview = await b.group.previewCommit(second.bytes)
    expect(preview).toMatchObject({ author: a.keyId, authorLeaf: 0, epoch: 1n, removesMe: false, superseded: false })
    expect(await a.group.previewCommit(second.bytes)).toEqual(preview)
    await a.group.confirm(second.token, NOW)
    await b.group.processCommit(second.bytes, NOW)
    await agree([a, b])
  })

  test("reasons travel in authenticated data", async () => {
    const [a, b, c] = (await makeRoom(3)) as [TestPeer, TestPeer, TestPeer]
    const why = utf8Encode(`{"why":[{"key_id":"${c.keyId}","reason":"gone"}]}`)
    const staged = await a.group.stageCommit({ removes: [c.keyId], authenticatedData: why, now: NOW })
    const preview = await b.group.previewCommit(staged.bytes)
    expect(preview.authenticatedData).toEqual(why)
    expect(preview.removes).toMatchObject([{ keyId: c.keyId, leafIndex: 2 }])
    expect(await codeOf(a.group.stageCommit({ authenticatedData: new Uint8Array(8193), now: NOW }))).not.toBe("no error")
  })

  test("a race: the loser drops its commit, takes the winner's and commits again", async () => {
    const [a, b, c] = (await makeRoom(3)) as [TestPeer, TestPeer, TestPeer]
    const mine = await b.group.stageCommit({ now: NOW })
    const winner = await a.group.stageCommit({ now: NOW })
    await a.group.confirm(winner.token, NOW)
    await b.group.processCommit(winner.bytes, NOW)
    await c.group.processCommit(winner.bytes, NOW)
    expect(await codeOf(b.group.confirm(mine.token, NOW))).toBe("CommitConflict")
    expect(await codeOf(a.group.processCommit(mine.bytes, NOW))).toBe("ProcessFailed")
    const again = await b.group.stageCommit({ now: NOW })
    await b.group.confirm(again.token, NOW)
    for (const peer of [a, c]) await peer.group.processCommit(again.bytes, NOW)
    await agree([a, b, c])
  })

  test("an own commit that comes back by flood confirms the staged one", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const offer = await b.group.stageCommit({ now: NOW })
    await a.group.processCommit(offer.bytes, NOW)
    const change = await b.group.processCommit(offer.bytes, NOW)
    expect(change.author).toBe(b.keyId)
    await agree([a, b])
  })

  test("fork: members go back to the state before and follow the winner", async () => {
    const [a, b, c, d] = (await makeRoom(4)) as [TestPeer, TestPeer, TestPeer, TestPeer]
    const winner = await a.group.stageCommit({ now: NOW })
    await a.group.confirm(winner.token, NOW)
    await b.group.processCommit(winner.bytes, NOW)
    const loser = await c.group.stageCommit({ now: NOW })
    await c.group.confirm(loser.token, NOW)
    await d.group.processCommit(loser.bytes, NOW)
    const built = await d.group.stageCommit({ now: NOW })
    await d.group.confirm(built.token, NOW)
    await c.group.processCommit(built.bytes, NOW)
    for (const peer of [c, d]) {
      const preview = await peer.group.previewCommit(winner.bytes)
      expect(preview).toMatchObject({ superseded: true, authorLeaf: 0, epoch: 1n })
      expect((await peer.group.previewCommit(loser.bytes)).authorLeaf).toBe(2)
      await peer.group.restoreEpoch(preview.epoch)
      await peer.group.processCommit(winner.bytes, NOW)
    }
    await agree([a, b, c, d])
    expect((await d.group.view()).epoch).toBe(2n)
  })

  test("old epochs are kept 15 s and four at most", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const late = await a.group.protect(utf8Encode("late"))
    const later = await a.group.protect(utf8Encode("too late"))
    const step = async (now: number) => {
      const staged = await a.group.stageCommit({ now })
      await a.group.confirm(staged.token, now)
      await b.group.processCommit(staged.bytes, now)
      return staged
    }
    const first = await step(NOW)
    expect(utf8Decode((await b.group.open(late)).plaintext)).toBe("late")
    expect(await codeOf(b.group.open(late))).toBe("ProcessFailed")
    await b.group.expire(NOW + EPOCH_KEEP_MS)
    expect(await codeOf(b.group.open(later))).toBe("UnknownEpoch")
    expect(await codeOf(b.group.restoreEpoch(1n))).toBe("UnknownEpoch")
    expect(await codeOf(b.group.previewCommit(first.bytes))).toBe("UnknownEpoch")
    for (let i = 0; i < 5; i++) await step(NOW + EPOCH_KEEP_MS)
    expect(await codeOf(b.group.restoreEpoch(2n))).toBe("UnknownEpoch")
    expect((await b.group.restoreEpoch(3n)).epoch).toBe(3n)
  })
})

describe("messages", () => {
  test("order, loss and replay", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const texts: Uint8Array[] = []
    for (let i = 0; i < 40; i++) texts.push(await a.group.protect(utf8Encode(`m${i}`)))
    const open = async (i: number) => utf8Decode((await b.group.open(texts[i] as Uint8Array)).plaintext)
    expect(await open(39)).toBe("m39")
    expect(await open(3)).toBe("m3")
    expect(await codeOf(open(3))).toBe("ProcessFailed")
    expect(await codeOf(open(39))).toBe("ProcessFailed")
    expect(await codeOf(a.group.open(texts[5] as Uint8Array))).toBe("ProcessFailed")
    const tampered = (texts[7] as Uint8Array).slice()
    tampered[tampered.length - 3] = (tampered[tampered.length - 3] as number) ^ 1
    expect(await codeOf(b.group.open(tampered))).toBe("ProcessFailed")
    expect(await open(7)).toBe("m7")
    expect(await codeOf(a.group.protect(new Uint8Array(65_537)))).toBe("MessageTooLarge")
  })

  test("leaf signatures bind label, content and member", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const state = utf8Encode("state")
    const signature = await a.group.signWithLeaf("holomesh participant state", state)
    const check = (label: string, keyId: string, content: Uint8Array) => b.group.verifyWithLeaf(keyId, label, content, signature)
    expect(await check("holomesh participant state", a.keyId, state)).toBe(true)
    expect(await check("another label", a.keyId, state)).toBe(false)
    expect(await check("holomesh participant state", b.keyId, state)).toBe(false)
    expect(await check("holomesh participant state", a.keyId, utf8Encode("other"))).toBe(false)
    expect(await check("holomesh participant state", "mk1nobody", state)).toBe(false)
  })

  test("a commit is opened once, also when a message is opened between looking at it and taking it", async () => {
    const [a, b] = (await makeRoom(2)) as [TestPeer, TestPeer]
    const text = await a.group.protect(utf8Encode("hello"))
    const { bytes } = await a.group.stageCommit({ now: NOW })
    const open = vi.spyOn(MlsEngine.prototype, "open")
    try {
      await b.group.previewCommit(bytes)
      expect(utf8Decode((await b.group.open(text)).plaintext)).toBe("hello")
      await b.group.processCommit(bytes, NOW)
      expect(open).toHaveBeenCalledTimes(1)
    } finally {
      open.mockRestore()
    }
    expect((await b.group.view()).epoch).toBe(2n)
  })
})
