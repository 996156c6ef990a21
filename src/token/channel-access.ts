/** Who may subscribe to a channel here, and who may publish on it (control-plane 5.7, D31 to D33). Deny by default. */
import { ctEqual } from "../crypto/index.ts"
import { queueGroupChannel } from "../wire/channel-name.ts"
import { isAvError } from "../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId } from "../wire/types.ts"
import { channelHash } from "./channel-hash.ts"
import { type ChannelConfig, type ChannelRegistry, tokenRequired } from "./channel-registry.ts"
import type { AckReason } from "./membership-frame.ts"
import { SCOPE } from "./permission-token.ts"
import type { ChainQuestion, ChainVerifier, VerifiedChain } from "./token-chain.ts"

/** What other parts know about a peer; everything here is that peer's own claim unless the caller proves it. */
export interface PeerFacts {
  /** Tags of its live announcement. */
  hasTag(node: NodeId, tag: string, now: Milliseconds): boolean
  /** Its subnet: declared, or proven where the own policy is strict. */
  subnetOf(node: NodeId, now: Milliseconds): Bytes | undefined
  ownSubnet(now: Milliseconds): Bytes | undefined
}

export interface ChannelAccessOptions {
  /** Without one every channel is refused, unless {@link unregisteredChannels} says otherwise. */
  registry?: ChannelRegistry
  /** `open`: a node without a registry admits to every channel. */
  unregisteredChannels?: "open"
  /** Tell strangers which channels do not exist. */
  exposeUnknownChannels?: boolean
  chains: ChainVerifier
  peers?: PeerFacts
  floorOf: (issuer: Bytes) => number
  skewSeconds?: number
}

/** A right that was granted on a chain and has to be checked again as long as it is used. */
export interface Grant {
  /** Undefined where no token was asked for. */
  chain?: VerifiedChain
  /** Every question the chain has to answer. */
  questions: readonly { action: number; channelHash: bigint }[]
}

export interface Peer {
  node: NodeId
  /** Proven by the session. */
  entity: Bytes
}

type AccessVerdict = { granted: true; grant: Grant } | { granted: false; reason: AckReason }

export class ChannelAccess {
  readonly #options: ChannelAccessOptions

  constructor(options: ChannelAccessOptions) {
    this.#options = options
  }

  configOf(channel: string): ChannelConfig | undefined {
    return this.#options.registry?.lookup(channel)
  }

  /** Rules 3 to 7 for a subscriber. `channel` is canonical; `group` empty for none. */
  async maySubscribe(peer: Peer, channel: string, chain: Bytes, group: string, now: Milliseconds): Promise<AccessVerdict> {
    const config = this.configOf(channel)
    if (config === undefined) {
      const open = this.#options.registry === undefined && this.#options.unregisteredChannels === "open"
      // A queue group takes messages away from others: without rules about it there is none.
      if (open) return group === "" ? granted() : denied("queue-group-denied")
      return denied(this.#options.exposeUnknownChannels === true ? "unknown-channel" : "unauthorized")
    }
    if (!this.#isVisible(config, peer.node, now)) return denied("unauthorized")
    if (!this.#hasTags(config.subscribeCaps, peer.node, now)) return denied("unauthorized")
    const questions: { action: number; channelHash: bigint }[] = []
    let verified: VerifiedChain | undefined
    if (tokenRequired(config)) {
      questions.push({ action: SCOPE.SUBSCRIBE, channelHash: channelHash(channel) })
      verified = await this.#verify(peer, config, chain, questions[0] as Grant["questions"][number], now)
      if (verified === undefined) return denied("unauthorized")
    }
    if (group !== "" && !isOpenGroup(config, group)) {
      const derived = queueGroupChannel(channel, group)
      if (derived === undefined) return denied("queue-group-denied")
      const question = { action: SCOPE.SUBSCRIBE, channelHash: channelHash(derived) }
      verified = await this.#verify(peer, config, chain, question, now)
      if (verified === undefined) return denied("queue-group-denied")
      questions.push(question)
    }
    return granted(verified, questions)
  }

  /** The publisher's right, asked at both ends. Undefined: no rule here speaks about publishing on this channel. */
  async mayPublish(peer: Peer, channel: string, chain: Bytes, now: Milliseconds): Promise<AccessVerdict | undefined> {
    const config = this.configOf(channel)
    if (config === undefined) return undefined
    if (!this.#hasTags(config.publishCaps, peer.node, now)) return denied("unauthorized")
    if (!tokenRequired(config)) return undefined
    const question = { action: SCOPE.PUBLISH, channelHash: channelHash(channel) }
    const verified = await this.#verify(peer, config, chain, question, now)
    return verified === undefined ? denied("unauthorized") : granted(verified, [question])
  }

  /** True while a grant still holds: times, floors and roots are looked at anew, signatures are not. */
  stillHolds(peer: Peer, channel: string, grant: Grant, now: Milliseconds): boolean {
    if (grant.questions.length === 0) return true
    const { chain } = grant
    const config = this.configOf(channel)
    if (chain === undefined || config === undefined) return false
    return grant.questions.every((question) => {
      return this.#options.chains.recheck(chain, this.#question(peer, config, question, now)) === undefined
    })
  }

  async #verify(
    peer: Peer,
    config: ChannelConfig,
    chain: Bytes,
    question: Grant["questions"][number],
    now: Milliseconds,
  ): Promise<VerifiedChain | undefined> {
    if (chain.length === 0) return undefined
    try {
      return await this.#options.chains.verify(chain, this.#question(peer, config, question, now))
    } catch (error) {
      if (isAvError(error)) return undefined
      throw error
    }
  }

  #question(peer: Peer, config: ChannelConfig, question: Grant["questions"][number], now: Milliseconds): ChainQuestion {
    const { floorOf, skewSeconds } = this.#options
    const clock = { now: BigInt(Math.floor(now / 1000)), floorOf, ...(skewSeconds === undefined ? {} : { skewSeconds }) }
    return { ...clock, ...question, presenter: peer.entity, roots: config.tokenRoots }
  }

  #isVisible(config: ChannelConfig, node: NodeId, now: Milliseconds): boolean {
    if (config.visibility === "global") return true
    const [own, theirs] = [this.#options.peers?.ownSubnet(now), this.#options.peers?.subnetOf(node, now)]
    return own !== undefined && theirs !== undefined && ctEqual(own, theirs)
  }

  #hasTags(tags: readonly string[] | undefined, node: NodeId, now: Milliseconds): boolean {
    return (tags ?? []).every((tag) => this.#options.peers?.hasTag(node, tag, now) === true)
  }
}

function isOpenGroup(config: ChannelConfig, group: string): boolean {
  const groups = config.queueGroups
  return groups !== undefined && Object.hasOwn(groups, group) && groups[group] === "open"
}

function granted(chain?: VerifiedChain, questions: Grant["questions"] = []): AccessVerdict {
  return { granted: true, grant: chain === undefined ? { questions } : { chain, questions } }
}

function denied(reason: AckReason): AccessVerdict {
  return { granted: false, reason }
}
