/** A UDP proxy between the ICE candidates of browsers on this machine. Every packet takes the sender's uplink, a {@link Path}. */
import { createSocket, type Socket } from "node:dgram"
import { once } from "node:events"
import { DelayHistogram } from "./histogram.ts"
import { Path, type PathSettings } from "./path.ts"

/** What IPv4 and UDP add to a payload. */
const UDP_HEADERS = 28
/** More peer connections than a page of a test makes; numbers are used again after that. */
const PORTS_PER_PEER = 96
const RECEIVE_BUFFER = 1 << 20
/** Timers of Node fire on whole milliseconds: what is due within so much goes out at once. */
const EARLY_MS = 0.5

/** A local candidate of a page: packets to `port` of the proxy are for `address:realPort`. */
export interface Registration {
  port: number
  address: string
  realPort: number
  /** Number of the peer connection in its page, from 0. */
  connection: number
}

interface PortCounters {
  /** UDP payload that the candidate behind this port sent, and of that what was not STUN. */
  sentPackets: number
  sentBytes: number
  sentMediaBytes: number
  /** Discarded because the port was blocked. */
  blockedPackets: number
}

interface Outgoing {
  socket: Socket
  address: string
  port: number
  data: Buffer
}

interface Port {
  socket: Socket
  number: number
  registration: Registration | undefined
  counters: PortCounters
  blocked: boolean
}

export class ProxyPeer {
  readonly uplink: Path<Outgoing>
  readonly #ports: Map<number, Port>
  readonly #register: (registration: Registration) => void

  constructor(uplink: Path<Outgoing>, ports: Map<number, Port>, register: (registration: Registration) => void) {
    this.uplink = uplink
    this.#ports = ports
    this.#register = register
  }

  /** Ports that stand for this peer's candidates, to be handed out in this order. */
  get ports(): number[] {
    return [...this.#ports.keys()]
  }

  get registrations(): Registration[] {
    return [...this.#ports.values()].flatMap(({ registration }) => (registration === undefined ? [] : [registration]))
  }

  register(registration: Registration): void {
    this.#register(registration)
  }

  counters(port: number): Readonly<PortCounters> | undefined {
    return this.#ports.get(port)?.counters
  }

  /** Changes the uplink while packets are on it. */
  change(changes: Partial<PathSettings>): void {
    this.uplink.change(changes, performance.now())
  }

  /** Discards everything from and to one peer connection of the page: a lane that died without a word. */
  block(connection: number, blocked = true): void {
    for (const port of this.#ports.values()) if (port.registration?.connection === connection) port.blocked = blocked
  }
}

export class ImpairmentProxy {
  /** Packets from addresses that no page has announced. */
  unknownPackets = 0
  /** How much later than due packets left, because this process was busy. */
  readonly lateness = new DelayHistogram()
  readonly #peers: { peer: ProxyPeer; ports: Map<number, Port> }[] = []
  /** By real address: the port that stands for it, and the peer it belongs to. */
  readonly #sources = new Map<string, { peer: ProxyPeer; port: Port }>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #wakeAt = Number.POSITIVE_INFINITY
  #closed = false

  async addPeer(seed: number, uplink: Partial<PathSettings> = {}): Promise<ProxyPeer> {
    const ports = new Map<number, Port>()
    const peer = new ProxyPeer(new Path(seed, uplink), ports, (registration) => this.#registered(peer, ports, registration))
    const sockets = await Promise.all(Array.from({ length: PORTS_PER_PEER }, bindSocket))
    for (const socket of sockets) {
      const counters: PortCounters = { sentPackets: 0, sentBytes: 0, sentMediaBytes: 0, blockedPackets: 0 }
      const port: Port = { socket, number: socket.address().port, registration: undefined, counters, blocked: false }
      ports.set(port.number, port)
      socket.on("message", (data, from) => this.#arrived(port, data, `${from.address}:${from.port}`))
      // A browser that is gone makes the kernel report an unreachable port; the packet is lost and that is all.
      socket.on("error", () => undefined)
    }
    this.#peers.push({ peer, ports })
    return peer
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    const sockets = this.#peers.flatMap(({ ports }) => [...ports.values()].map(({ socket }) => socket))
    await Promise.all(
      sockets.map((socket) => {
        const closed = once(socket, "close")
        socket.close()
        return closed
      }),
    )
  }

  #registered(peer: ProxyPeer, ports: Map<number, Port>, registration: Registration): void {
    const port = ports.get(registration.port)
    if (port === undefined) return
    const old = port.registration
    if (old !== undefined) this.#sources.delete(`${old.address}:${old.realPort}`)
    port.registration = registration
    port.blocked = false
    this.#sources.set(`${registration.address}:${registration.realPort}`, { peer, port })
  }

  #arrived(to: Port, data: Buffer, from: string): void {
    const source = this.#sources.get(from)
    if (source === undefined || to.registration === undefined) {
      this.unknownPackets++
      return
    }
    const { counters } = source.port
    counters.sentPackets++
    counters.sentBytes += data.length
    if (!isStun(data)) counters.sentMediaBytes += data.length
    if (source.port.blocked || to.blocked) {
      counters.blockedPackets++
      return
    }
    const { address, realPort } = to.registration
    const packet = { socket: source.port.socket, address, port: realPort, data }
    source.peer.uplink.offer(packet, data.length + UDP_HEADERS, performance.now())
    this.#deliver()
  }

  /** Sends what is due and sleeps until the next packet is. */
  #deliver(): void {
    if (this.#closed) return
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    for (const { peer } of this.#peers) {
      for (const { socket, data, port, address } of peer.uplink.take(now + EARLY_MS)) socket.send(data, port, address)
      next = Math.min(next, peer.uplink.nextAt() ?? Number.POSITIVE_INFINITY)
    }
    if (next === this.#wakeAt || !Number.isFinite(next)) return
    clearTimeout(this.#timer)
    this.#wakeAt = next
    this.#timer = setTimeout(
      () => {
        this.lateness.add(performance.now() - next)
        this.#wakeAt = Number.POSITIVE_INFINITY
        this.#deliver()
      },
      Math.max(0, next - now),
    )
  }
}

/** The two top bits are zero and the magic cookie of RFC 8489 is there. */
function isStun(data: Buffer): boolean {
  return data.length >= 20 && (data[0] ?? 0xff) < 4 && data.readUInt32BE(4) === 0x2112a442
}

async function bindSocket(): Promise<Socket> {
  const socket = createSocket("udp4")
  socket.bind(0)
  await once(socket, "listening")
  socket.setRecvBufferSize(RECEIVE_BUFFER)
  return socket
}
