/** For the tests of this folder: a clock that stands still until told otherwise, and nodes joined by sessions that can be held. */
import type { RpcFrame } from "../wire/rpc-frame.ts"
import { decodeRpc } from "../wire/rpc-frame.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import type { RpcClock } from "./clock.ts"
import type { RpcEvent } from "./metrics.ts"
import { type RpcInlet, RpcNode } from "./node.ts"
import type { RpcNodeOptions } from "./types.ts"

export class TestClock implements RpcClock {
  #now = 1_000
  readonly #timers = new Set<{ at: number; action: () => void }>()

  now(): number {
    return this.#now
  }

  after(ms: number, action: () => void): () => void {
    const timer = { at: this.#now + ms, action }
    if (Number.isFinite(ms)) this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  get pending(): number {
    return this.#timers.size
  }

  /** Moves on, running what is due in its order and letting promises settle in between. */
  async pass(ms: number): Promise<void> {
    const end = this.#now + ms
    for (;;) {
      await settle()
      const next = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#timers.delete(next)
      this.#now = Math.max(this.#now, next.at)
      next.action()
    }
    this.#now = end
    await settle()
  }
}

/** Lets everything that only waits for microtasks happen. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}

export const nodeId = (n: number): NodeId => n.toString(16).padStart(16, "0")

interface TestSession {
  /** Frames sent by `from` towards `to` since the start. */
  readonly log: { from: NodeId; frame: RpcFrame }[]
  /** Bytes this end claims to have buffered; set to stop it. */
  buffered: Map<NodeId, number>
  /** Keeps frames until `release`. */
  hold: boolean
  release(): void
  inlet(node: NodeId): RpcInlet
  close(): void
}

export class TestNet {
  readonly clock = new TestClock()
  readonly nodes = new Map<NodeId, RpcNode>()
  readonly events: (RpcEvent & { at: NodeId })[] = []
  #seed = 1

  /** A node that admits everybody unless told otherwise. */
  node(n: number, options: Partial<RpcNodeOptions> = {}): RpcNode {
    const id = nodeId(n)
    const node = new RpcNode({
      self: { node: id, entity: new Uint8Array(32).fill(n) },
      admits: () => true,
      clock: this.clock,
      random: (length) => Uint8Array.from({ length }, () => this.#draw() & 0xff),
      onCall: (event) => this.events.push({ at: id, ...event }),
      ...options,
    })
    this.nodes.set(id, node)
    return node
  }

  #draw(): number {
    this.#seed = (this.#seed * 48_271) % 0x7fffffff
    return this.#seed
  }

  join(a: number, b: number): TestSession {
    const ids: [NodeId, NodeId] = [nodeId(a), nodeId(b)]
    const inlets = new Map<NodeId, RpcInlet>()
    const held: (() => void)[] = []
    const session: TestSession = {
      log: [],
      buffered: new Map(),
      hold: false,
      release() {
        session.hold = false
        for (const deliver of held.splice(0)) deliver()
      },
      inlet: (node) => inlets.get(node)!,
      close() {
        for (const inlet of inlets.values()) inlet.close()
      },
    }
    for (const [self, peer] of [ids, [ids[1], ids[0]] as const]) {
      const send = (payload: Bytes) => {
        session.log.push({ from: self, frame: decodeRpc(payload) })
        const deliver = () => inlets.get(peer)?.receive(payload)
        if (session.hold) held.push(deliver)
        else queueMicrotask(deliver)
      }
      const node = this.nodes.get(self)
      if (node === undefined) throw new Error("no such node")
      const entity = new Uint8Array(32).fill(Number.parseInt(peer, 16))
      inlets.set(self, node.attach({ peer, entity, send, bufferedAmount: () => session.buffered.get(self) ?? 0 }))
    }
    return session
  }
}

export const text = (value: string): Bytes => new TextEncoder().encode(value)
export const words = (bytes: Bytes): string => new TextDecoder().decode(bytes)

/** What a promise rejects with, as an RPC failure. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error instanceof Error && "failure" in error ? error.failure : error
  }
  return "no failure"
}
