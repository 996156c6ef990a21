/** Chains of tokens from a trusted root to whoever presents them, and the rules they must keep (control-plane 5.6). */
import { ctEqual, sha256Sync } from "../crypto/index.ts"
import { LruMap } from "../identity/index.ts"
import { ByteReader, concatBytes, toHex } from "../wire/bytes.ts"
import { AvError, type ErrorCode } from "../wire/errors.ts"
import type { Bytes, U64 } from "../wire/types.ts"
import {
  authorizes,
  DELEGATION_MAX_TTL_SECONDS,
  decodeToken,
  encodeToken,
  type PermissionToken,
  SCOPE,
  type SignedToken,
  scopeContains,
  TOKEN_LENGTH,
} from "./permission-token.ts"
import { isTokenSigned, type TokenClock, tokenFault } from "./validity.ts"

export const MAX_CHAIN_DEPTH = 8
/** Links whose signature was found right lately. */
const MAX_VERIFIED = 4_096

/** What a chain is asked for. */
export interface ChainQuestion extends TokenClock {
  /** A `SCOPE` bit, or several that must all be there. */
  action: number
  channelHash: U64
  /** Entity of the session the chain came on. */
  presenter: Bytes
  /** Entities whose word counts. Empty: nobody's does. */
  roots: readonly Bytes[]
}

/** A chain whose signatures hold. Everything else about it has to be asked again each time. */
export interface VerifiedChain {
  readonly tokens: readonly SignedToken[]
}

/** `u8 count ‖ count × 173`, root first. @throws AvError `InvalidFormat`. */
export function encodeChain(tokens: readonly Bytes[]): Bytes {
  const chain = concatBytes(Uint8Array.of(tokens.length), ...tokens)
  decodeChain(chain)
  return chain
}

/** @throws AvError `InvalidFormat` on another count or length, or a token of another format. */
export function decodeChain(bytes: Bytes): SignedToken[] {
  const reader = new ByteReader(bytes, "InvalidFormat")
  const count = reader.u8()
  if (count < 1 || count > MAX_CHAIN_DEPTH) reader.fail("count", { got: count, max: MAX_CHAIN_DEPTH })
  if (reader.remaining !== count * TOKEN_LENGTH) reader.fail("length", { got: bytes.length })
  return Array.from({ length: count }, () => decodeToken(reader.bytes(TOKEN_LENGTH)))
}

/** Verifies chains and remembers which links were signed by whom they say. One per node. */
export class ChainVerifier {
  readonly #signed = new LruMap<string, true>(MAX_VERIFIED)
  #droppedByGeneration = 0

  /** Chains that failed only because of a generation floor (`token_dropped_by_generation`). */
  get droppedByGeneration(): number {
    return this.#droppedByGeneration
  }

  /** @throws AvError the first broken rule: `InvalidFormat`, `NotAuthorized`, `InvalidSignature`, `TtlTooLong`, … */
  async verify(bytes: Bytes, question: ChainQuestion): Promise<VerifiedChain> {
    const tokens = decodeChain(bytes)
    const outer = anchorFault(tokens, question)
    if (outer !== undefined) throw this.#refusal(outer)
    const signed = await Promise.all(tokens.map((token) => this.#isSigned(token)))
    const fault = chainFault(tokens, question, (i) => signed[i] === true)
    if (fault !== undefined) throw this.#refusal(fault)
    return { tokens }
  }

  /** Everything but the signatures, which are known to hold. Undefined when the chain still answers the question. */
  recheck(chain: VerifiedChain, question: ChainQuestion): ErrorCode | undefined {
    const fault = anchorFault(chain.tokens, question) ?? chainFault(chain.tokens, question, () => true)
    if (fault === "Revoked") this.#droppedByGeneration++
    return fault
  }

  async #isSigned(token: SignedToken): Promise<boolean> {
    const digest = toHex(sha256Sync(encodeToken(token)))
    if (this.#signed.has(digest)) return true
    const signed = await isTokenSigned(token)
    if (signed) this.#signed.set(digest, true)
    return signed
  }

  #refusal(code: ErrorCode): AvError {
    if (code === "Revoked") this.#droppedByGeneration++
    return new AvError(code, { what: "token chain" })
  }
}

/** The two ends: a trusted root in front, the presenter at the end. */
function anchorFault(tokens: readonly SignedToken[], question: ChainQuestion): ErrorCode | undefined {
  const [first, last] = [tokens[0]?.token, tokens.at(-1)?.token]
  if (first === undefined || last === undefined) return "InvalidFormat"
  let rooted = false
  for (const root of question.roots) if (ctEqual(root, first.issuer)) rooted = true
  return rooted && ctEqual(last.subject, question.presenter) ? undefined : "NotAuthorized"
}

function chainFault(
  tokens: readonly SignedToken[],
  question: ChainQuestion,
  isSigned: (index: number) => boolean,
): ErrorCode | undefined {
  for (const [i, { token }] of tokens.entries()) {
    if (!isSigned(i)) return "InvalidSignature"
    const fault = tokenFault(token, question)
    if (fault !== undefined) return fault
    if (!authorizes(token, question.action, question.channelHash)) return "NotAuthorized"
  }
  for (let i = 1; i < tokens.length; i++) {
    const fault = linkFault((tokens[i - 1] as SignedToken).token, (tokens[i] as SignedToken).token)
    if (fault !== undefined) return fault
  }
  return undefined
}

/** A child may hold less than its parent, never more. */
function linkFault(parent: PermissionToken, child: PermissionToken): ErrorCode | undefined {
  if (!ctEqual(child.issuer, parent.subject)) return "NotAuthorized"
  if (!scopeContains(parent.scope, SCOPE.DELEGATE)) return "DelegationNotAllowed"
  if (child.delegationDepth >= parent.delegationDepth) return "NotAuthorized"
  if (child.notBefore < parent.notBefore || child.notAfter > parent.notAfter) return "NotAuthorized"
  if (child.notAfter - child.notBefore > BigInt(DELEGATION_MAX_TTL_SECONDS)) return "TtlTooLong"
  return undefined
}
