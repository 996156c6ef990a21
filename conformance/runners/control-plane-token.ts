/** Runs the control-plane sections on channel names, tokens, chains and membership frames. */
import { deepStrictEqual, strictEqual } from "node:assert"
import { ed25519PublicKey, ed25519Sign } from "../../src/crypto/index.ts"
import type { EntitySigner } from "../../src/identity/index.ts"
import {
  ACK_REASONS,
  type AckReason,
  authorizes,
  ChainVerifier,
  channelHash,
  decodeMembership,
  decodeToken,
  delegateToken,
  encodeMembership,
  encodeToken,
  encodeUnsignedToken,
  issueLife,
  issueToken,
  isTokenSigned,
  joinToken,
  type MembershipFrame,
  type PermissionToken,
} from "../../src/token/index.ts"
import { type Bytes, ByteWriter, canonicalChannelName, isAvError, toHex } from "../../src/wire/index.ts"
import type { RunnerTable } from "../types.ts"
import { failedAsExpected } from "./control-plane-capability.ts"
import { expectHex, hex } from "./wire-check.ts"

interface FailingCase {
  error?: string
  any_error?: boolean
}

async function channelName(c: FailingCase & { input: string; canonical?: string; hash?: string }): Promise<void> {
  if (await failedAsExpected(c, () => canonicalChannelName(c.input))) return
  const name = canonicalChannelName(c.input)
  strictEqual(name, c.canonical)
  strictEqual(canonicalChannelName(name), name)
  if (c.hash !== undefined) strictEqual(channelHash(name).toString(), c.hash)
}

function signerOf(seed: string): EntitySigner {
  return { entityId: ed25519PublicKey(hex(seed)), signEd25519: (message: Bytes) => ed25519Sign(hex(seed), message) }
}

/** A source of randomness that draws this nonce. */
function nonceSource(nonce: string): (length: number) => Bytes {
  return () => new ByteWriter(8).u64le(BigInt(nonce)).finish()
}

interface TokenFields {
  issuer: string
  subject: string
  scope: number
  channel_hash: string
  generation: number
  not_before: string
  not_after: string
  delegation_depth: number
  nonce: string
}

function tokenOf(f: TokenFields): PermissionToken {
  return {
    issuer: hex(f.issuer),
    subject: hex(f.subject),
    scope: f.scope,
    channelHash: BigInt(f.channel_hash),
    generation: f.generation,
    notBefore: BigInt(f.not_before),
    notAfter: BigInt(f.not_after),
    delegationDepth: f.delegation_depth,
    nonce: BigInt(f.nonce),
  }
}

interface TokenCase extends FailingCase {
  bytes: string
  seed?: string
  fields?: TokenFields
  signature_valid?: boolean
}

async function token(c: TokenCase): Promise<void> {
  if (await failedAsExpected(c, () => decodeToken(hex(c.bytes)))) return
  const signed = decodeToken(hex(c.bytes))
  expectHex(encodeToken(signed), c.bytes)
  expectHex(encodeUnsignedToken(signed.token), toHex(signed.signedBytes))
  if (c.signature_valid !== undefined) strictEqual(await isTokenSigned(signed), c.signature_valid)
  if (c.fields === undefined) return
  const { issuer = toHex(signed.token.issuer), ...fields } = c.fields
  const made = tokenOf({ ...fields, issuer })
  deepStrictEqual(signed.token, made)
  if (c.seed === undefined) return
  const unsigned = encodeUnsignedToken(made)
  const message = new Uint8Array([...new TextEncoder().encode("mesh/token/v2"), 0, ...unsigned])
  expectHex(joinToken(unsigned, await ed25519Sign(hex(c.seed), message)), c.bytes)
}

interface IssueCase extends FailingCase {
  now: number | string
  ttl: number
  skew: number
  not_before?: string
  not_after?: string
  seed?: string
  subject?: string
  scope?: number
  channel_hash?: string
  generation?: number
  delegation_depth?: number
  nonce?: string
  bytes?: string
}

async function issue(c: IssueCase): Promise<void> {
  if (await failedAsExpected(c, () => issueLife(BigInt(c.now), c.ttl, c.skew))) return
  const life = issueLife(BigInt(c.now), c.ttl, c.skew)
  if (c.not_before !== undefined) strictEqual(life.notBefore.toString(), c.not_before)
  if (c.not_after !== undefined) strictEqual(life.notAfter.toString(), c.not_after)
  if (c.bytes === undefined || c.seed === undefined) return
  const bytes = await issueToken(signerOf(c.seed), {
    subject: hex(c.subject ?? ""),
    scope: c.scope ?? 0,
    channelHash: BigInt(c.channel_hash ?? 0),
    ttlSeconds: c.ttl,
    delegationDepth: c.delegation_depth ?? 0,
    generation: c.generation ?? 0,
    now: BigInt(c.now),
    skewSeconds: c.skew,
    random: nonceSource(c.nonce ?? "0"),
  })
  expectHex(bytes, c.bytes)
}

interface DelegateCase extends FailingCase {
  parent: string
  signer_seed: string
  signer_generation: number
  new_subject: string
  restrict: number
  narrow_to?: string | null
  now: number | string
  skew: number
  floors: Record<string, number>
  nonce: string
  bytes?: string
}

async function delegate(c: DelegateCase): Promise<void> {
  const run = () =>
    delegateToken(decodeToken(hex(c.parent)), signerOf(c.signer_seed), {
      subject: hex(c.new_subject),
      restrict: c.restrict,
      ...(typeof c.narrow_to === "string" ? { narrowTo: BigInt(c.narrow_to) } : {}),
      generation: c.signer_generation,
      now: BigInt(c.now),
      skewSeconds: c.skew,
      floorOf: floorsOf(c.floors),
      random: nonceSource(c.nonce),
    })
  if (await failedAsExpected(c, run)) return
  if (c.bytes !== undefined) expectHex(await run(), c.bytes)
}

function floorsOf(floors: Record<string, number>): (issuer: Bytes) => number {
  return (issuer) => floors[toHex(issuer)] ?? 0
}

interface ChainCase {
  bytes: string
  action: number
  channel_hash: string
  presenter: string
  roots: string[]
  floors: Record<string, number>
  now: number | string
  skew: number
  result: string
}

async function chain(c: ChainCase): Promise<void> {
  const question = {
    action: c.action,
    channelHash: BigInt(c.channel_hash),
    presenter: hex(c.presenter),
    roots: c.roots.map(hex),
    floorOf: floorsOf(c.floors),
    now: BigInt(c.now),
    skewSeconds: c.skew,
  }
  const verifier = new ChainVerifier()
  // The second time the signatures are known: the verdict must be the same.
  for (const round of ["fresh", "presigned"]) {
    let result = "Ok"
    try {
      const verified = await verifier.verify(hex(c.bytes), question)
      strictEqual(verifier.recheck(verified, question), undefined)
    } catch (error) {
      if (!isAvError(error)) throw error
      result = error.name
    }
    strictEqual(result, c.result, round)
  }
}

interface MembershipCase extends FailingCase {
  bytes: string
  fields?: {
    kind: MembershipFrame["kind"] | number
    nonce?: string
    name?: string
    chain?: string | null
    group?: string | null
    handle?: number
    accepted?: boolean | number
    reason?: string | number
  }
}

const KINDS: MembershipFrame["kind"][] = ["SUBSCRIBE", "UNSUBSCRIBE", "ACK", "PUBLISH_OPEN", "PUBLISH_CLOSE"]

function frameOf(f: NonNullable<MembershipCase["fields"]>): MembershipFrame {
  const kind = typeof f.kind === "number" ? KINDS[f.kind] : f.kind
  const [nonce, name, chain] = [BigInt(f.nonce ?? 0), f.name ?? "", hex(f.chain ?? "")]
  switch (kind) {
    case "SUBSCRIBE":
      return { kind, nonce, name, chain, group: f.group ?? "" }
    case "UNSUBSCRIBE":
      return { kind, nonce, name }
    case "ACK": {
      const reason = typeof f.reason === "number" ? ACK_REASONS[f.reason] : f.reason
      return { kind, nonce, accepted: f.accepted === true || f.accepted === 1, reason: (reason ?? "ok") as AckReason }
    }
    case "PUBLISH_OPEN":
      return { kind, nonce, handle: f.handle ?? 0, name, chain }
    case "PUBLISH_CLOSE":
      return { kind, handle: f.handle ?? 0 }
    default:
      throw new Error("kind of the case")
  }
}

async function membershipFrame(c: MembershipCase): Promise<void> {
  if (await failedAsExpected(c, () => decodeMembership(hex(c.bytes)))) return
  const frame = decodeMembership(hex(c.bytes))
  expectHex(encodeMembership(frame), c.bytes)
  if (c.fields !== undefined) deepStrictEqual(frame, frameOf(c.fields))
}

interface AuthorizesCase {
  scope: number
  token_hash: string
  action: number
  channel_hash: string
  result: boolean
}

function authorizesCase(c: AuthorizesCase): void {
  const held = { scope: c.scope, channelHash: BigInt(c.token_hash) }
  strictEqual(authorizes(held, c.action, BigInt(c.channel_hash)), c.result)
}

export const runners: RunnerTable = {
  "control-plane": {
    channel_names: channelName,
    tokens: token,
    issue,
    delegate,
    authorizes: authorizesCase,
    chains: chain,
    membership_frames: membershipFrame,
  },
}
