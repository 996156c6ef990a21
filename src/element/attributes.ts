/** What the attributes of `<holo-call>` say. A bad value is reported and replaced by its default; it never throws. */
import { createInvitation } from "../room/invitation.ts"
import { isRoomName, parseInvitation } from "../wire/index.ts"

const DEFAULT_ROOM = "call"
const MAX_NAME = 64

export interface CallAttributes {
  room: string | null
  server: string | null
  invite: string | null
  name: string | null
  open: boolean
}

interface CallSettings {
  /** For `joinRoom`: server, room and invitation. */
  url: URL
  name: string
  open: boolean
  /** One sentence for each value that could not be used. */
  warnings: string[]
}

/**
 * @param page address of the document: its origin is the default server, its fragment the default invitation
 */
export function readAttributes(attributes: CallAttributes, page: string): CallSettings {
  const warnings: string[] = []
  const server = readServer(attributes.server, page, warnings)
  const room = readRoom(attributes.room, warnings)
  const name = [...(attributes.name ?? "")].slice(0, MAX_NAME).join("")
  if (name !== (attributes.name ?? "")) warnings.push(`name: only the first ${MAX_NAME} characters are used.`)
  const fragment = readInvite(attributes.invite, page, warnings)
  const url = new URL(encodeURIComponent(room), server)
  if (fragment !== undefined) url.hash = fragment
  else if (!attributes.open) url.hash = createInvitation(server, room).fragment
  return { url, name, open: attributes.open && fragment === undefined, warnings }
}

function readServer(value: string | null, page: string, warnings: string[]): URL {
  const fallback = new URL("/", page)
  if (value === null || value === "") return fallback
  const url = URL.canParse(value, page) ? new URL(value, page) : undefined
  if (url !== undefined && /^(https?|wss?):$/.test(url.protocol)) return url
  warnings.push("server: not an http(s) or ws(s) address, so this page's own server is used.")
  return fallback
}

function readRoom(value: string | null, warnings: string[]): string {
  if (value === null || value === "") return DEFAULT_ROOM
  const name = value.toLowerCase()
  if (isRoomName(name)) return name
  warnings.push(`room: not a room name, so "${DEFAULT_ROOM}" is used.`)
  return DEFAULT_ROOM
}

/** The value may be the fragment or a whole link. Without one the page's own fragment counts, when it is an invitation. */
function readInvite(value: string | null, page: string, warnings: string[]): string | undefined {
  if (value !== null && value !== "") {
    const fragment = value.slice(value.indexOf("#") + 1)
    if (isInvitation(fragment)) return fragment
    // The value may be a secret with a typing error in it: it is not repeated.
    warnings.push("invite: not an invitation, so it is not used.")
  }
  const own = new URL(page).hash.slice(1)
  return isInvitation(own) ? own : undefined
}

function isInvitation(fragment: string): boolean {
  try {
    return parseInvitation(fragment).kind === "member"
  } catch {
    return false
  }
}
