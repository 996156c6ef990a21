/** The channels of a room: one machine for all of them, and for each name what the application made of it. */
import { nodeIdOf } from "../../crypto/index.ts"
import { secureRandom } from "../../crypto/random.ts"
import { ChainVerifier, type ChannelAction, ChannelNode, ChannelRegistry, channelHash } from "../../token/index.ts"
import { ByteReader } from "../../wire/byte-reader.ts"
import { canonicalChannelName } from "../../wire/channel-name.ts"
import { AvError } from "../../wire/errors.ts"
import { FRAME_CHANNEL_DATA } from "../../wire/frame.ts"
import type { Bytes, NodeId } from "../../wire/types.ts"
import { entityOf } from "./capabilities.ts"
import { Channel } from "./channel.ts"
import type { ControlPlane } from "./control-plane.ts"
import { TokenFace } from "./tokens.ts"
import type { ChannelOptions, RoomChannel } from "./types.ts"

/** Longest message of a channel, bytes. */
export const MAX_CHANNEL_MESSAGE = 65_536
/** Beside a message: handle and number. */
const DATA_HEAD = 8
const MAX_OPEN = 256
const TICK_MS = 1_000

export class ChannelHub {
  readonly tokens: TokenFace
  readonly machine: ChannelNode
  readonly #plane: ControlPlane
  readonly #registry = new ChannelRegistry()
  readonly #chains = new ChainVerifier()
  readonly #channels = new Map<string, Channel>()
  #timer: ReturnType<typeof setInterval> | undefined
  #oversized = 0

  constructor(plane: ControlPlane) {
    this.#plane = plane
    this.tokens = new TokenFace(plane)
    const { gossip, host } = plane
    const { signer } = host
    const membershipOf = (node: NodeId, now: number) => {
      const entry = gossip.index.view(node, now)
      const strict = gossip.index.view(signer.nodeId, now)?.strict === true
      return strict ? entry?.proven(now).subnet : entry?.declared.subnet
    }
    this.machine = new ChannelNode({
      self: { node: signer.nodeId, entity: signer.entityId },
      registry: this.#registry,
      // Only members ask here, and a channel that does not exist yet is no fault of theirs.
      exposeUnknownChannels: true,
      chains: this.#chains,
      peers: {
        hasTag: (node, tag, now) => gossip.index.view(node, now)?.hasTag(tag) === true,
        subnetOf: membershipOf,
        ownSubnet: (now) => membershipOf(signer.nodeId, now),
      },
      floorOf: (issuer) => gossip.floors.get(issuer),
      random: () => new ByteReader(secureRandom(8)).u64le(),
      now: host.now(),
      offsetMs: host.offsetMs,
    })
  }

  /** What channels add to the tags of this page: where it publishes. */
  get tags(): string[] {
    return [...this.#channels.values()].filter((channel) => channel.isOpen).map(({ name }) => channelTag(name))
  }

  get tokensDropped(): number {
    return this.#chains.droppedByGeneration
  }

  get counters(): Record<string, number> {
    const { unboundData, malformed, overload, overRate, unexpectedAcks } = this.machine.counters
    const unread = [...this.#channels.values()].reduce((sum, channel) => sum + channel.unread, 0)
    const all = { unboundData, malformed, overload, overRate, unexpectedAcks, oversized: this.#oversized, unread }
    return Object.fromEntries(Object.entries(all).filter(([, count]) => count > 0))
  }

  /** The channel of that name, made on first use. With options its rules are replaced. */
  channel(input: string, options?: ChannelOptions): RoomChannel {
    if (this.#plane.closed) throw new AvError("RoomClosed")
    const name = canonicalChannelName(input)
    const known = this.#channels.get(name)
    if (known !== undefined && options === undefined) return known
    if (known === undefined && this.#channels.size >= MAX_OPEN) {
      throw new AvError("LimitExceeded", { what: "channels", max: MAX_OPEN })
    }
    const roots = options?.roots?.map((root) => entityOf(this.#plane, root))
    this.#registry.register({
      name,
      requireToken: roots !== undefined,
      tokenRoots: roots ?? [],
      ...(options?.maxRate === undefined ? {} : { maxRatePps: options.maxRate }),
    })
    for (const root of roots ?? []) this.#protect(root)
    const channel = known ?? new Channel(name, this.#plane, () => this.#forget(name))
    channel.roots = roots ?? []
    this.#channels.set(name, channel)
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS)
    // What was granted under other rules is judged by the new ones.
    if (known !== undefined) this.floorRose()
    return channel
  }

  sessionOpened(peer: { node: NodeId; entity: Bytes }): void {
    this.machine.sessionOpened(peer)
    for (const channel of this.#channels.values()) channel.forget(peer.node)
    this.refresh()
  }

  sessionClosed(node: NodeId): void {
    this.machine.sessionClosed(node)
    for (const channel of this.#channels.values()) channel.forget(node)
  }

  receive(from: NodeId, type: number, payload: Bytes): void {
    if (type === FRAME_CHANNEL_DATA && payload.length > DATA_HEAD + MAX_CHANNEL_MESSAGE) {
      this.#oversized++
      return
    }
    this.machine.receive(from, type, payload, this.#plane.host.now()).then(
      (actions) => this.carryOut(actions),
      (error: unknown) => this.#plane.fault(error),
    )
  }

  /** Tokens may have died: every right is looked at again. */
  floorRose(): void {
    this.carryOut(this.machine.sweep(this.#plane.host.now()))
  }

  /** Somebody may publish now what we want. `again`: also those who answered before are asked. */
  refresh(again = false): void {
    for (const channel of this.#channels.values()) channel.refresh(again)
  }

  /** The tags of this page have changed. */
  retag(): void {
    this.#plane.announce({})
  }

  carryOut(actions: readonly ChannelAction[]): void {
    for (const action of actions) {
      if (action.kind === "send") this.#plane.send(action.to, action.type, action.payload)
      else if (action.kind === "answer") this.#channels.get(action.channel)?.answered(action.request, action.to, action.result)
      else if (action.kind === "deliver") this.#deliver(action)
    }
  }

  close(): void {
    clearInterval(this.#timer)
    for (const channel of [...this.#channels.values()]) channel.end()
    this.#channels.clear()
  }

  #tick(): void {
    this.carryOut(this.machine.tick(this.#plane.host.now()))
    this.refresh()
  }

  #deliver({ channel, from, seq, data }: Extract<ChannelAction, { kind: "deliver" }>): void {
    const participant = this.#plane.participant(from)
    if (participant !== undefined) this.#channels.get(channel)?.deliver({ from: participant, seq, data: data.slice() })
  }

  #forget(name: string): void {
    if (!this.#channels.delete(name)) return
    this.#registry.unregister(name)
    if (this.#plane.closed) return
    this.floorRose()
    this.retag()
  }

  /** What is said about a root must not be forgotten because of strangers. */
  #protect(root: Bytes): void {
    this.#plane.gossip.floors.protect(root)
    this.#plane.host.pins.pinForever(nodeIdOf(root), root)
  }
}

/** Found by its number: names may be longer than a tag. */
export function channelTag(name: string): string {
  return `channel:${channelHash(name).toString(16).padStart(16, "0")}`
}
