/** Invitations: links with a secret in the fragment, which no server ever sees (room.md RM-1, RM-2). */
import { inviteKey, openRoomSecret, relayKey, secureRandom } from "../crypto/index.ts"
import { AvError, formatInvitation, isRoomName, parseInvitation, parseRoomUrl } from "../wire/index.ts"
import type { Bytes } from "../wire/types.ts"
import type { Invitation } from "./types.ts"

const SECRET_LENGTH = 32

/**
 * Makes a room address with a fresh secret. The room exists as soon as somebody joins it.
 *
 * @param server address of the rendezvous server, `http(s)` or `ws(s)`; its path up to the last `/` counts
 * @throws AvError `RoomNameInvalid`, `RoomUrlInvalid`
 */
export function createInvitation(server: string | URL, room: string): Invitation {
  const name = room.toLowerCase()
  if (!isRoomName(name)) throw new AvError("RoomNameInvalid")
  const fragment = formatInvitation({ kind: "member", k: secureRandom(SECRET_LENGTH) })
  const url = new URL(encodeURIComponent(name), server)
  url.hash = fragment
  parseRoomUrl(url.href)
  return { url: url.href, fragment }
}

/** What a room URL says, with the keys that follow from its secret. */
export interface RoomAddress {
  name: string
  /** WebSocket address of the server, without query and fragment. */
  server: string
  open: boolean
  fragment: string
  inviteKey: Bytes
  relayKey: Bytes
  root: Bytes | undefined
}

/**
 * Reads a room URL. A room without a secret must be asked for: a link that lost its fragment on the way would otherwise lead into
 * a room that everybody can enter.
 *
 * @throws AvError `RoomUrlInvalid`, `RoomNameInvalid`, `InvitationInvalid`
 */
export function readRoomAddress(url: string, allowOpen: boolean): RoomAddress {
  const { name, server, fragment } = parseRoomUrl(url)
  const invitation = parseInvitation(fragment)
  if (invitation.kind === "relay") throw new AvError("InvitationInvalid", { why: "a relay link is not for members" })
  if (invitation.kind === "open" && !allowOpen) throw new AvError("InvitationInvalid", { why: "no secret in the link" })
  const secret = invitation.kind === "member" ? invitation.k : openRoomSecret(name)
  return {
    name,
    server,
    fragment,
    open: invitation.kind === "open",
    inviteKey: inviteKey(secret, name),
    relayKey: relayKey(secret, name),
    root: invitation.kind === "member" ? invitation.h : undefined,
  }
}
