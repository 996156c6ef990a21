/** The STUN servers that a node was configured with, as observers of its NAT. Nobody else is ever asked (control-plane 6.9). */

/** One server over UDP. */
export interface StunServer {
  /** `stun:host:port`. */
  url: string
  /** IP address or name. Servers of one host are one witness; who configures two names answers for their being two machines. */
  host: string
  port: number
  /** Place in the list of the own rendezvous server, which names its observers by it. */
  index?: number
}

/** The part of `RTCIceServer` that matters. */
interface IceServerLike {
  urls: string | string[]
}

const DEFAULT_PORT = 3_478
/** More servers say nothing more, and browsers get slow with many. */
const MAX_SERVERS = 8

/**
 * STUN servers without repetition, those of the rendezvous server first.
 *
 * @param handedOut as the rendezvous server sent them
 * @param own the application's
 */
export function stunServers(handedOut: readonly IceServerLike[], own: readonly IceServerLike[]): StunServer[] {
  const servers = new Map<string, StunServer>()
  const add = (urls: string | string[], index?: number) => {
    for (const url of [urls].flat()) {
      const server = readStunUrl(url)
      if (server === undefined || servers.has(server.url) || servers.size >= MAX_SERVERS) continue
      servers.set(server.url, index === undefined ? server : { ...server, index })
    }
  }
  for (const [index, { urls }] of handedOut.entries()) add(urls, index)
  for (const { urls } of own) add(urls)
  return [...servers.values()]
}

/** Enough to tell a NAT by: two servers on different hosts. */
export function areEnough(servers: readonly StunServer[]): boolean {
  return new Set(servers.map(({ host }) => host)).size >= 2
}

/** Undefined for TURN, for STUN over TLS, and for what is no address (RFC 7064). */
export function readStunUrl(url: string): StunServer | undefined {
  const [, bracketed, plain, port] = /^stun:(?:\[([0-9a-f:.]+)\]|([^:?[\]/@]+))(?::(\d{1,5}))?$/i.exec(url) ?? []
  const host = (bracketed ?? plain)?.toLowerCase()
  const number = port === undefined ? DEFAULT_PORT : Number(port)
  if (host === undefined || number < 1 || number > 65_535) return undefined
  return { url: `stun:${bracketed === undefined ? host : `[${host}]`}:${number}`, host, port: number }
}
