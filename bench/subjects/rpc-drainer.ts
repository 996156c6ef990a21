/** What a call costs beside its bytes: one loop for all answers against a task for each, and how often anything is sent or woken. */

import { ResponseDrainer } from "../../src/rpc/drainer.ts"
import { type RpcInlet, RpcNode, type RpcSession } from "../../src/rpc/index.ts"
import { RpcLink } from "../../src/rpc/link.ts"
import { nodeIdFromU64 } from "../../src/wire/node-id.ts"
import type { Bytes, NodeId } from "../../src/wire/types.ts"
import { type Effort, round, takeTurns } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const ANSWERS = 1_000
const CALLS = 200

/** A session that takes everything at once. */
function openLink(): RpcLink {
  return new RpcLink({ peer: nodeIdFromU64(1n), entity: new Uint8Array(32), send: () => {}, bufferedAmount: () => 0 })
}

async function drainer(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const size of [32, 1_024]) {
    const bytes = new Uint8Array(size)
    const link = openLink()
    const queue = new ResponseDrainer()
    const viaQueue = () =>
      new Promise<void>((resolve) => {
        let left = ANSWERS
        const done = () => {
          if (--left === 0) resolve()
        }
        for (let i = 0; i < ANSWERS; i++) queue.push(link, bytes, done)
      })
    const viaTasks = async () => {
      const task = async () => {
        await Promise.resolve()
        link.sendBytes(bytes)
      }
      await Promise.all(Array.from({ length: ANSWERS }, task))
    }
    const ms = await takeTurns(effort.rounds * 3, { queue: viaQueue, tasks: viaTasks })
    rows.push({
      body_bytes: size,
      one_loop_us: round((ms.queue * 1_000) / ANSWERS),
      task_each_us: round((ms.tasks * 1_000) / ANSWERS),
      ratio: round(ms.tasks / ms.queue),
    })
  }
  return rows
}

/** Counts, so the same on every machine. */
async function wakeups(): Promise<BenchRow[]> {
  const ids: NodeId[] = [nodeIdFromU64(1n), nodeIdFromU64(2n)]
  const [caller, callee] = ids.map((node) => new RpcNode({ self: { node, entity: new Uint8Array(32) }, admits: () => true }))
  if (caller === undefined || callee === undefined) throw new Error("no nodes")
  const sent = [0, 0]
  const inlets: RpcInlet[] = []
  const session = (side: 0 | 1): RpcSession => ({
    peer: ids[1 - side] ?? "",
    entity: new Uint8Array(32),
    send: (payload: Bytes) => {
      sent[side] = (sent[side] ?? 0) + 1
      queueMicrotask(() => inlets[1 - side]?.receive(payload))
    },
    bufferedAmount: () => 0,
  })
  inlets.push(caller.attach(session(0)), callee.attach(session(1)))
  callee.serve("bench/echo", async (_context, body) => body)
  const posts = countPosts()
  for (let i = 0; i < CALLS; i++) await caller.call(ids[1] ?? "", "bench/echo", new Uint8Array(32))
  const messages = posts.stop()
  return [
    {
      sends_of_the_caller: round((sent[0] ?? 0) / CALLS),
      sends_of_the_callee: round((sent[1] ?? 0) / CALLS),
      messages_between_threads: round(messages / CALLS),
    },
  ]
}

/** How often anything of this thread posts a message to another one. */
function countPosts(): { stop(): number } {
  const { postMessage } = MessagePort.prototype
  let count = 0
  MessagePort.prototype.postMessage = function (this: MessagePort, ...message: unknown[]) {
    count++
    return (postMessage as (...args: unknown[]) => void).apply(this, message)
  } as typeof postMessage
  return {
    stop() {
      MessagePort.prototype.postMessage = postMessage
      return count
    },
  }
}

export const rpcDrainer: Subject = {
  name: "rpc-drainer",
  title: "The queue of answers",
  note: "1,000 answers that are ready at once: through the one bounded queue of a service, and with a task of its own for each.",
  run: drainer,
}
export const rpcWakeups: Subject = {
  name: "rpc-wakeups",
  title: "Sends and wake-ups of a call",
  note: "Counted, not timed: frames sent per unary round trip, and messages to other threads. Calls run in the thread that owns the channel.",
  run: wakeups,
}
