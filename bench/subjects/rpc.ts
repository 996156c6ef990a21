/** Calls: the cost of their bytes, of a round trip inside one process, and of the memory of callers. */
import { CallerLru } from "../../src/rpc/caller-lru.ts"
import { type RpcInlet, RpcNode, type RpcSession } from "../../src/rpc/index.ts"
import { nodeIdFromU64 } from "../../src/wire/node-id.ts"
import { decodeRpc, encodeRpc, encodeRpcInto, type RpcFrame, rpcLength } from "../../src/wire/rpc-frame.ts"
import type { Bytes, NodeId } from "../../src/wire/types.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const SIZES = [32, 1_024, 16_384]
const FRAMES = 200

async function frames(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  for (const size of SIZES) {
    const frame: RpcFrame = {
      kind: "request",
      flags: 0,
      seq: 0,
      callId: 7n,
      service: "bench/echo",
      timeoutMs: 5_000,
      responseWindow: 0,
      headers: [],
      body: new Uint8Array(size),
    }
    const bytes = encodeRpc(frame)
    const buffer = new Uint8Array(rpcLength(frame))
    const time = (step: () => unknown) =>
      microseconds(effort, {
        operations: FRAMES,
        run: async () => {
          for (let i = 0; i < FRAMES; i++) step()
        },
      })
    rows.push({
      body_bytes: size,
      encode_us: round(await time(() => encodeRpc(frame))),
      encode_into_us: round(await time(() => encodeRpcInto(frame, buffer, 0))),
      decode_us: round(await time(() => decodeRpc(bytes))),
    })
  }
  return rows
}

/** Two nodes whose sessions hand bytes over in the next microtask. */
function pair(): { caller: RpcNode; callee: RpcNode; target: NodeId } {
  const ids: NodeId[] = [nodeIdFromU64(1n), nodeIdFromU64(2n)]
  const [caller, callee] = ids.map((node) => new RpcNode({ self: { node, entity: new Uint8Array(32) }, admits: () => true }))
  if (caller === undefined || callee === undefined) throw new Error("no nodes")
  const inlets: RpcInlet[] = []
  const session = (peer: number): RpcSession => ({
    peer: ids[peer] ?? "",
    entity: new Uint8Array(32),
    send: (payload: Bytes) => queueMicrotask(() => inlets[peer]?.receive(payload)),
    bufferedAmount: () => 0,
  })
  inlets.push(caller.attach(session(1)), callee.attach(session(0)))
  return { caller, callee, target: ids[1] ?? "" }
}

async function calls(effort: Effort): Promise<BenchRow[]> {
  const { caller, callee, target } = pair()
  callee.serve("bench/echo", async (_context, body) => body)
  const rows: BenchRow[] = []
  for (const size of SIZES) {
    for (const together of [1, 16, 128]) {
      const body = new Uint8Array(size)
      const us = await microseconds(effort, {
        operations: 128,
        run: async () => {
          for (let done = 0; done < 128; done += together) {
            await Promise.all(Array.from({ length: together }, () => caller.call(target, "bench/echo", body)))
          }
        },
      })
      rows.push({ body_bytes: size, in_flight: together, call_us: round(us), calls_per_second: round(1e6 / us) })
    }
  }
  return rows
}

async function callers(effort: Effort): Promise<BenchRow[]> {
  const ids = Array.from({ length: 256 }, (_, i) => nodeIdFromU64((BigInt(i + 1) * 0x9e3779b97f4a7c15n) % 2n ** 64n))
  const full = new CallerLru<number>()
  const plain = new Map<NodeId, number>()
  for (const id of ids) {
    full.set(id, 1)
    plain.set(id, 1)
  }
  const perKey = (step: () => void) => microseconds(effort, { operations: ids.length, run: async () => step() })
  const nanoseconds = async (step: () => void) => round((await perKey(step)) * 1_000)
  return [
    {
      hit_ns: await nanoseconds(() => {
        for (const id of ids) full.get(id)
      }),
      insert_ns: await nanoseconds(() => {
        const empty = new CallerLru<number>()
        for (const id of ids) empty.set(id, 1)
      }),
      unbounded_hit_ns: await nanoseconds(() => {
        for (const id of ids) plain.get(id)
      }),
    },
  ]
}

export const rpcFrames: Subject = {
  name: "rpc-frames",
  title: "Frames of calls",
  note: "One REQUEST per operation: encoded into fresh memory, into a buffer at hand, and decoded.",
  run: frames,
}

export const rpcCalls: Subject = {
  name: "rpc-calls",
  title: "Calls inside one process",
  note: "Unary echo between two nodes in one thread over sessions that pass bytes on in the next microtask: the cost of the calls themselves, without a network.",
  run: calls,
}

export const rpcCallers: Subject = {
  name: "rpc-callers",
  title: "The bounded memory of callers",
  note: "256 keys in a memory of 4,096: a hit, a first insertion, and a hit in an unbounded map for comparison.",
  run: callers,
}
