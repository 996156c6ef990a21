/** Makes a port of this machine reachable from outside: drives a {@link PortLease} with the gateway of this machine (6.11). */
import {
  type ExternalPort,
  PortLease,
  type PortLeaseAction,
  type PortLeaseStats,
  type PortMapMethod,
  UPNP_SEARCH_MS,
  unavailable,
} from "../../src/rendezvous/nat/port-lease.ts"
import { type AvError, isAvError } from "../../src/wire/errors.ts"
import { defaultGateway, localAddressTowards } from "./default-gateway.ts"
import { loadMapper, type MappedPort, mapByPmp, type PortMapper, UpnpWay, unmapByPmp } from "./mapper.ts"

interface PortMappingOptions {
  internalPort: number
  protocol: "tcp" | "udp"
  /** IPv4 of the interface that leads to the gateway. Default: the one that the routing table chooses. */
  internalHost?: string
  /** Default: from the routing table. No peer has a say in it. */
  gateway?: string
  /**
   * Asks an observer elsewhere, that this node never contacted, to send something to the external port; true when it arrived.
   * Without it the port counts as mapped, never as open.
   */
  dialBack?(external: ExternalPort): Promise<boolean>
  onChange?(state: PortMappingState): void
  /** Why there is no mapping, each time that one is lost or could not be had. The node works on without. */
  onUnavailable?(error: AvError): void
  /** For another library, and for tests. Default: `@achingbrain/nat-port-mapper`, loaded now. */
  load?: () => Promise<PortMapper>
}

export interface PortMappingState {
  external: ExternalPort | undefined
  /** A dial-back came through: the node may call itself `nat:open`. */
  open: boolean
}

export interface PortMapping {
  readonly state: PortMappingState
  stats(): PortLeaseStats
  /** Takes the mapping away, within 200 ms. Idempotent. */
  close(): Promise<void>
}

/**
 * Starts asking; resolves at once with the handle, or when the library could not be loaded.
 *
 * @throws TypeError when `internalHost` is no address that a gateway can send to
 */
export async function openPortMapping(options: PortMappingOptions): Promise<PortMapping> {
  const gateway = options.gateway ?? (await defaultGateway())
  const given = options.internalHost
  // Without a gateway in the table there may still be one that answers a search.
  const internalHost = given ?? (await localAddressTowards(gateway ?? PUBLIC_ADDRESS).catch(() => ""))
  if (given === undefined && internalHost === "") return withoutMapping(options, unavailable("no network"))
  const lease = new PortLease(internalHost)
  let mapper: PortMapper
  try {
    mapper = await (options.load ?? loadMapper)()
  } catch (error) {
    return withoutMapping(options, isAvError(error) ? error : unavailable("the library cannot be used", error))
  }
  const port = { protocol: options.protocol, internalHost, internalPort: options.internalPort }
  const driver = new MappingDriver(lease, port, { mapper, gateway }, options)
  driver.start()
  return driver
}

/** Any address outside: only the routing table is asked about it. */
const PUBLIC_ADDRESS = "192.88.99.1"
const CLOSED: PortMappingState = { external: undefined, open: false }

function withoutMapping({ onUnavailable }: PortMappingOptions, error: AvError): PortMapping {
  onUnavailable?.(error)
  return {
    state: CLOSED,
    stats: () => ({ active: false, external: undefined, renewals: 0 }),
    close: async () => {},
  }
}

class MappingDriver implements PortMapping {
  readonly #lease: PortLease
  readonly #port: MappedPort
  readonly #mapper: PortMapper
  readonly #gateway: string | undefined
  readonly #upnp: UpnpWay
  readonly #options: PortMappingOptions
  readonly #stop = new AbortController()
  #state = CLOSED
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(
    lease: PortLease,
    port: MappedPort,
    { mapper, gateway }: { mapper: PortMapper; gateway: string | undefined },
    options: PortMappingOptions,
  ) {
    this.#lease = lease
    this.#port = port
    this.#mapper = mapper
    this.#gateway = gateway
    this.#upnp = new UpnpWay(mapper)
    this.#options = options
  }

  get state(): PortMappingState {
    return this.#state
  }

  stats(): PortLeaseStats {
    return this.#lease.stats
  }

  start(): void {
    this.#perform(this.#lease.start())
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    const [action] = this.#lease.close()
    this.#stop.abort()
    this.#state = CLOSED
    if (action?.type !== "unmap") return
    const signal = AbortSignal.timeout(action.timeoutMs)
    const done = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
    await Promise.race([this.#unmap(action.method, signal).catch(() => undefined), done])
  }

  #perform(actions: readonly PortLeaseAction[]): void {
    for (const action of actions) {
      if (action.type === "ask") void this.#ask(action)
      else if (action.type === "published") this.#publish(action.external)
      else if (action.type === "withdrawn" || action.type === "unavailable") {
        if (action.type === "withdrawn") this.#change(CLOSED)
        this.#options.onUnavailable?.(action.error)
      }
    }
    clearTimeout(this.#timer)
    const wait = this.#lease.dueAt - Date.now()
    // Due within half an hour, or not at all. A program that has nothing else to do need not stay for it.
    if (Number.isFinite(wait))
      this.#timer = setTimeout(() => this.#perform(this.#lease.tick(Date.now())), Math.max(0, wait)).unref()
  }

  async #ask({ attempt, method, timeoutMs }: Extract<PortLeaseAction, { type: "ask" }>): Promise<void> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timeoutMs)])
    try {
      const granted = await this.#map(method, signal)
      this.#perform(this.#lease.granted(attempt, granted, Date.now()))
    } catch (error) {
      const why = signal.aborted ? `${method}: no answer` : `${method}: refused`
      this.#perform(this.#lease.refused(attempt, isAvError(error) ? error : unavailable(why, error), Date.now()))
    }
  }

  async #map(method: PortMapMethod, signal: AbortSignal) {
    if (method === "upnp") return this.#upnp.map(this.#port, UPNP_SEARCH_MS, signal)
    if (this.#gateway === undefined) throw unavailable("no default gateway")
    return mapByPmp(this.#mapper, this.#gateway, this.#port, signal)
  }

  async #unmap(method: PortMapMethod, signal: AbortSignal): Promise<void> {
    if (method === "upnp") await this.#upnp.unmap(this.#port, signal)
    else if (this.#gateway !== undefined) await unmapByPmp(this.#mapper, this.#gateway, this.#port, signal)
  }

  #publish(external: ExternalPort): void {
    const state = { external, open: false }
    this.#change(state)
    this.#options.dialBack?.(external).then(
      // Another address may have taken its place meanwhile.
      (came) => came && this.#state === state && this.#change({ external, open: true }),
      () => undefined,
    )
  }

  #change(state: PortMappingState): void {
    this.#state = state
    this.#options.onChange?.(state)
  }
}
