/** Nodes and worlds for the tests of this folder. */
import { PinTable, signerFromSeeds } from "../identity/index.ts"
import { FRAME_ANNOUNCE, FRAME_FLOOR } from "../wire/frame.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import { type Announcement, emptyAnnouncement } from "./announcement.ts"
import { encodeAnnouncement, signAnnouncement } from "./announcement-codec.ts"
import { Gossip, type GossipAction, type GossipOptions } from "./gossip.ts"

/** Unix milliseconds at which the tests begin. */
export const START = 1_760_000_000_000

type TestSigner = Awaited<ReturnType<typeof signerFromSeeds>>

export function testSigner(seed: number): Promise<TestSigner> {
  return signerFromSeeds(new Uint8Array(32).fill(seed))
}

/** An announcement of `signer` with some fields set; version 1, issued at {@link START}. */
export function announcementOf(signer: TestSigner, fields: Partial<Announcement> = {}): Announcement {
  return { ...emptyAnnouncement(signer), issuedMs: BigInt(START), ...fields }
}

/** The same as a signed payload. */
export async function payloadOf(signer: TestSigner, fields: Partial<Announcement> = {}, hopCount = 0): Promise<Bytes> {
  return encodeAnnouncement({ ...(await signAnnouncement(announcementOf(signer, fields), signer)), hopCount })
}

/** Several nodes in one process, joined by ordered links without delay, under one clock. */
export class TestMesh {
  readonly nodes = new Map<NodeId, Gossip>()
  readonly pins = new Map<NodeId, PinTable>()
  /** What the nodes' machines asked for besides sending. */
  readonly events: { node: NodeId; action: GossipAction }[] = []
  /** Sees every frame on its way; false drops it. */
  tap: (from: NodeId, to: NodeId, payload: Bytes, type: number) => boolean = () => true
  now = START
  readonly #links = new Set<string>()

  add(signer: TestSigner, options: Partial<GossipOptions> = {}): Gossip {
    const pins = new PinTable()
    const node = new Gossip({ signer, pins, now: this.now, ...options })
    this.nodes.set(signer.nodeId, node)
    this.pins.set(signer.nodeId, pins)
    return node
  }

  /** Opens a session between two nodes, as a completed session proof does. */
  async link(a: TestSigner, b: TestSigner): Promise<void> {
    this.#links.add(`${a.nodeId} ${b.nodeId}`).add(`${b.nodeId} ${a.nodeId}`)
    this.pins.get(a.nodeId)?.pin(b.nodeId, b.entityId)
    this.pins.get(b.nodeId)?.pin(a.nodeId, a.entityId)
    this.nodes.get(a.nodeId)?.sessionOpened(b.nodeId, this.now)
    this.nodes.get(b.nodeId)?.sessionOpened(a.nodeId, this.now)
    await this.settle()
  }

  /** Lets every node act until nobody has anything to say at this moment. */
  async settle(): Promise<void> {
    let busy = true
    while (busy) {
      busy = false
      for (const [from, node] of this.nodes) {
        for (const action of await node.run(this.now)) {
          if (action.kind !== "send") {
            this.events.push({ node: from, action })
            continue
          }
          busy = true
          if (this.tap(from, action.to, action.payload, action.type))
            await this.deliver(from, action.to, action.type, action.payload)
        }
      }
    }
  }

  async deliver(from: NodeId, to: NodeId, type: number, payload: Bytes): Promise<string | undefined> {
    const node = this.nodes.get(to)
    if (node === undefined || !this.#links.has(`${from} ${to}`)) return undefined
    if (type === FRAME_ANNOUNCE) return node.receiveAnnouncement(payload, from, this.now)
    return type === FRAME_FLOOR ? node.receiveFloor(payload, from, this.now) : undefined
  }

  async advance(ms: number, step = 5_000): Promise<void> {
    const end = this.now + ms
    while (this.now < end) {
      this.now = Math.min(end, this.now + step)
      await this.settle()
    }
  }
}
