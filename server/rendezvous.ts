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
import { acceptSockets } from "./sockets.ts"

export { loadSigner } from "./identity-file.ts"

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
  logger?: Logger
  /** Level of the default logger. Default `warn`. */
  logLevel?: string
  /** Write addresses of visitors into the log. Default `false`. */
  logAddresses?: boolean
}

export interface RendezvousServer {
  readonly port: number
  readonly entityId: Bytes
  stats(): ServerStats
  /** Sends GOAWAY `draining`, gives the sockets a moment, and stops. Idempotent. */
  close(): Promise<void>
}

/** Slow requests are cut after this, so that open sockets without a word cannot pile up. */
const REQUEST_TIMEOUT_MS = 10_000
/** TCP connections beyond the allowed sessions, for plain requests. */
const SPARE_CONNECTIONS = 512

/** Starts listening; rejects with the error of Node when it cannot (`EADDRINUSE`, `EACCES`). */
export async function createRendezvousServer(options: RendezvousServerOptions = {}): Promise<RendezvousServer> {
  const limits = { ...SERVER_LIMITS, ...options.limits }
  const logger = options.logger ?? pino({ level: options.logLevel ?? "warn" })
  const signer = options.signer ?? (await freshSigner())
  const sockets = acceptSockets({
    limits,
    logger,
    signer,
    random: (length) => new Uint8Array(randomBytes(length)),
    path: options.path ?? "/",
    trustedProxies: options.trustedProxies ?? [],
    logAddresses: options.logAddresses === true,
    ...(options.iceFor && { iceFor: options.iceFor }),
  })
  const handler = createHttpHandler({
    staticDir: options.staticDir,
    contentSecurityPolicy: options.contentSecurityPolicy ?? CONTENT_SECURITY_POLICY,
    health: () => ({ draining: sockets.draining, sessions: sockets.stats().sessions }),
  })
  const server = options.tls === undefined ? createHttpServer(handler) : createHttpsServer(options.tls, handler)
  server.headersTimeout = REQUEST_TIMEOUT_MS
  server.requestTimeout = REQUEST_TIMEOUT_MS
  server.maxConnections = limits.sessions + SPARE_CONNECTIONS
  server.on("upgrade", sockets.upgrade)
  try {
    await listen(server, options.port ?? 0, options.host ?? "127.0.0.1")
  } catch (error) {
    await sockets.close()
    throw error
  }
  const { port } = server.address() as AddressInfo
  logger.info({ port }, "listening")
  let closing: Promise<void> | undefined
  return {
    port,
    entityId: signer.entityId,
    stats: () => sockets.stats(),
    close() {
      closing ??= shutDown(server, sockets.close)
      return closing
    },
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
