import { describe, expect, it } from "vitest"
import { createIdentity } from "../identity/index.ts"
import type { IdentitySigner } from "../identity/signer.ts"
import { KEX1_LENGTH, KEX2_LENGTH } from "../seal/outer/index.ts"
import type { Bytes } from "../wire/types.ts"
import { type KexAction, KexMachine } from "./kex.ts"

const random = (length: number) => crypto.getRandomValues(new Uint8Array(length))
const peerOf = (signer: IdentitySigner) => ({
  keyId: signer.keyId,
  entityId: signer.entityId,
  mlDsaPublicKey: signer.mlDsaPublicKey,
})
const machine = (own: IdentitySigner, other: IdentitySigner, now = 0) =>
  new KexMachine({ keyId: own.keyId, peer: peerOf(other), sign: (m) => own.signHybrid(m), random }, now)

async function pair() {
  const [one, two] = await Promise.all([createIdentity(), createIdentity()])
  const [low, high] = one.keyId < two.keyId ? [one, two] : [two, one]
  return { low, high, initiator: machine(low, high), responder: machine(high, low) }
}
const bodyOf = (actions: KexAction[]): Bytes => {
  const sent = actions.find((action) => action.kind === "send")
  if (sent === undefined) throw new Error("nothing was sent")
  return sent.body
}
const keyOf = (actions: KexAction[]) => actions.find((action) => action.kind === "key")?.sessionKey
const flip = (bytes: Bytes, at: number) => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

async function run(initiator: KexMachine, responder: KexMachine, now: number) {
  const kex2 = await responder.receive(1, bodyOf(await initiator.start(now)), now)
  const end = await initiator.receive(2, bodyOf(kex2), now)
  return [keyOf(end), keyOf(await responder.receive(3, bodyOf(end), now))] as const
}

describe("av.kex", () => {
  it("gives both sides one key, and another one at every run", async () => {
    const { initiator, responder } = await pair()
    expect([initiator.initiator, responder.initiator]).toEqual([true, false])
    const [first, theirs] = await run(initiator, responder, 10)
    expect(first).toHaveLength(32)
    expect(theirs).toEqual(first)
    expect(initiator.renewalDue(3_600_000)).toBe(false)
    expect(initiator.renewalDue(3_600_010)).toBe(true)
    expect(responder.renewalDue(3_600_010)).toBe(false)
    const [second, again] = await run(initiator, responder, 3_600_010)
    expect(second).toEqual(again)
    expect(second).not.toEqual(first)
  })

  it("refuses a renewal that comes too soon", async () => {
    const { initiator, responder } = await pair()
    await run(initiator, responder, 0)
    const kex1 = bodyOf(await initiator.start(1))
    await expect(responder.receive(1, kex1, 1)).rejects.toMatchObject({ code: "KexInvalid" })
  })

  it("refuses a signature over anything else", async () => {
    const { initiator, responder } = await pair()
    const kex2 = bodyOf(await responder.receive(1, bodyOf(await initiator.start(0)), 0))
    // A nonce, the classic half, the post-quantum half: each is covered.
    for (const at of [1130, 1140, KEX2_LENGTH - 1]) {
      await expect(initiator.receive(2, flip(kex2, at), 0)).rejects.toMatchObject({ code: "KexAuthFailed" })
    }
    const kex3 = bodyOf(await initiator.receive(2, kex2, 0))
    await expect(responder.receive(3, flip(kex3, 5), 0)).rejects.toMatchObject({ code: "KexAuthFailed" })
    expect(keyOf(await responder.receive(3, kex3, 0))).toHaveLength(32)
  })

  it("refuses a responder that signs with other keys", async () => {
    const { low, high } = await pair()
    const evil = await createIdentity()
    const initiator = machine(low, high)
    const impostor = new KexMachine({ keyId: high.keyId, peer: peerOf(low), sign: (m) => evil.signHybrid(m), random }, 0)
    const kex2 = bodyOf(await impostor.receive(1, bodyOf(await initiator.start(0)), 0))
    await expect(initiator.receive(2, kex2, 0)).rejects.toMatchObject({ code: "KexAuthFailed" })
  })

  it("refuses wrong lengths, wrong steps and keys of small order", async () => {
    const { initiator, responder } = await pair()
    const kex1 = bodyOf(await initiator.start(0))
    expect(kex1).toHaveLength(KEX1_LENGTH)
    const refused = [kex1.slice(1), new Uint8Array(0), flip(kex1, 0), Uint8Array.from([...kex1, 0])]
    for (const bytes of refused) await expect(responder.receive(1, bytes, 0)).rejects.toMatchObject({ code: "KexInvalid" })
    const zero = kex1.slice()
    zero.fill(0, 1, 33)
    await expect(responder.receive(1, zero, 0)).rejects.toMatchObject({ code: "KexInvalid" })
    // Coefficients of an ML-KEM key above the modulus.
    const outOfRange = kex1.slice()
    outOfRange.fill(0xff, 33, 33 + 1184)
    await expect(responder.receive(1, outOfRange, 0)).rejects.toMatchObject({ code: "KexInvalid" })
    await expect(initiator.receive(1, kex1, 0)).rejects.toMatchObject({ code: "KexInvalid" })
    await expect(responder.receive(3, kex1, 0)).rejects.toMatchObject({ code: "KexInvalid" })
    await expect(responder.start(0)).rejects.toMatchObject({ code: "KexInvalid" })
  })

  it("does not finish with an answer to another kex1", async () => {
    const { low, high, initiator, responder } = await pair()
    const other = machine(low, high)
    const kex2 = bodyOf(await responder.receive(1, bodyOf(await other.start(0)), 0))
    await initiator.start(0)
    await expect(initiator.receive(2, kex2, 0)).rejects.toMatchObject({ code: "KexAuthFailed" })
  })

  it("times out after five seconds, on either side", async () => {
    const { initiator, responder } = await pair()
    await initiator.start(1_000)
    initiator.checkTimeout(5_999)
    expect(() => initiator.checkTimeout(6_000)).toThrow(expect.objectContaining({ code: "KexTimeout" }))
    responder.checkTimeout(4_999)
    expect(() => responder.checkTimeout(5_000)).toThrow(expect.objectContaining({ code: "KexTimeout" }))
    expect(responder.nextWake).toBe(5_000)
  })

  it("refuses a peer with our own key id", async () => {
    const own = await createIdentity()
    expect(() => machine(own, own)).toThrow(expect.objectContaining({ code: "KexInvalid" }))
  })
})
