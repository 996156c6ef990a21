/** The server's WebSocket address: what may be opened and what must never be sent along (room RM-1, RM-24). */
import { AvError } from "../wire/errors.ts"

interface ServerAddress {
  url: string
  loopback: boolean
}

/**
 * Checks an address and cuts query and fragment off: the fragment holds the invitation, which the server must never see.
 * @throws AvError `RoomUrlInvalid` when it is no `ws:` or `wss:` URL or carries a user name; `ServerRefused` for `ws:` to
 * anything but a loopback address unless `allowInsecure` (control-plane 0.5).
 */
export function serverAddress(text: string, allowInsecure: boolean): ServerAddress {
  let url: URL
  try {
    url = new URL(text)
  } catch (cause) {
    throw new AvError("RoomUrlInvalid", { why: "not a URL" }, { cause })
  }
  if (url.protocol !== "ws:" && url.protocol !== "wss:") throw new AvError("RoomUrlInvalid", { why: "not a WebSocket address" })
  if (url.username !== "" || url.password !== "") throw new AvError("RoomUrlInvalid", { why: "user name" })
  const loopback = isLoopbackHost(url.hostname)
  if (url.protocol === "ws:" && !loopback && !allowInsecure) throw new AvError("ServerRefused", { reason: "insecure" })
  return { url: `${url.protocol}//${url.host}${url.pathname}`, loopback }
}

/** True for the names and addresses that never leave the machine; `hostname` as the URL standard writes it. */
function isLoopbackHost(hostname: string): boolean {
  return (
    hostname === "localhost" || hostname.endsWith(".localhost") || hostname === "[::1]" || /^127(\.\d{1,3}){3}$/.test(hostname)
  )
}
