/** The rendezvous server: sockets, files and clocks around the machine of `src/rendezvous/server-machine.ts`. */
import { randomBytes } from "node:crypto"
import { createServer as createHttpServer, type Server } from "node:http"
import { createServer as createHttpsServer } from "node:https"
import type { AddressInfo } from "node:net"
import { type Logger, pino } from "pino"
import type { IdentitySigner } from "../src/identity/signer.ts"
import { SERVER_LIMITS, type ServerLimits } from "../src/rendezvous/limits.ts"
import type { ServerMachineOptions, ServerStats } from "../src/rendezvous/server-machine.ts"
import type { Bytes } from "../src/wire/types.ts"
import { CONTENT_SECURITY_POLICY, createHttpHandler } from "./http.ts"
import { freshSigner } from "./identity-file.ts"
import { openPortMapping, type PortMapping } from "./ports/port-mapping.ts"
import { acceptSockets } from "./sockets.ts"
import { openStun, type StunListener, type StunPlace, stunUrls } from "./stun.ts"

export { loadSigner } from "./identity-file.ts"
export type { StunListener, StunPlace } from "./stun.ts"

export interface RendezvousServerOptions {
  /** Default 0: any free port. */
  port?: number
  /** Default `127.0.0.1`. */
  host?: string
  /** PEM texts. Without them the server speaks plain HTTP, for loopback or behind a TLS proxy. */
  tls?: { key: string; cert: string }
  limits?: Partial<ServerLimits>
  /** The server's entity. Default: a key that lives as long as the process. */
  signer?: IdentitySigner
  /** Files to serve beside the sockets. */
  staticDir?: string
  contentSecurityPolicy?: string
  /** Sockets are accepted on paths that start with this. Default `/`. */
  path?: string
  /** Addresses of proxies whose `X-Forwarded-For` is believed. */
  trustedProxies?: readonly string[]
  iceFor?: ServerMachineOptions["iceFor"]
  /**
   * Addresses at which this server answers STUN over UDP, at most four; members are told about them before the servers of `iceFor`.
   * Two on different IP addresses let members find out what NAT they are behind, a third confirms that one is open. Default none.
   */
  stun?: readonly StunListener[]
  /** Attests a member's second address in the family of its WebSocket too, for fleets behind several addresses. Default `false`. */
  allowObservedMismatch?: boolean
  /**
   * Ask the gateway of this network to let visitors from outside reach the port. Needs the package `@achingbrain/nat-port-mapper`
   * and a `host` that the gateway can send to: `0.0.0.0`, or the IPv4 address of an interface. Default `false`.
   */
  portMapping?: boolean
  logger?: Logger
  /** Level of the default logger. Default `warn`. */
  logLevel?: string
  /** Write addresses of visitors into the log. Default `false`. */
  logAddresses?: boolean
}

export interface RendezvousServer {
  readonly port: number
  readonly entityId: Bytes
  /** Where the gateway lets others in, with `portMapping`. */
  readonly mapping: PortMapping | undefined
  /** Where STUN is answered, in the order of `stun`. */
  readonly stun: readonly StunPlace[]
  stats(): ServerStats
  /** Sends GOAWAY `draining`, gives the sockets a moment, and stops. Idempotent. */
  close(): Promise<void>
}

/** Slow requests are cut after this, so that open sockets without a word cannot pile up. */
const REQUEST_TIMEOUT_MS = 10_000
/** Places in the list that members get. */
const MAX_ICE_SERVERS = 8
/** STUN servers need no renewal; the list is sent again all the same. */
const STUN_TTL_MS = 3_600_000
/** TCP connections beyond the allowed sessions, for plain requests. */
const SPARE_CONNECTIONS = 512
/** Hosts that mean all interfaces: the routing table then says which one leads to the gateway. */
const EVERYWHERE = ["0.0.0.0", "::"]

/** Starts listening; rejects with the error of Node when it cannot (`EADDRINUSE`, `EACCES`). */
export async function createRendezvousServer(options: RendezvousServerOptions = {}): Promise<RendezvousServer> {
  const limits = { ...SERVER_LIMITS, ...options.limits }
  const logger = options.logger ?? pino({ level: options.logLevel ?? "warn" })
  const signer = options.signer ?? (await freshSigner())
  const stun = options.stun === undefined || options.stun.length === 0 ? undefined : await openStun(options.stun, logger)
  const iceFor = withStun(stunUrls(stun?.places ?? []), options.iceFor)
  const sockets = acceptSockets({
    limits,
    logger,
    signer,
    random: (length) => new Uint8Array(randomBytes(length)),
    path: options.path ?? "/",
    trustedProxies: options.trustedProxies ?? [],
    logAddresses: options.logAddresses === true,
    stun,
    allowObservedMismatch: options.allowObservedMismatch === true,
    ...(iceFor && { iceFor }),
  })
  const handler = createHttpHandler({
    staticDir: options.staticDir,
    contentSecurityPolicy: options.contentSecurityPolicy ?? CONTENT_SECURITY_POLICY,
    health: () => ({ draining: sockets.draining, sessions: sockets.stats().sessions }),
  })
  const server = await orStop(sockets.close, () =>
    options.tls === undefined ? createHttpServer(handler) : createHttpsServer(options.tls, handler),
  )
  server.headersTimeout = REQUEST_TIMEOUT_MS
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.maxConnections = limits.sessions + SPARE_CONNECTIONS
  server.on("upgrade", sockets.upgrade)
  await orStop(sockets.close, () => listen(server, options.port ?? 0, options.host ?? "127.0.0.1"))
  const { port } = server.address() as AddressInfo
  logger.info({ port }, "listening")
  const stop = () => shutDown(server, sockets.close)
  const mapping = options.portMapping === true ? await mapPort(port, options.host, logger, stop) : undefined
  let closing: Promise<void> | undefined
  return {
    port,
    entityId: signer.entityId,
    mapping,
    stun: stun?.places ?? [],
    stats: () => sockets.stats(),
    close() {
      closing ??= Promise.all([mapping?.close(), stop()]).then(() => undefined)
      return closing
    },
  }
}

/** The own observers come first: REFLEX_REPLY names them by their place in this list. */
function withStun(own: readonly { urls: string }[], iceFor: ServerMachineOptions["iceFor"]): ServerMachineOptions["iceFor"] {
  if (own.length === 0) return iceFor
  return (peer, now) => {
    const { servers, relayAllow, ttlMs } = iceFor?.(peer, now) ?? { servers: [], relayAllow: [], ttlMs: STUN_TTL_MS }
    return { servers: [...own, ...servers].slice(0, MAX_ICE_SERVERS), relayAllow, ttlMs }
  }
}

/** The server runs with or without a mapping; only an address that none can lead to is a mistake of whoever configured it. */
function mapPort(port: number, host = "127.0.0.1", logger: Logger, stop: () => Promise<void>): Promise<PortMapping> {
  return orStop(stop, () =>
    openPortMapping({
      internalPort: port,
      protocol: "tcp",
      ...(EVERYWHERE.includes(host) ? {} : { internalHost: host }),
      onChange: ({ external }) => external && logger.info({ external: `${external.host}:${external.port}` }, "port mapped"),
      onUnavailable: ({ details }) => logger.warn({ why: details.why }, "no port mapping"),
    }),
  )
}

/** What was started already must not keep a program alive that could not start the rest. */
async function orStop<T>(stop: () => Promise<void>, step: () => T | Promise<T>): Promise<T> {
  try {
    return await step()
  } catch (error) {
    await stop()
    throw error
  }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject)
    server.listen(port, host, () => {
      server.off("error", reject)
      resolve()
    })
  })
}

async function shutDown(server: Server, closeSockets: () => Promise<void>): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  await closeSockets()
  server.closeAllConnections()
  await closed
}
