/** Newcomers and those who are there decide about each other; every shortcut is refused by its name. */
import { beforeAll, expect, test } from "vitest"
import type { IdentitySigner } from "../../identity/index.ts"
import { codeOf } from "../../wire/testing.ts"
import { trustGrantBytes } from "../claims/bodies.ts"
import { bootstrapChallengeBytes } from "../claims/digests.ts"
import { keysOf, testPeer } from "../testing.ts"
import type { LinkedVerdict } from "../trust/linked.ts"
import type { SignedClaim } from "../trust/verified.ts"
import {
  BOOTSTRAP_KIND,
  BootstrapHost,
  bootstrapAnswer,
  judgeHost,
  type OwnChain,
  signClaim,
  type TrustView,
} from "./bootstrap-exchange.ts"
import { encodeHoloMessage, type HoloMessageOf } from "./messages.ts"

const NOW = 1_700_000_000_000
let [root, middle, guest, host]: IdentitySigner[] = []
let chain: OwnChain

beforeAll(async () => {
  ;[root, middle, guest, host] = await Promise.all([1, 2, 3, 4].map(testPeer))
  chain = await chainOf([root!, middle!], guest!)
})

async function grant(granter: IdentitySigner, grantee: IdentitySigner): Promise<SignedClaim> {
  const body = { grantedAtUnixMs: BigInt(NOW), chainDepth: 0, weight: 255, expiresAtUnixMs: 0n }
  return signClaim(granter, "trust_grant", trustGrantBytes({ ...body, granter: granter.keyId, grantee: grantee.keyId }), NOW)
}

async function chainOf(granters: readonly IdentitySigner[], last: IdentitySigner): Promise<OwnChain> {
  const claims = []
  for (const [i, granter] of granters.entries()) claims.push(await grant(granter, granters[i + 1] ?? last))
  return { chain: claims, keys: granters.map(keysOf) }
}

const view = (change: Partial<TrustView> = {}): TrustView => ({
  graph: { roots: [root!.keyId], grants: [], maxChainDepth: 5 },
  revokes: [],
  nowUnixMs: NOW,
  ...change,
})
const text = (verdict: LinkedVerdict) =>
  verdict.kind === "Refuse"
    ? verdict.reason
    : `${verdict.trustDistance} ${verdict.anchoredToRoot === root!.keyId} ${verdict.standing}`

/** One exchange with the host; what the guest says may be changed on its way. */
async function exchange(
  own: OwnChain = chain,
  options: {
    change?(message: HoloMessageOf<"holo.bootstrap">): HoloMessageOf<"holo.bootstrap"> | Promise<HoloMessageOf<"holo.bootstrap">>
    view?: Partial<TrustView>
    after?: number
    twice?: boolean
  } = {},
): Promise<string> {
  const hosting = new BootstrapHost(host!.keyId, (length) => new Uint8Array(length).fill(5))
  const { nonce } = hosting.challenge(guest!.keyId, { chain: [], keys: [], ownKeys: keysOf(host!) }, NOW)
  const answer = await bootstrapAnswer(host!.keyId, nonce, own, guest!, NOW)
  const message = (await options.change?.(answer)) ?? answer
  const at = view({ ...options.view, nowUnixMs: NOW + (options.after ?? 0) })
  if (options.twice) await hosting.judge(guest!.keyId, keysOf(guest!), message, at)
  return text(await hosting.judge(guest!.keyId, keysOf(guest!), message, at))
}

test("a chain from the root lets a newcomer in, at its distance and with at most half of the trust", async () => {
  expect(await exchange()).toBe("2 true 127")
  expect(
    await exchange(
      { chain: [], keys: [] },
      { view: { graph: { roots: [guest!.keyId, root!.keyId], grants: [], maxChainDepth: 5 } } },
    ),
  ).toBe("0 false 255")
})

test("a challenge is answered once, in half a minute, to who gave it", async () => {
  expect(await exchange(chain, { after: 30_000 })).toBe("2 true 127")
  expect(await exchange(chain, { after: 30_001 })).toBe("CandidateStale")
  expect(await exchange(chain, { twice: true })).toBe("CandidateStale")
  const answering = (nonce: number, to: string) => async (message: HoloMessageOf<"holo.bootstrap">) => {
    const bytes = bootstrapChallengeBytes(new Uint8Array(32).fill(nonce), to)
    return { ...message, candidate: await signClaim(guest!, BOOTSTRAP_KIND, bytes, NOW) }
  }
  expect(await exchange(chain, { change: answering(5, host!.keyId) })).toBe("2 true 127")
  expect(await exchange(chain, { change: answering(6, host!.keyId) })).toBe("CandidateStale")
  expect(await exchange(chain, { change: answering(5, middle!.keyId) })).toBe("CandidateStale")
})

test("chains that do not lead here are refused by name", async () => {
  // Anybody can show what the root has said about others.
  expect(await exchange(await chainOf([root!], middle!))).toBe("ChainUnlinked")
  expect(await exchange({ chain: [await grant(root!, host!), await grant(root!, middle!)], keys: [keysOf(root!)] })).toBe(
    "ChainUnlinked",
  )
  expect(await exchange({ chain: [], keys: [] })).toBe("ChainExhausted")
  const revoke = { granter: middle!.keyId, grantee: guest!.keyId, revokedAtUnixMs: BigInt(NOW) }
  expect(await exchange(chain, { view: { revokes: [revoke] } })).toBe("GrantRevoked")
  const long = await Promise.all([5, 6, 7, 8].map(testPeer))
  const six = await chainOf([root!, middle!, ...long], guest!)
  expect(await exchange(six)).toBe("ChainTooLong")
  // On the wire it does not even fit.
  const message = await bootstrapAnswer(host!.keyId, new Uint8Array(32), six, guest!, NOW)
  expect(codeOf(() => encodeHoloMessage(message))).toBe("MessageTooLarge")
})

test("half a signature is none, wherever it is missing", async () => {
  const cut = (claim: SignedClaim) => ({ ...claim, signatureMlDsa65Base64: "" })
  expect(await exchange(chain, { change: (message) => ({ ...message, candidate: cut(message.candidate) }) })).toBe(
    "SignatureInvalid",
  )
  for (const i of [0, 1]) {
    const change = (message: HoloMessageOf<"holo.bootstrap">) => ({
      ...message,
      chain: message.chain.map((claim, at) => (at === i ? cut(claim) : { ...claim })),
    })
    expect(await exchange(chain, { change })).toBe("SignatureInvalid")
  }
  expect(
    await exchange(chain, {
      change: (message) => ({ ...message, chain: message.chain.map((claim) => ({ ...claim })), chainKeys: [] }),
    }),
  ).toBe("SignatureInvalid")
})

test("the newcomer looks at who it asks by the same rules", async () => {
  const challenge = (own: OwnChain): HoloMessageOf<"holo.challenge"> => ({
    t: "holo.challenge",
    nonce: new Uint8Array(32),
    keys: keysOf(host!),
    chain: [...own.chain],
    chainKeys: [...own.keys],
  })
  expect(text(await judgeHost(host!.keyId, challenge(await chainOf([root!, middle!], host!)), view()))).toBe("2 true 127")
  expect(text(await judgeHost(host!.keyId, challenge(chain), view()))).toBe("ChainUnlinked")
  expect(text(await judgeHost(host!.keyId, challenge({ chain: [], keys: [] }), view()))).toBe("ChainExhausted")
})
