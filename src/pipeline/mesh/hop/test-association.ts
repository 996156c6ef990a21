/**
 * One end of an SCTP association as data channels have it (unordered, nothing sent again), for simulations: window, SACKs, fast
 * retransmit and the timer that stops a lane for 400 ms (RFC 9260, with the constants of Chromium's dcSCTP).
 */
import type { LaneChannel, LaneState } from "../../../link/lane-port.ts"
import type { Bytes } from "../../../wire/types.ts"

const MTU = 1_191
const CHUNK_HEADER = 16
const RTO_MS = 400
const DELAYED_ACK_MS = 200
const LEAST_WINDOW = 4 * MTU
const FIRST_WINDOW = 10 * MTU
/** SACKs that miss a chunk before it counts as lost. */
const MISSED = 3

interface Chunk {
  tsn: number
  size: number
  message: Bytes
  last: boolean
  state: "flying" | "acked" | "lost"
  missed: number
}

type Packet =
  | { kind: "data"; tsn: number; message: Bytes; last: boolean; first: boolean }
  | { kind: "sack"; cumulative: number; got: number[] }
  | { kind: "forward"; to: number }

export class AssociationEnd {
  peer!: AssociationEnd
  /** Stops and long waits. */
  timeouts = 0
  readonly #now: () => number
  readonly #carry: (size: number, arrive: () => void) => void
  readonly #deliver: (bytes: Bytes) => void
  // Sending.
  #queue: { message: Bytes; rest: number }[] = []
  #chunks: Chunk[] = []
  #window = FIRST_WINDOW
  #threshold = Number.POSITIVE_INFINITY
  #partial = 0
  #recoverTo: number | undefined
  #nextTsn = 0
  #timerAt: number | undefined
  #rto = RTO_MS
  #forwardedAt = Number.NEGATIVE_INFINITY
  // Receiving.
  #cumulative = -1
  readonly #got = new Set<number>()
  readonly #parts = new Map<Bytes, number>()
  #ackAt: number | undefined

  /** @param carry the path: calls back when and if the packet arrives */
  constructor(now: () => number, carry: (size: number, arrive: () => void) => void, deliver: (bytes: Bytes) => void) {
    this.#now = now
    this.#carry = carry
    this.#deliver = deliver
  }

  get buffered(): number {
    return this.#queue.reduce((sum, { rest }) => sum + rest, 0)
  }

  get window(): number {
    return this.#window
  }

  send(message: Bytes): void {
    this.#queue.push({ message, rest: message.length })
    this.#fill()
  }

  /** Call every millisecond. */
  tick(): void {
    const now = this.#now()
    if (this.#ackAt !== undefined && now >= this.#ackAt) this.#ack()
    if (this.#timerAt === undefined || now < this.#timerAt) return
    this.timeouts += 1
    this.#threshold = Math.max(this.#window / 2, LEAST_WINDOW)
    this.#window = MTU
    this.#rto = Math.min(3_000, 2 * this.#rto)
    this.#timerAt = undefined
    for (const chunk of this.#chunks) if (chunk.state === "flying") chunk.state = "lost"
    this.#forward(true)
    this.#fill()
  }

  #flying(): number {
    return this.#chunks.reduce((sum, { state, size }) => sum + (state === "flying" ? size : 0), 0)
  }

  #fill(): void {
    for (;;) {
      const head = this.#queue[0]
      if (head === undefined) return
      const flying = this.#flying()
      const room = Math.min(MTU, flying === 0 ? Math.max(MTU, this.#window) : this.#window - flying) - CHUNK_HEADER
      // A wide window waits for a whole packet, a narrow one is filled with fragments.
      if (this.#window >= 6 * MTU ? room < head.rest : room < 8) return
      const taken = Math.min(room, head.rest)
      const first = head.rest === head.message.length
      head.rest -= taken
      const last = head.rest === 0
      if (last) this.#queue.shift()
      const { message } = head
      const tsn = this.#nextTsn++
      this.#chunks.push({ tsn, size: taken + CHUNK_HEADER, message, last, state: "flying", missed: 0 })
      this.#timerAt ??= this.#now() + this.#rto
      this.#transmit({ kind: "data", tsn, message, last, first }, taken)
    }
  }

  #transmit(packet: Packet, size = 0): void {
    this.#carry(size, () => this.peer.#arrive(packet))
  }

  #arrive(packet: Packet): void {
    if (packet.kind === "sack") this.#sacked(packet.cumulative, packet.got)
    else if (packet.kind === "forward") this.#skip(packet.to)
    else this.#take(packet)
  }

  #skip(to: number): void {
    for (let tsn = this.#cumulative + 1; tsn <= to; tsn++) this.#got.delete(tsn)
    this.#cumulative = Math.max(this.#cumulative, to)
    this.#advance()
    this.#ack()
  }

  #take({ tsn, message, last, first }: Extract<Packet, { kind: "data" }>): void {
    if (tsn <= this.#cumulative || this.#got.has(tsn)) {
      this.#ack()
      return
    }
    this.#got.add(tsn)
    this.#advance()
    if (first && last) this.#deliver(message)
    else {
      const parts = (this.#parts.get(message) ?? 0) + (last ? 1_000 : 1) + (first ? 100_000 : 0)
      this.#parts.set(message, parts)
      if (this.#parts.size > 64) this.#parts.delete(this.#parts.keys().next().value!)
      // Two fragments are the rule; of more it is enough for this purpose that both ends came.
      if (parts >= 101_000) this.#deliver(message)
    }
    if (this.#got.size > 0 || this.#ackAt !== undefined) this.#ack()
    else this.#ackAt = this.#now() + DELAYED_ACK_MS
  }

  #advance(): void {
    while (this.#got.delete(this.#cumulative + 1)) this.#cumulative += 1
  }

  #ack(): void {
    this.#ackAt = undefined
    this.#transmit({ kind: "sack", cumulative: this.#cumulative, got: [...this.#got] })
  }

  #sacked(cumulative: number, got: number[]): void {
    const before = this.#flying()
    const seen = new Set(got)
    const oldest = this.#chunks[0]?.tsn
    let acked = 0
    let highest = -1
    for (const chunk of this.#chunks) {
      if (chunk.state === "acked" || (chunk.tsn > cumulative && !seen.has(chunk.tsn))) continue
      if (chunk.state === "flying") acked += chunk.size
      chunk.state = "acked"
      highest = Math.max(highest, chunk.tsn)
    }
    const advanced = oldest !== undefined && cumulative >= oldest
    this.#chunks = this.#chunks.filter(({ tsn }) => tsn > cumulative)
    if (this.#recoverTo !== undefined && cumulative >= this.#recoverTo) this.#recoverTo = undefined
    let lost = false
    for (const chunk of this.#chunks) {
      if (chunk.state !== "flying" || chunk.tsn >= highest || ++chunk.missed < MISSED) continue
      chunk.state = "lost"
      lost = true
    }
    if (lost && this.#recoverTo === undefined) {
      this.#threshold = Math.max(this.#window / 2, LEAST_WINDOW)
      this.#window = this.#threshold
      this.#partial = 0
      this.#recoverTo = this.#nextTsn - 1
    } else if (advanced && acked > 0 && this.#recoverTo === undefined && before + MTU >= this.#window) this.#grow(acked)
    if (advanced) {
      this.#rto = RTO_MS
      this.#timerAt = this.#flying() > 0 ? this.#now() + this.#rto : undefined
    }
    if (this.#flying() === 0) this.#timerAt = undefined
    this.#forward(false)
    this.#fill()
  }

  #grow(acked: number): void {
    if (this.#window <= this.#threshold) this.#window += Math.min(acked, MTU)
    else {
      this.#partial += acked
      if (this.#partial < this.#window) return
      this.#partial -= this.#window
      this.#window += MTU
    }
  }

  /** Tells the other end not to wait for what is lost. */
  #forward(atOnce: boolean): void {
    const now = this.#now()
    let to: number | undefined
    for (const { tsn, state } of this.#chunks) {
      if (state === "flying") break
      to = tsn
    }
    if (to === undefined || !this.#chunks.some(({ state }) => state === "lost") || (!atOnce && now - this.#forwardedAt < 50))
      return
    this.#forwardedAt = now
    this.#transmit({ kind: "forward", to })
  }
}

/** A lane whose messages go through an association of their own. */
export class AssociationLane implements LaneChannel {
  readonly path = "transferred"
  state: LaneState = "open"
  readonly end: AssociationEnd
  onSend: (bytes: Bytes) => void = () => {}

  constructor(end: AssociationEnd) {
    this.end = end
  }

  get bufferedAmount(): number {
    return this.end.buffered
  }

  send(bytes: Bytes): boolean {
    if (this.state !== "open") return false
    const own = bytes.slice()
    this.onSend(own)
    this.end.send(own)
    return true
  }

  close(): void {
    this.state = "closed"
  }
}
