/**
 * What a peer of the conformance contract does, in a page or in Node. Each function stands alone: its text is sent into the page, so it
 * uses its parameters and nothing else.
 */
import type { Room } from "../../src/room/types.ts"

export interface Announcement {
  /** Tells this announcement from earlier ones. */
  round: string
  tags: string[]
  /** Key ids. */
  participants: string[]
  /** 16 bytes, as hexadecimal digits. */
  subnets: string[]
  /** 32 bytes, as hexadecimal digits. */
  groups: string[]
}

/** A result, or the failure that a call ended with. */
export type Outcome = string | string[] | { kind: string; target: unknown; capability: unknown }

/** Where {@link serve} keeps what {@link stopServing} ends. */
interface Serving {
  contract?: { dispose(): void }[]
}

/** Serves in all four shapes; answers with what came in. */
export function serve(room: Room): void {
  const text = new TextDecoder()
  const serving: Serving = room as object
  serving.contract = [
    room.rpc.serve("contract/unary", (body) => body),
    room.rpc.serveStream("contract/down", async function* (body) {
      yield body
      yield body
    }),
    room.rpc.serveUpload("contract/up", async (items) => {
      const words: string[] = []
      for await (const item of items) words.push(text.decode(item))
      return new TextEncoder().encode(words.join("+"))
    }),
    room.rpc.serveDuplex("contract/both", async function* (items) {
      for await (const item of items) yield item
    }),
  ]
}

export function stopServing(room: Room): void {
  for (const service of (room as Serving).contract ?? []) service.dispose()
}

export function announce(room: Room, { round, tags, participants, subnets, groups }: Announcement): void {
  const bytes = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
  const policy = { participants, subnets: subnets.map(bytes), groups: groups.map(bytes) }
  room.capabilities.announce({ tags, metadata: { round }, policy })
}

/** The round of the newest announcement of a member that is known here. */
export function heardRound(room: Room, { id }: { id: string }): string | undefined {
  return room.capabilities.of(id === room.local.id ? room.local : id)?.metadata.get("round")
}

export function about(room: Room): { id: string; node: string } {
  return { id: room.local.id, node: room.capabilities.node }
}

/** Calls in all four shapes. `any`: through the own gate; otherwise around it, to this member. */
export async function callAll(room: Room, { target }: { target: string }): Promise<Outcome[]> {
  const a = new TextEncoder().encode("a")
  const words = (bytes: Uint8Array) => new TextDecoder().decode(bytes)
  const all = async (items: AsyncIterable<Uint8Array>) => {
    const out: string[] = []
    for await (const item of items) out.push(words(item))
    return out
  }
  const calls: (() => Promise<Outcome>)[] = [
    async () => words(await room.rpc.call(target, "contract/unary", a)),
    () => all(room.rpc.callStream(target, "contract/down", a)),
    async () => words(await room.rpc.callUpload(target, "contract/up", [a, a])),
    () => all(room.rpc.callDuplex(target, "contract/both", [a, a])),
  ]
  return Promise.all(
    calls.map(async (call) => {
      try {
        return await call()
      } catch (error) {
        const { failure } = error as { failure?: { kind: string; target?: unknown; capability?: unknown } }
        if (failure === undefined) throw error
        return { kind: failure.kind, target: failure.target, capability: failure.capability }
      }
    }),
  )
}

/** Refusals counted so far: by the own gate, and by this peer as the one that is called. */
export async function refusals(room: Room): Promise<{ asCaller: number; asCallee: number }> {
  const { control } = await room.stats()
  const asCallee = Object.entries(control.deniedByCalleesGate).map(([service, count]) =>
    service.startsWith("contract/") ? count : 0,
  )
  return { asCaller: control.deniedByCallersGate, asCallee: asCallee.reduce((sum, count) => sum + count, 0) }
}
