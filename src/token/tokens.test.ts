/** Tokens, chains and the wallet. */
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { publicOnly, signerFromSeeds } from "../identity/index.ts"
import { isAvError } from "../wire/errors.ts"
import { checkCodec, codeOf } from "../wire/testing.ts"
import type { Bytes } from "../wire/types.ts"
import { channelHash } from "./channel-hash.ts"
import { delegateToken, type IssueRequest, issueToken } from "./issue.ts"
import {
  authorizes,
  decodeToken,
  encodeUnsignedToken,
  joinToken,
  type PermissionToken,
  SCOPE,
  SCOPE_ALL,
  type SignedToken,
} from "./permission-token.ts"
import { MAX_TOKENS_PER_SLOT, TokenCache } from "./token-cache.ts"
import { type ChainQuestion, ChainVerifier, decodeChain, encodeChain } from "./token-chain.ts"
import { isExpired, isTokenSigned, timeFault } from "./validity.ts"

const [ROOT, MID, LEAF, EVE] = await Promise.all(
  [1, 2, 3, 4].map((n) => signerFromSeeds(new Uint8Array(32).fill(n))) as [S, S, S, S],
)
type S = ReturnType<typeof signerFromSeeds>
type Signer = Awaited<S>

const NOW = 1_760_000_000n
const ROOM = channelHash("room/a")
const noFloors = () => 0
const issue = (signer: Signer, subject: Signer, fields: Partial<IssueRequest> = {}) =>
  issueToken(signer, {
    subject: subject.entityId,
    scope: SCOPE.SUBSCRIBE | SCOPE.DELEGATE,
    channelHash: ROOM,
    ttlSeconds: 3_600,
    delegationDepth: 3,
    generation: 1,
    now: NOW,
    ...fields,
  })
const delegate = (parent: Bytes, signer: Signer, subject: Signer, fields = {}) =>
  delegateToken(decodeToken(parent), signer, {
    subject: subject.entityId,
    restrict: SCOPE_ALL,
    generation: 5,
    now: NOW,
    floorOf: noFloors,
    ...fields,
  })
const question = (fields: Partial<ChainQuestion> = {}): ChainQuestion => ({
  action: SCOPE.SUBSCRIBE,
  channelHash: ROOM,
  presenter: LEAF.entityId,
  roots: [ROOT.entityId],
  floorOf: noFloors,
  now: NOW,
  ...fields,
})

async function verdict(links: Bytes[], fields: Partial<ChainQuestion> = {}, verifier = new ChainVerifier()): Promise<string> {
  try {
    await verifier.verify(encodeChain(links), question(fields))
    return "Ok"
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
}

const toMid = await issue(ROOT, MID)
const toLeaf = await delegate(toMid, MID, LEAF)

describe("tokens (5.3, 5.4)", () => {
  test("P5: every flipped bit is refused; CHAN-R15: so are 169 bytes", async () => {
    const accepted: number[] = []
    await Promise.all(
      Array.from({ length: toMid.length * 8 }, async (_, bit) => {
        const changed = toMid.slice()
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        let token: SignedToken
        try {
          token = decodeToken(changed)
        } catch (error) {
          if (isAvError(error, "InvalidFormat")) return
          throw error
        }
        if (await isTokenSigned(token)) accepted.push(bit)
      }),
    )
    expect(accepted).toEqual([])
    expect(codeOf(() => decodeToken(toMid.slice(4)))).toBe("InvalidFormat")
  })

  test("any bytes, tokens and chains", () => {
    const codes = ["InvalidFormat"] as const
    checkCodec({
      decode: decodeToken,
      encode: (s) => joinToken(encodeUnsignedToken(s.token), s.signature),
      codes,
      samples: [toMid],
      maxLength: 180,
    })
    const chain = encodeChain([toMid, toLeaf])
    checkCodec({
      decode: decodeChain,
      encode: (tokens) => encodeChain(tokens.map((s) => joinToken(s.signedBytes, s.signature))),
      codes,
      samples: [chain],
      maxLength: 180,
    })
  })

  test("a key without its signing half issues nothing, nor does a dead source of randomness", async () => {
    const request = { subject: MID.entityId, scope: SCOPE.PUBLISH, channelHash: 1n, ttlSeconds: 60, generation: 0, now: NOW }
    await expect(issueToken(publicOnly(ROOT.entityId), request)).rejects.toMatchObject({ code: "ReadOnly" })
    const broken = () => {
      throw new Error("no randomness")
    }
    await expect(issueToken(ROOT, { ...request, random: broken })).rejects.toThrow("no randomness")
    await expect(issueToken(ROOT, { ...request, scope: SCOPE.PUBLISH | SCOPE.WILDCARD })).rejects.toMatchObject({
      code: "InvalidFormat",
    })
  })

  test("CHAN-R10: the tolerance is the same at both ends; without it the end is exclusive", () => {
    const token = { notBefore: 1_000n, notAfter: 2_000n } as PermissionToken
    const at = (now: bigint, skewSeconds?: number) => timeFault(token, skewSeconds === undefined ? { now } : { now, skewSeconds })
    expect([at(939n), at(940n), at(2_059n), at(2_060n)]).toEqual(["NotYetValid", undefined, undefined, "Expired"])
    expect([at(999n, 0), at(1_000n, 0), at(1_999n, 0), at(2_000n, 0)]).toEqual(["NotYetValid", undefined, undefined, "Expired"])
    expect([isExpired(token, 1_999n), isExpired(token, 2_000n)]).toEqual([false, true])
  })

  test("a shorter cap for delegated tokens, and nothing from a parent that lives on tolerance", async () => {
    const long = await issue(ROOT, MID, { ttlSeconds: 31_536_000 })
    const life = ({ token }: SignedToken) => Number(token.notAfter - token.notBefore)
    expect(life(decodeToken(await delegate(long, MID, LEAF)))).toBe(2_592_000)
    expect(life(decodeToken(await delegate(long, MID, LEAF, { maxTtlSeconds: 60 })))).toBe(60)
    expect(life(decodeToken(await delegate(long, MID, LEAF, { maxTtlSeconds: 9_999_999 })))).toBe(2_592_000)
    const short = await issue(ROOT, MID, { ttlSeconds: 100, skewSeconds: 0 })
    await expect(delegate(short, MID, LEAF, { now: NOW + 130n })).rejects.toMatchObject({ code: "Expired" })
  })
})

describe("chains (5.6)", () => {
  test("CHAN-R1, R4: rooted where we trust, and in the hand of the one it names", async () => {
    expect(await verdict([toMid, toLeaf])).toBe("Ok")
    expect(await verdict([await issue(EVE, LEAF)])).toBe("NotAuthorized")
    expect(await verdict([await issue(EVE, LEAF)], { roots: [] })).toBe("NotAuthorized")
    expect(await verdict([toMid, toLeaf], { presenter: EVE.entityId })).toBe("NotAuthorized")
  })

  test("CHAN-R6: the root's floor kills the whole chain, an intermediate's its own subtree", async () => {
    const last = await delegate(toLeaf, LEAF, EVE)
    const chain = [toMid, toLeaf, last]
    const floor = (entity: Bytes, n: number) => ({
      presenter: EVE.entityId,
      floorOf: (issuer: Bytes) => (issuer === entity || issuer.every((b, i) => b === entity[i]) ? n : 0),
    })
    const verifier = new ChainVerifier()
    expect(await verdict(chain, { presenter: EVE.entityId }, verifier)).toBe("Ok")
    expect(await verdict(chain, floor(ROOT.entityId, 2), verifier)).toBe("Revoked")
    expect(await verdict(chain, floor(MID.entityId, 6), verifier)).toBe("Revoked")
    expect(await verdict([toMid], { ...floor(MID.entityId, 6), presenter: MID.entityId }, verifier)).toBe("Ok")
    // token_dropped_by_generation: once per chain that failed for this reason alone.
    expect(verifier.droppedByGeneration).toBe(2)
  })

  test("what was verified once is checked again without its signatures, and for everything else", async () => {
    const verifier = new ChainVerifier()
    const chain = await verifier.verify(encodeChain([toMid, toLeaf]), question())
    expect(verifier.recheck(chain, question())).toBeUndefined()
    expect(verifier.recheck(chain, question({ now: NOW + 4_000n }))).toBe("Expired")
    expect(verifier.recheck(chain, question({ roots: [] }))).toBe("NotAuthorized")
    expect(verifier.recheck(chain, question({ channelHash: 1n }))).toBe("NotAuthorized")
    expect(verifier.recheck(chain, question({ floorOf: () => 9 }))).toBe("Revoked")
    // A link remembered as signed does not vouch for another one.
    const forged = toLeaf.with(172, 0).with(120, 7)
    expect(await verdict([toMid, forged], {}, verifier)).toBe("InvalidSignature")
  })

  test("CHAN-R5, narrowing: a chain never permits what one of its links does not; a splice is refused", async () => {
    const scope = fc.integer({ min: 1, max: 15 }).map((bits) => bits | SCOPE.DELEGATE)
    const runs = fc.asyncProperty(
      scope,
      scope,
      fc.integer({ min: 1, max: 15 }),
      fc.boolean(),
      async (first, second, action, wild) => {
        const parent = await issue(ROOT, MID, wild ? { scope: first | SCOPE.WILDCARD, channelHash: 0n } : { scope: first })
        // Signed by hand, so that it may claim more than its parent has.
        const child = await issue(MID, LEAF, { scope: second, delegationDepth: 1 })
        const result = await verdict([parent, child], { action })
        const links = [parent, child].map((bytes) => decodeToken(bytes).token)
        expect(result).toBe(links.every((token) => authorizes(token, action, ROOM)) ? "Ok" : "NotAuthorized")
        const elsewhere = await issue(ROOT, EVE, { scope: SCOPE_ALL })
        expect(await verdict([elsewhere, child], { action })).not.toBe("Ok")
      },
    )
    await fc.assert(runs, { numRuns: 100 })
  })
})

describe("the wallet (5.6, D30)", () => {
  const clock = { now: NOW, floorOf: noFloors }
  /** Tokens for the wallet need no signature. */
  function token(fields: Partial<PermissionToken> = {}): SignedToken {
    const full: PermissionToken = {
      issuer: ROOT.entityId,
      subject: LEAF.entityId,
      scope: SCOPE.SUBSCRIBE,
      channelHash: 5n,
      generation: 1,
      notBefore: NOW,
      notAfter: NOW + 100n,
      delegationDepth: 0,
      nonce: 0n,
      ...fields,
    }
    return { token: full, signedBytes: encodeUnsignedToken(full), signature: new Uint8Array(64) }
  }
  const issuer = (n: number) => new Uint8Array(32).fill(n)

  test("CHAN-R11: the 33rd token of a slot is dropped; the wildcard flag comes and goes with the tokens", () => {
    const cache = new TokenCache()
    for (let i = 0; i < MAX_TOKENS_PER_SLOT; i++) expect(cache.insert(token({ issuer: issuer(i) }))).toBe(true)
    expect(cache.insert(token({ issuer: issuer(99) }))).toBe(false)
    const everywhere = { scope: SCOPE.PUBLISH | SCOPE.WILDCARD, channelHash: 0n }
    cache.insert(token({ ...everywhere, notAfter: NOW + 10n }))
    cache.insert(token({ ...everywhere, issuer: issuer(50) }))
    expect([cache.hasWildcard(LEAF.entityId), cache.hasWildcard(EVE.entityId)]).toEqual([true, false])
    expect(cache.check(LEAF.entityId, SCOPE.PUBLISH, 77n, clock)).toBe(true)
    expect(cache.evictExpired({ now: NOW + 70n })).toBe(1)
    expect(cache.hasWildcard(LEAF.entityId)).toBe(true)
    expect(cache.evictExpired({ now: NOW + 160n })).toBe(33)
    expect([cache.hasWildcard(LEAF.entityId), cache.slots]).toEqual([false, 0])
  })

  test("CHAN-R12: a token planted under another subject does not count for it", () => {
    const cache = new TokenCache()
    cache.insert(token(), EVE.entityId)
    expect(cache.check(EVE.entityId, SCOPE.SUBSCRIBE, 5n, clock)).toBe(false)
    expect(cache.check(LEAF.entityId, SCOPE.SUBSCRIBE, 5n, clock)).toBe(false)
  })

  test("CHAN-R17: a weaker token of the same issuer and scope does not replace a better one", () => {
    const cache = new TokenCache()
    cache.insert(token({ generation: 2, notAfter: NOW + 100n }))
    expect(cache.insert(token({ generation: 1, notAfter: NOW + 900n }))).toBe(false)
    expect(cache.insert(token({ generation: 2, notAfter: NOW + 99n }))).toBe(false)
    expect(cache.insert(token({ generation: 2, notAfter: NOW + 100n, nonce: 1n }))).toBe(true)
    expect(cache.find(LEAF.entityId, SCOPE.SUBSCRIBE, 5n, clock)?.token.nonce).toBe(1n)
    expect(cache.check(LEAF.entityId, SCOPE.SUBSCRIBE, 5n, { ...clock, floorOf: () => 3 })).toBe(false)
  })

  test("any sequence: the wallet agrees with a plain list, and its limits hold", () => {
    const step = fc.record({
      subject: fc.constantFrom(LEAF.entityId, MID.entityId, EVE.entityId),
      issuer: fc.integer({ min: 0, max: 2 }),
      scope: fc.constantFrom(1, 2, 3, 17, 18),
      channelHash: fc.constantFrom(5n, 6n),
      generation: fc.integer({ min: 1, max: 2 }),
      life: fc.integer({ min: 1, max: 300 }),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), fc.integer({ min: 0, max: 400 }), (steps, later) => {
        const cache = new TokenCache(4)
        let list: SignedToken[] = []
        const slotOf = ({ token: t }: SignedToken) => `${t.subject[0]} ${t.scope & 16 ? "*" : t.channelHash}`
        for (const s of steps) {
          const wild = (s.scope & 16) !== 0
          const signed = token({
            ...s,
            issuer: issuer(s.issuer),
            channelHash: wild ? 0n : s.channelHash,
            notAfter: NOW + BigInt(s.life),
          })
          const slot = list.filter((known) => slotOf(known) === slotOf(signed))
          const same = slot.find((known) => known.token.scope === s.scope && known.token.issuer[0] === s.issuer)
          const better =
            same === undefined ||
            s.generation > same.token.generation ||
            (s.generation === same.token.generation && signed.token.notAfter >= same.token.notAfter)
          const fits = slot.length > 0 || new Set(list.map(slotOf)).size < 4
          expect(cache.insert(signed)).toBe(better && fits)
          if (better && fits) list = [...list.filter((known) => known !== same), signed]
        }
        const now = NOW + BigInt(later)
        for (const subject of [LEAF, MID, EVE]) {
          for (const [action, hash] of [
            [1, 5n],
            [2, 6n],
            [3, 5n],
          ] as const) {
            const expected = list.some(
              ({ token: t }) => t.subject[0] === subject.entityId[0] && now - 60n < t.notAfter && authorizes(t, action, hash),
            )
            expect(cache.check(subject.entityId, action, hash, { now, floorOf: noFloors })).toBe(expected)
          }
          cache.evictExpired({ now })
          const wild = list.some(
            ({ token: t }) => t.subject[0] === subject.entityId[0] && (t.scope & 16) !== 0 && now - 60n < t.notAfter,
          )
          expect(cache.hasWildcard(subject.entityId)).toBe(wild)
        }
      }),
      { numRuns: 500 },
    )
  })
})
