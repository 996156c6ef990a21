/** UDP sockets of the STUN observers, each on an address of its own (control-plane 6.9). */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram"
import { isIP } from "node:net"
import type { Logger } from "pino"
import type { StunObservers } from "../src/rendezvous/nat/stun-observers.ts"
import { type AddressBlock, addressFromText } from "../src/wire/address.ts"
import { AvError } from "../src/wire/errors.ts"
import { MAX_STUN_LENGTH } from "../src/wire/stun.ts"

/** One address at which the server answers STUN. Two on different addresses let members find out what NAT they are behind. */
export interface StunListener {
  /** IP address of this machine; not `0.0.0.0` or `::`, because members must see which address answers. */
  host: string
  /** UDP port. Default 3478; 0 takes any free one. */
  port?: number
  /** IP address under which members reach `host`, where the machine is itself behind a NAT that maps ports one to one. Default: `host`. */
  publicHost?: string
}

/** A socket that is open. */
export interface StunPlace {
  /** Where members reach it. */
  host: string
  port: number
}

export interface StunSockets {
  readonly places: readonly StunPlace[]
  /** From now on what comes in is answered. */
  serve(observers: StunObservers): void
  close(): void
}

const DEFAULT_PORT = 3_478
/** The list of ICE servers that members get has eight places, and TURN servers need some. */
const MAX_LISTENERS = 4

/**
 * Opens the sockets.
 *
 * @throws AvError `UsageError` for a host that is no concrete IP address; otherwise the error of Node (`EADDRINUSE`, `EADDRNOTAVAIL`)
 */
export async function openStun(listeners: readonly StunListener[], logger: Logger): Promise<StunSockets> {
  if (listeners.length > MAX_LISTENERS) throw new AvError("UsageError", { why: "STUN addresses", max: MAX_LISTENERS })
  for (const { host, publicHost = host } of listeners) for (const each of [host, publicHost]) requireConcrete(each)
  const sockets: Socket[] = []
  const close = () => {
    for (const socket of sockets.splice(0)) socket.close()
  }
  try {
    for (const { host, port = DEFAULT_PORT } of listeners) sockets.push(await bind(host, port))
  } catch (error) {
    close()
    throw error
  }
  const places = sockets.map((socket, i) => {
    const { host, publicHost = host } = listeners[i] as StunListener
    return { host: publicHost, port: socket.address().port }
  })
  for (const socket of sockets) socket.on("error", (error) => logger.warn({ error: error.message }, "STUN socket"))
  return { places, serve: (observers) => serve(sockets, observers), close }
}

/** Where the observers are, for their machine. */
export function placeBlocks(places: readonly StunPlace[]): AddressBlock[] {
  return places.map(({ host, port }) => addressFromText(host, port) as AddressBlock)
}

/** As ICE servers, in the order of the observers' indexes. */
export function stunUrls(places: readonly StunPlace[]): { urls: string }[] {
  return places.map(({ host, port }) => ({ urls: `stun:${host.includes(":") ? `[${host}]` : host}:${port}` }))
}

function serve(sockets: readonly Socket[], observers: StunObservers): void {
  for (const [index, socket] of sockets.entries()) {
    socket.on("message", (message, info) => {
      const source = sourceOf(info)
      if (source === undefined || message.length > MAX_STUN_LENGTH) return
      const reply = observers.received(new Uint8Array(message), source, index, Date.now())
      // Nobody waits for it: whoever gets no answer asks again.
      if (reply !== undefined) sockets[reply.from]?.send(reply.bytes, info.port, info.address, () => undefined)
    })
  }
}

function sourceOf({ address, port }: RemoteInfo): AddressBlock | undefined {
  return addressFromText(address.split("%", 1)[0] ?? "", port)
}

function requireConcrete(host: string): void {
  const block = isIP(host) === 0 ? undefined : addressFromText(host, 0)
  if (block === undefined || block.address.every((byte) => byte === 0)) {
    throw new AvError(
      "UsageError",
      { why: "STUN needs an IP address of its own" },
      { message: `STUN cannot be offered at ${host}.` },
    )
  }
}

function bind(host: string, port: number): Promise<Socket> {
  const socket = createSocket(isIP(host) === 6 ? { type: "udp6", ipv6Only: true } : { type: "udp4" })
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close()
      reject(error)
    })
    socket.bind({ port, address: host, exclusive: true }, () => {
      socket.removeAllListeners("error")
      resolve(socket)
    })
  })
}
