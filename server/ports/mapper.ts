/** `@achingbrain/nat-port-mapper` as we use it: one attempt at a time, with a bounded time, and what the gateway really granted. */
import type { EventEmitter } from "node:events"
import type { GrantedPort } from "../../src/rendezvous/nat/port-lease.ts"
import { LEASE_SECONDS, unavailable } from "../../src/rendezvous/nat/port-lease.ts"

/** The part of the library that is used. It is an optional peer dependency, so its types are not ours. */
export interface PortMapper {
  pmpNat(gateway: string, options: { autoRefresh: false }): MapperGateway
  upnpNat(options: { autoRefresh: false }): { findGateways(options: { signal: AbortSignal }): AsyncIterable<MapperGateway> }
}

interface MapperGateway {
  readonly family: string
  map(
    internalPort: number,
    internalHost: string,
    options: { ttl: number; protocol: "tcp" | "udp"; description: string; autoRefresh: false; signal: AbortSignal },
  ): Promise<{ externalPort: number }>
  unmap(internalPort: number, options: { signal: AbortSignal; protocol: "tcp" | "udp" }): Promise<void>
  externalIp(options: { signal: AbortSignal }): Promise<string>
  stop(options: { signal: AbortSignal }): Promise<void>
}

/** What is to be mapped. */
export interface MappedPort {
  protocol: "tcp" | "udp"
  internalHost: string
  internalPort: number
}

const DESCRIPTION = "holomesh"
/** Answers of NAT-PMP: operation plus 128, then the lease at byte 12. */
const PMP_ANSWER: Record<MappedPort["protocol"], number> = { udp: 129, tcp: 130 }
const PMP_ANSWER_LENGTH = 16
const STOP_MS = 200

/** @throws AvError `TraversalError` when the library is not installed */
export async function loadMapper(): Promise<PortMapper> {
  try {
    return (await import("@achingbrain/nat-port-mapper")) as unknown as PortMapper
  } catch (cause) {
    throw unavailable("@achingbrain/nat-port-mapper is not installed", cause)
  }
}

/** NAT-PMP: a fresh socket for each attempt, because the library never forgets a question that got no answer. */
export async function mapByPmp(mapper: PortMapper, gateway: string, port: MappedPort, signal: AbortSignal): Promise<GrantedPort> {
  const client = mapper.pmpNat(gateway, { autoRefresh: false })
  const failed = failureOf(client)
  const lease = leaseOf(client, gateway, port)
  try {
    const work = async () => {
      // The library puts this number into the message as it is, and the message counts seconds.
      const { externalPort } = await client.map(port.internalPort, port.internalHost, request(port, LEASE_SECONDS, signal))
      return { externalPort, externalHost: await client.externalIp({ signal }), leaseSeconds: lease() }
    }
    return await Promise.race([work(), failed])
  } finally {
    await quietly(client.stop({ signal }))
  }
}

export async function unmapByPmp(mapper: PortMapper, gateway: string, port: MappedPort, signal: AbortSignal): Promise<void> {
  const client = mapper.pmpNat(gateway, { autoRefresh: false })
  const failed = failureOf(client)
  try {
    await Promise.race([client.unmap(port.internalPort, { signal, protocol: port.protocol }), failed])
  } finally {
    await quietly(client.stop({ signal }))
  }
}

/** UPnP: the first IPv4 gateway that answers the search. It is kept, so that renewals need no further search. */
export class UpnpWay {
  readonly #mapper: PortMapper
  #gateway: MapperGateway | undefined

  constructor(mapper: PortMapper) {
    this.#mapper = mapper
  }

  async map(port: MappedPort, searchMs: number, signal: AbortSignal): Promise<GrantedPort> {
    const gateway = this.#gateway ?? (await this.#find(AbortSignal.any([signal, AbortSignal.timeout(searchMs)])))
    const { externalPort } = await gateway.map(port.internalPort, port.internalHost, request(port, LEASE_SECONDS * 1_000, signal))
    this.#gateway = gateway
    // The library tells no lease; gateways of this kind grant what was asked for or refuse.
    return { externalPort, externalHost: await gateway.externalIp({ signal }), leaseSeconds: LEASE_SECONDS }
  }

  async unmap(port: MappedPort, signal: AbortSignal): Promise<void> {
    await this.#gateway?.unmap(port.internalPort, { signal, protocol: port.protocol })
  }

  async #find(signal: AbortSignal): Promise<MapperGateway> {
    const search = async () => {
      for await (const gateway of this.#mapper.upnpNat({ autoRefresh: false }).findGateways({ signal })) {
        if (gateway.family === "IPv4") return gateway
      }
      throw unavailable("no UPnP gateway")
    }
    return Promise.race([search(), aborted(signal)])
  }
}

function request({ protocol }: MappedPort, ttl: number, signal: AbortSignal) {
  return { ttl, protocol, description: DESCRIPTION, autoRefresh: false, signal } as const
}

/** The library throws errors of its socket as events; one without a listener would end the process. */
function failureOf(client: object): Promise<never> {
  const failure = new Promise<never>((_, reject) => {
    if ("on" in client) (client as EventEmitter).on("error", reject)
  })
  failure.catch(() => undefined)
  return failure
}

/**
 * The lease of the answer, which the library reads and does not hand on. Its socket is no part of its interface: where there is none
 * the gateway is taken at the word of our request.
 */
function leaseOf(client: object, gateway: string, { protocol, internalPort }: MappedPort): () => number {
  let seconds = LEASE_SECONDS
  const socket = "socket" in client ? (client.socket as EventEmitter | undefined) : undefined
  socket?.on?.("message", (message: Buffer, from: { address: string }) => {
    if (from.address !== gateway || message.length < PMP_ANSWER_LENGTH || message[1] !== PMP_ANSWER[protocol]) return
    if (message.readUInt16BE(8) === internalPort) seconds = message.readUInt32BE(12)
  })
  return () => seconds
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener("abort", () => reject(signal.reason), { once: true })
  })
}

/** Closing is tried once and for a moment only: its failure changes nothing. */
async function quietly(work: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const enough = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, STOP_MS)
  })
  await Promise.race([work.catch(() => undefined), enough])
  clearTimeout(timer)
}
