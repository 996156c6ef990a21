/** One channel as an application holds it: publishing, and subscribing at everybody who publishes. */
import { type AckReason, SCOPE } from "../../token/index.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes, Milliseconds, NodeId, U64 } from "../../wire/types.ts"
import type { Participant } from "../types.ts"
import { channelTag, MAX_CHANNEL_MESSAGE } from "./channel-hub.ts"
import type { ControlPlane } from "./control-plane.ts"
import { MessageQueue } from "./message-queue.ts"
import type { ChannelMessage, RoomChannel } from "./types.ts"

/** A member that reads slowly holds the publisher up for so long at most, ms; then it misses messages. */
const PATIENCE_MS = 2_000
const LOOK_MS = 20
const MAX_SUBSCRIPTIONS = 64

/** How a member answered our wish to subscribe; `version`: of its announcement when it was asked. */
interface Standing {
  state: "asked" | "active" | "refused"
  reason: AckReason | "timeout"
  version: U64
  askedAt: Milliseconds
}

/** After these answers the same question may be answered differently, ms. */
const ASK_AGAIN_MS: Partial<Record<Standing["reason"], Milliseconds>> = { "rate-limited": 31_000, timeout: 5_000 }
/** A new announcement may mean that a grant is gone or a refusal void: asked again, but not at once, ms. */
const RENEW_MS = 10_000

export class Channel implements RoomChannel {
  readonly name: string
  roots: readonly Bytes[] = []
  readonly #plane: ControlPlane
  readonly #onClose: () => void
  readonly #standing = new Map<NodeId, Standing>()
  readonly #readers = new Set<MessageQueue<ChannelMessage>>()
  #unread = 0
  #open = false
  #closed = false

  constructor(name: string, plane: ControlPlane, onClose: () => void) {
    this.name = name
    this.#plane = plane
    this.#onClose = onClose
  }

  /** This page publishes here. */
  get isOpen(): boolean {
    return this.#open
  }

  /** Messages that were dropped because nobody read them. */
  get unread(): number {
    let sum = this.#unread
    for (const reader of this.#readers) sum += reader.dropped
    return sum
  }

  get subscribers(): readonly Participant[] {
    return this.#plane.channels.machine.subscribersOf(this.name).flatMap((node) => this.#plane.participant(node) ?? [])
  }

  get publishers(): readonly Participant[] {
    const active = [...this.#standing].filter(([, { state }]) => state === "active")
    return active.flatMap(([node]) => this.#plane.participant(node) ?? [])
  }

  get refusals(): ReadonlyMap<string, string> {
    const refused = [...this.#standing].filter(([, { state }]) => state === "refused")
    return new Map(
      refused.flatMap(([node, { reason }]): [string, string][] => {
        const who = this.#plane.participant(node)
        return who === undefined ? [] : [[who.id, reason]]
      }),
    )
  }

  async open(): Promise<void> {
    this.#requireOpen()
    const { channels, host } = this.#plane
    const chain = await channels.tokens.chainFor(SCOPE.PUBLISH, this.name, this.roots)
    await channels.machine.openChannel(this.name, chain, host.now())
    this.#requireOpen()
    if (this.#open) return
    this.#open = true
    channels.retag()
  }

  async publish(data: Uint8Array): Promise<void> {
    if (data.length > MAX_CHANNEL_MESSAGE) throw new AvError("MessageTooLarge", { got: data.length, max: MAX_CHANNEL_MESSAGE })
    if (!this.#open) await this.open()
    await this.#space()
    this.#requireOpen()
    const bytes = data.slice()
    try {
      this.#send(bytes)
    } catch (error) {
      // The token we showed has run out; there may be another one.
      if (!isAvError(error, "NotAuthorized")) throw error
      await this.open()
      this.#send(bytes)
    }
  }

  subscribe(options: { signal?: AbortSignal } = {}): AsyncIterableIterator<ChannelMessage> {
    this.#requireOpen()
    if (this.#readers.size >= MAX_SUBSCRIPTIONS) throw new AvError("LimitExceeded", { what: "readers", max: MAX_SUBSCRIPTIONS })
    const { signal } = options
    const queue = new MessageQueue<ChannelMessage>(() => {
      signal?.removeEventListener("abort", stop)
      this.#left(queue)
    })
    const stop = () => queue.end()
    this.#readers.add(queue)
    signal?.addEventListener("abort", stop)
    if (signal?.aborted === true) stop()
    this.refresh(false)
    return queue
  }

  close(): void {
    if (this.#closed) return
    this.end()
    const { channels, host, neighbours } = this.#plane
    channels.carryOut(channels.machine.closeChannel(this.name))
    for (const node of neighbours) channels.carryOut(channels.machine.unsubscribe(node, this.name, host.now()))
    this.#standing.clear()
    this.#onClose()
  }

  /** The room is over, or the channel is. */
  end(): void {
    this.#closed = true
    this.#open = false
    for (const reader of [...this.#readers]) reader.end()
  }

  /** Asks everybody who says that it publishes here and was not asked yet; `again`: also those who answered. */
  refresh(again: boolean): void {
    if (this.#closed || this.#readers.size === 0) return
    const { gossip, host, neighbours } = this.#plane
    const tag = channelTag(this.name)
    for (const node of neighbours) {
      const entry = gossip.index.get(node, host.now())
      const known = this.#standing.get(node)
      if (entry?.hasTag(tag) !== true) {
        this.#standing.delete(node)
        continue
      }
      const { version } = entry.announcement
      if (known !== undefined && !again && !isDue(known, version, host.now())) continue
      // Asking again changes nothing for whom it was granted already.
      if (known?.state !== "active") this.#standing.set(node, { state: "asked", reason: "ok", version, askedAt: host.now() })
      else Object.assign(known, { version, askedAt: host.now() })
      void this.#ask(node)
    }
  }

  /** The answer of a member to one of our requests. */
  answered(request: string, node: NodeId, result: AckReason | "timeout"): void {
    const standing = this.#standing.get(node)
    if (request !== "subscribe" || standing === undefined) return
    standing.state = result === "ok" ? "active" : "refused"
    standing.reason = result
  }

  /** The session with this member is another one, or there is none. */
  forget(node: NodeId): void {
    this.#standing.delete(node)
  }

  deliver(message: ChannelMessage): void {
    for (const reader of this.#readers) reader.push(message, message.data.length)
  }

  async #ask(node: NodeId): Promise<void> {
    const { channels, host } = this.#plane
    try {
      const chain = await channels.tokens.chainFor(SCOPE.SUBSCRIBE, this.name, this.roots)
      if (this.#closed || this.#readers.size === 0 || !this.#standing.has(node)) return
      channels.carryOut(channels.machine.subscribe(node, this.name, { chain }, host.now()))
    } catch (error) {
      this.#standing.delete(node)
      this.#plane.fault(error)
    }
  }

  #send(data: Bytes): void {
    const { channels, host } = this.#plane
    channels.carryOut(channels.machine.publish(this.name, data, host.now()))
  }

  /** Waits until the links of all subscribers have space, but not for ever. */
  async #space(): Promise<void> {
    const { channels } = this.#plane
    for (let waited = 0; waited < PATIENCE_MS; waited += LOOK_MS) {
      const full = channels.machine.subscribersOf(this.name).some((node) => this.#plane.isFull(node))
      if (!full || this.#closed) return
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  #left(queue: MessageQueue<ChannelMessage>): void {
    if (!this.#readers.delete(queue)) return
    this.#unread += queue.dropped
    if (this.#readers.size > 0 || this.#closed) return
    const { channels, host } = this.#plane
    for (const node of [...this.#standing.keys()]) {
      channels.carryOut(channels.machine.unsubscribe(node, this.name, host.now()))
    }
    this.#standing.clear()
  }

  #requireOpen(): void {
    if (this.#plane.closed) throw new AvError("RoomClosed")
    if (this.#closed) throw new AvError("UsageError", { why: "channel closed" })
  }
}

function isDue({ state, reason, version, askedAt }: Standing, current: U64, now: Milliseconds): boolean {
  const waited = now - askedAt
  if (state === "asked") return false
  const again = state === "refused" ? ASK_AGAIN_MS[reason] : undefined
  return again === undefined ? version !== current && waited >= RENEW_MS : waited >= again
}
