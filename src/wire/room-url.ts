/** Room addresses and invitations (room RM-1, RM-2, RM-24, RM-25). */
import { fromBase64Url, toBase64Url } from "./bytes.ts"
import { AvError } from "./errors.ts"
import type { Bytes } from "./types.ts"

const NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/
const SCHEMES = new Map([
  ["http:", "ws:"],
  ["https:", "wss:"],
  ["ws:", "ws:"],
  ["wss:", "wss:"],
])
const SECRET_LENGTH = 32

interface RoomUrl {
  /** The room's name, also the rendezvous namespace; the server sees it. */
  name: string
  /** WebSocket address of the rendezvous server, path included, up to the last slash. */
  server: string
  /** What followed `#`, for {@link parseInvitation}. It never goes to a server. */
  fragment: string
}

/**
 * Takes a room's URL apart.
 * @throws AvError `RoomUrlInvalid` when it does not parse, has another scheme or carries credentials; `RoomNameInvalid` when the
 * last path segment is no room name.
 */
export function parseRoomUrl(url: string): RoomUrl {
  const parsed = parseUrl(url)
  const scheme = SCHEMES.get(parsed.protocol)
  if (scheme === undefined) throw new AvError("RoomUrlInvalid", { why: "scheme" })
  if (parsed.username !== "" || parsed.password !== "") throw new AvError("RoomUrlInvalid", { why: "credentials" })
  const end = parsed.pathname.lastIndexOf("/") + 1
  const name = percentDecode(parsed.pathname.slice(end)).replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  if (!isRoomName(name)) throw new AvError("RoomNameInvalid")
  return { name, server: `${scheme}//${parsed.host}${parsed.pathname.slice(0, end)}`, fragment: parsed.hash.slice(1) }
}

/** True for 1..64 characters `a-z 0-9 . _ -`, the first a letter or digit. */
export function isRoomName(name: string): boolean {
  return NAME.test(name)
}

/** Nobody invited: the key follows from the room's name, so whoever knows the name can come in. */
interface OpenInvitation {
  kind: "open"
}
/** For members: the room's secret, and the entity id of its root when the link names one. */
interface MemberInvitation {
  kind: "member"
  k: Bytes
  h?: Bytes
}
/** For keyless relays. */
interface RelayInvitation {
  kind: "relay"
  r: Bytes
  h?: Bytes
}
export type Invitation = OpenInvitation | MemberInvitation | RelayInvitation

/**
 * Reads a URL fragment without its `#`. Empty is an open room.
 * @throws AvError `InvitationInvalid` on anything but `k=…` or `r=…`, optionally followed by `&h=…`.
 */
export function parseInvitation(fragment: string): Invitation {
  if (fragment === "") return { kind: "open" }
  const match = /^([kr])=([A-Za-z0-9_-]{43})(?:&h=([A-Za-z0-9_-]{43}))?$/.exec(fragment)
  const secret = match?.[2]
  if (match === null || secret === undefined) throw new AvError("InvitationInvalid")
  const value = fromBase64Url(secret, "InvitationInvalid")
  const root = match[3] === undefined ? {} : { h: fromBase64Url(match[3], "InvitationInvalid") }
  return match[1] === "k" ? { kind: "member", k: value, ...root } : { kind: "relay", r: value, ...root }
}

/** The fragment of an invitation without `#`. @throws AvError `UsageError` when a secret is not 32 bytes long. */
export function formatInvitation(invitation: Invitation): string {
  if (invitation.kind === "open") return ""
  const first = invitation.kind === "member" ? `k=${secretText(invitation.k)}` : `r=${secretText(invitation.r)}`
  return invitation.h === undefined ? first : `${first}&h=${secretText(invitation.h)}`
}

function secretText(secret: Bytes): string {
  if (secret.length !== SECRET_LENGTH) throw new AvError("UsageError", { why: "secret length", got: secret.length })
  return toBase64Url(secret)
}

function parseUrl(url: string): URL {
  try {
    return new URL(url)
  } catch (cause) {
    throw new AvError("RoomUrlInvalid", { why: "does not parse" }, { cause })
  }
}

function percentDecode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw new AvError("RoomNameInvalid", { why: "percent sequence" }, { cause })
  }
}
