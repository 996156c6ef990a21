/** `room.tokens`: making rights on channels, passing them on, and keeping those that were given to this page. */
import {
  authorizes,
  channelHash,
  decodeChain,
  delegateToken,
  encodeChain,
  encodeToken,
  issueToken,
  SCOPE,
  type SignedToken,
  type TokenClock,
  tokenFault,
} from "../../token/index.ts"
import { equalBytes } from "../../wire/bytes.ts"
import { canonicalChannelName } from "../../wire/channel-name.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, U64 } from "../../wire/types.ts"
import { entityOf } from "./capabilities.ts"
import type { ControlPlane } from "./control-plane.ts"
import type { RoomTokens, TokenRequest, TokenRight } from "./types.ts"

/** Chains kept; the oldest gives way. */
const MAX_CHAINS = 1_024
/** Life of what a root writes for itself, seconds. */
const OWN_TTL_SECONDS = 86_400

const RIGHTS: Record<TokenRight, number> = { publish: SCOPE.PUBLISH, subscribe: SCOPE.SUBSCRIBE, admin: SCOPE.ADMIN }
const NO_CHAIN: Bytes = new Uint8Array()

interface HeldChain {
  bytes: Bytes
  tokens: readonly SignedToken[]
}

export class TokenFace implements RoomTokens {
  readonly #plane: ControlPlane
  #held: HeldChain[] = []
  /** What this page wrote for itself as a root, by channel. */
  readonly #own = new Map<U64, HeldChain>()

  constructor(plane: ControlPlane) {
    this.#plane = plane
  }

  async issue({ to, channel, rights, ttlSeconds, delegations = 0 }: TokenRequest): Promise<Uint8Array> {
    const scope = scopeOf(channel, rights) | (delegations > 0 ? SCOPE.DELEGATE : 0)
    const { signer } = this.#plane.host
    const token = await issueToken(signer, {
      subject: entityOf(this.#plane, to),
      scope,
      channelHash: hashOf(channel),
      ttlSeconds,
      delegationDepth: delegations,
      generation: this.#generation,
      now: this.#clock.now,
    })
    return encodeChain([token])
  }

  async delegate(chain: Uint8Array, { to, channel, rights, ttlSeconds }: Omit<TokenRequest, "delegations">): Promise<Uint8Array> {
    const tokens = decodeChain(chain)
    const last = tokens.at(-1) as SignedToken
    const wildcard = (last.token.scope & SCOPE.WILDCARD) !== 0
    if (!wildcard && last.token.channelHash !== hashOf(channel)) throw new AvError("NotAuthorized", { why: "another channel" })
    const token = await delegateToken(last, this.#plane.host.signer, {
      ...this.#clock,
      subject: entityOf(this.#plane, to),
      // Whoever holds it may pass it on as long as the chain allows.
      restrict: scopeOf(channel, rights) | (last.token.delegationDepth > 1 ? SCOPE.DELEGATE : 0),
      ...(channel === "*" ? {} : { narrowTo: hashOf(channel) }),
      generation: this.#generation,
      maxTtlSeconds: ttlSeconds,
    })
    return encodeChain([...tokens.map(encodeToken), token])
  }

  add(chain: Uint8Array): void {
    const bytes = chain.slice()
    const tokens = decodeChain(bytes)
    const subject = tokens.at(-1)?.token.subject
    if (subject === undefined || !equalBytes(subject, this.#plane.host.signer.entityId)) {
      throw new AvError("NotAuthorized", { why: "made for somebody else" })
    }
    this.#held = [...this.#held.filter((held) => !equalBytes(held.bytes, bytes)), { bytes, tokens }].slice(-MAX_CHAINS)
    this.#plane.channels.refresh(true)
  }

  async revokeAll(): Promise<number> {
    const { gossip, host } = this.#plane
    const generation = await gossip.announcer.bumpGeneration(host.now())
    this.#own.clear()
    this.#plane.wake()
    return generation
  }

  /** The chain to show for an action on a channel: one that was given to us, or our own where we are a root. Empty without any. */
  async chainFor(action: number, name: string, roots: readonly Bytes[]): Promise<Bytes> {
    const hash = channelHash(name)
    const given = this.#held.find((held) => this.#answers(held, action, hash, roots))
    if (given !== undefined) return given.bytes
    const { signer } = this.#plane.host
    if (!roots.some((root) => equalBytes(root, signer.entityId))) return NO_CHAIN
    const known = this.#own.get(hash)
    if (known !== undefined && this.#answers(known, action, hash, roots)) return known.bytes
    const subject = signer.entityId
    const scope = SCOPE.PUBLISH | SCOPE.SUBSCRIBE
    const request = { subject, scope, channelHash: hash, ttlSeconds: OWN_TTL_SECONDS, generation: this.#generation }
    const bytes = encodeChain([await issueToken(signer, { ...request, now: this.#clock.now })])
    if (this.#own.size >= MAX_CHAINS) this.#own.clear()
    this.#own.set(hash, { bytes, tokens: decodeChain(bytes) })
    return bytes
  }

  #answers({ tokens }: HeldChain, action: number, hash: U64, roots: readonly Bytes[]): boolean {
    const root = tokens[0]?.token.issuer
    if (root === undefined || !roots.some((known) => equalBytes(known, root))) return false
    return tokens.every(({ token }) => tokenFault(token, this.#clock) === undefined && authorizes(token, action, hash))
  }

  get #generation(): number {
    return this.#plane.gossip.announcer.state.generation
  }

  /** What this page writes and shows is judged by others, so it goes by their clock (D42). */
  get #clock(): TokenClock {
    const { host, gossip } = this.#plane
    const now = BigInt(Math.floor((host.now() + host.offsetMs()) / 1000))
    return { now, floorOf: (issuer) => gossip.floors.get(issuer) }
  }
}

function hashOf(channel: string): U64 {
  return channel === "*" ? 0n : channelHash(canonicalChannelName(channel))
}

function scopeOf(channel: string, rights: readonly TokenRight[]): number {
  let scope = channel === "*" ? SCOPE.WILDCARD : 0
  for (const right of rights) scope |= RIGHTS[right]
  return scope
}
