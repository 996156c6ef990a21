/** A duplex call against a model: whatever the order of writing, reading, delays and endings, no item is lost, doubled or swapped. */
import fc from "fast-check"
import { expect, it } from "vitest"
import type { RpcSink } from "./stream.ts"
import { nodeId, settle, TestNet, text, words } from "./test-net.ts"
import type { RpcDuplex } from "./types.ts"

/** What the model knows: both directions are queues that keep their order. */
interface Model {
  over: boolean
}

/** One call and everything that was said and heard at its ends. */
class World {
  readonly net = new TestNet()
  readonly session
  readonly call: RpcDuplex
  readonly said = { client: [] as string[], server: [] as string[] }
  readonly heard = { client: [] as string[], server: [] as string[] }
  readonly pending: Promise<unknown>[] = []
  /** The handler's ends, once it runs. */
  server: { items: AsyncIterableIterator<Uint8Array>; sink: RpcSink; finish(): void } | undefined

  constructor(window: number) {
    const callee = this.net.node(2)
    const caller = this.net.node(1)
    this.session = this.net.join(1, 2)
    callee.serveDuplex("both", async (_context, items, sink) => {
      const iterator = items[Symbol.asyncIterator]() as AsyncIterableIterator<Uint8Array>
      await new Promise<void>((finish) => {
        this.server = { items: iterator, sink, finish }
      })
    })
    this.call = caller.callDuplex(nodeId(2), "both", { window })
    this.watch(this.call.stream.next().then((item) => this.note("client", item)))
  }

  /** Nothing here may fail the test by being rejected: endings reject what is under way. */
  watch(work: Promise<unknown>): void {
    this.pending.push(work.catch(() => undefined))
  }

  note(side: "client" | "server", { done, value }: IteratorResult<Uint8Array>): void {
    if (done !== true) this.heard[side].push(words(value as Uint8Array))
  }
}

class Write implements fc.AsyncCommand<Model, World> {
  readonly side: "client" | "server"
  constructor(side: "client" | "server") {
    this.side = side
  }
  check = ({ over }: Readonly<Model>) => !over
  async run(_: Model, world: World): Promise<void> {
    const sink = this.side === "client" ? world.call.sink : world.server?.sink
    if (sink === undefined) return
    const item = `${this.side} ${world.said[this.side].length}`
    world.said[this.side].push(item)
    world.watch(sink.write(text(item)))
  }
  toString = () => `${this.side} writes`
}

class Read implements fc.AsyncCommand<Model, World> {
  readonly side: "client" | "server"
  constructor(side: "client" | "server") {
    this.side = side
  }
  check = () => true
  async run(_: Model, world: World): Promise<void> {
    const from = this.side === "client" ? world.call.stream : world.server?.items
    if (from !== undefined) world.watch(from.next().then((item) => world.note(this.side, item)))
  }
  toString = () => `${this.side} reads`
}

class Network implements fc.AsyncCommand<Model, World> {
  readonly hold: boolean
  constructor(hold: boolean) {
    this.hold = hold
  }
  check = () => true
  async run(_: Model, world: World): Promise<void> {
    if (this.hold) world.session.hold = true
    else world.session.release()
    await settle()
  }
  toString = () => (this.hold ? "the network holds" : "the network delivers")
}

class End implements fc.AsyncCommand<Model, World> {
  readonly how: "cancel" | "abort" | "finish" | "close"
  constructor(how: "cancel" | "abort" | "finish" | "close") {
    this.how = how
  }
  check = ({ over }: Readonly<Model>) => !over
  async run(model: Model, world: World): Promise<void> {
    model.over = true
    if (this.how === "cancel") world.watch(world.call.stream.return?.() ?? Promise.resolve())
    else if (this.how === "abort") world.call.sink.abort()
    else if (this.how === "close") world.session.close()
    else world.server?.finish()
  }
  toString = () => this.how
}

const commands = fc.commands(
  [
    fc.constant(new Write("client")),
    fc.constant(new Write("server")),
    fc.constant(new Read("client")),
    fc.constant(new Read("server")),
    fc.boolean().map((hold) => new Network(hold)),
    fc.constantFrom<End["how"]>("cancel", "abort", "finish", "close").map((how) => new End(how)),
  ],
  { maxCommands: 60 },
)

it("loses, doubles and swaps nothing, spends no credit it has not, and ends once at each side", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), commands, async (window, list) => {
      const model: Model = { over: false }
      const world = new World(window)
      await settle()
      await fc.asyncModelRun(() => ({ model, real: world }), list)
      world.session.release()
      await settle()
      const ended = model.over
      if (!ended) {
        // Left alone and read to the end, everything arrives.
        for (const side of ["client", "server"] as const) {
          const from = side === "client" ? world.call.stream : world.server?.items
          for (let i = 0; from !== undefined && i < 80; i++) {
            const other = side === "client" ? "server" : "client"
            if (world.heard[side].length >= world.said[other].length) break
            world.watch(from.next().then((item) => world.note(side, item)))
            await settle()
          }
        }
        expect([world.heard.client, world.heard.server]).toEqual([world.said.server, world.said.client])
        world.watch(world.call.sink.end())
        world.server?.finish()
      }
      await settle()
      world.session.close()
      await settle()
      await Promise.all(world.pending)
      for (const [side, other] of [["client", "server"] as const, ["server", "client"] as const]) {
        expect(world.heard[side]).toEqual(world.said[other].slice(0, world.heard[side].length))
      }
      // A data frame beyond the credit would have ended the call with Backpressure.
      expect(world.session.log.some(({ frame }) => frame.kind === "response" && frame.status === 4)).toBe(false)
      const ends = (direction: "in" | "out") => world.net.events.filter((event) => event.direction === direction).length
      expect([ends("out"), ends("in")]).toEqual([1, world.server === undefined ? ends("in") : 1])
    }),
    { numRuns: 150 },
  )
})
