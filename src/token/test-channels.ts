import { signerFromSeeds } from "../identity/index.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import { channelHash } from "./channel-hash.ts"
import { type ChannelAction, ChannelNode, type ChannelNodeOptions } from "./channel-node.ts"
import { ChannelRegistry } from "./channel-registry.ts"
import { issueToken } from "./issue.ts"
import { ChainVerifier, encodeChain } from "./token-chain.ts"

export const START = 1_760_000_000_000
const signers = await Promise.all([1, 2, 3, 4].map((n) => signerFromSeeds(new Uint8Array(32).fill(n))))
export const [ROOT, ALICE, BOB, CLEO] = signers as [Signer, Signer, Signer, Signer]
type Signer = Awaited<ReturnType<typeof signerFromSeeds>>

/** A chain of one token from {@link ROOT}. */
export async function grant(subject: Signer, scope: number, channel = "a", fields = {}): Promise<Bytes> {
  const token = await issueToken(ROOT, {
    subject: subject.entityId,
    scope,
    channelHash: channelHash(channel),
    ttlSeconds: 3_600,
    generation: 1,
    now: BigInt(START / 1000),
    ...fields,
  })
  return encodeChain([token])
}

/** Nodes joined each to each, under one clock; frames arrive in order and at once. */
export class Net {
  now = START
  readonly nodes = new Map<NodeId, ChannelNode>()
  readonly events: ({ at: NodeId } & ChannelAction)[] = []
  readonly floors = new Map<string, number>()
  readonly chains = new ChainVerifier()

  add(signer: Signer, options: Partial<ChannelNodeOptions> = {}): ChannelNode {
    let nonce = 0n
    const node = new ChannelNode({
      self: { node: signer.nodeId, entity: signer.entityId },
      chains: this.chains,
      floorOf: (issuer) => this.floors.get(issuer.join()) ?? 0,
      random: () => ++nonce,
      now: this.now,
      ...options,
    })
    for (const [other, machine] of this.nodes) {
      machine.sessionOpened({ node: signer.nodeId, entity: signer.entityId })
      node.sessionOpened({ node: other, entity: signers.find((s) => s.nodeId === other)?.entityId ?? new Uint8Array() })
    }
    this.nodes.set(signer.nodeId, node)
    return node
  }

  /** Carries out what `at` wants, and everything that follows. */
  async act(at: Signer, actions: ChannelAction[]): Promise<void> {
    for (const action of actions) {
      if (action.kind !== "send") {
        this.events.push({ at: at.nodeId, ...action })
        continue
      }
      const to = signers.find((s) => s.nodeId === action.to) as Signer
      await this.act(to, (await this.nodes.get(to.nodeId)?.receive(at.nodeId, action.type, action.payload, this.now)) ?? [])
    }
  }

  /** Results of requests of `at` since the last call. */
  answers(at: Signer): string[] {
    const mine = this.events.filter((event) => event.at === at.nodeId && event.kind === "answer")
    for (const event of mine) this.events.splice(this.events.indexOf(event), 1)
    return mine.flatMap((event) => (event.kind === "answer" ? [`${event.request} ${event.result}`] : []))
  }

  delivered(at: Signer): string[] {
    return this.events.flatMap((event) =>
      event.at === at.nodeId && event.kind === "deliver" ? [`${event.channel} ${event.data.join()}`] : [],
    )
  }
}

export function registry(...configs: Parameters<ChannelRegistry["register"]>[0][]): ChannelRegistry {
  const out = new ChannelRegistry()
  for (const config of configs) out.register(config)
  return out
}

export const rooted = { requireToken: true, tokenRoots: [ROOT.entityId] }
export const data = (...bytes: number[]) => Uint8Array.from(bytes)
