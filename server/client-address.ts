/** The address a request comes from, through trusted proxies only (control-plane 6.4). */
import type { IncomingMessage } from "node:http"

/**
 * The peer address of the socket. When that is one of the configured `proxies`, the right-most entry of `X-Forwarded-For` that
 * is none of them: entries further left were written by whoever wanted to.
 */
export function clientAddress(request: IncomingMessage, proxies: readonly string[]): string {
  const peer = plain(request.socket.remoteAddress ?? "")
  if (!proxies.includes(peer)) return peer
  const header = request.headers["x-forwarded-for"] ?? ""
  const entries = (Array.isArray(header) ? header.join(",") : header).split(",").map((entry) => plain(entry.trim()))
  return entries.findLast((entry) => entry !== "" && !proxies.includes(entry)) ?? peer
}

/** It names a visitor, and its sender is nobody that is believed: an unknown proxy, or somebody who writes headers. */
export function isForwardedByStranger(request: IncomingMessage, proxies: readonly string[]): boolean {
  return request.headers["x-forwarded-for"] !== undefined && !proxies.includes(plain(request.socket.remoteAddress ?? ""))
}

/** IPv4 inside IPv6, as dual-stack sockets report it, in its plain form. */
function plain(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address
}
