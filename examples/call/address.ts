/** What the page's own address says, and the links the page makes from it. The fragment is secret: it is never logged or sent. */

/**
 * `call`: everybody sees everybody. A broadcast has a `stage`, whose pages publish, and an `audience`, whose pages open no devices
 * and publish nothing. `relay`: hands on what others publish, and shows nothing.
 */
export type PageMode = "call" | "stage" | "audience" | "relay"

const MODES: readonly PageMode[] = ["call", "stage", "audience", "relay"]
/** Largest limit an address may ask for, Mbit/s. */
const MAX_UPLINK = 10_000

export interface PageAddress {
  room: string
  name: string
  /** Join without a click. */
  autojoin: boolean
  /** Asked for a room without a secret. */
  open: boolean
  /** What this page is here for. */
  mode: PageMode
  /** Limit for the own uplink, bit/s. */
  uplink: number | undefined
  /** Never transfer data channels to the worker: for tests and old browsers. */
  forward: boolean
  /** With the `#`, or empty. */
  fragment: string
}

export function readAddress(href: string): PageAddress {
  const { searchParams: query, hash } = new URL(href)
  return {
    room: (query.get("room") ?? "").trim(),
    name: (query.get("name") ?? "").trim(),
    autojoin: query.get("autojoin") === "1",
    open: query.get("open") === "1",
    mode: MODES.find((mode) => mode === query.get("mode")) ?? "call",
    uplink: uplinkFrom(query.get("uplink")),
    forward: query.get("forward") === "1",
    fragment: hash.length > 1 ? hash : "",
  }
}

/** "2" is 2 Mbit/s; anything else than a number above zero is no limit. */
function uplinkFrom(text: string | null): number | undefined {
  const mbps = text === null || text.trim() === "" ? Number.NaN : Number(text)
  return mbps > 0 && mbps <= MAX_UPLINK ? mbps * 1e6 : undefined
}

/** Whether the page opens devices and publishes. */
export function publishes({ mode }: Pick<PageAddress, "mode">): boolean {
  return mode === "call" || mode === "stage"
}

/** True for a link that names a room and lost its secret on the way. */
export function lacksSecret(address: PageAddress): boolean {
  return address.room !== "" && address.fragment === "" && !address.open
}

/** The server that also serves this page. */
export function serverUrl(): URL {
  return new URL(".", location.href.replace(/[?#].*$/s, ""))
}

/** What `joinRoom` wants: the room under the server's address, with the secret. */
export function roomUrl({ room, fragment }: PageAddress): URL {
  const url = new URL(encodeURIComponent(room), serverUrl())
  url.hash = fragment
  return url
}

/** Link to this page for somebody else: the room and its secret, without anybody's name. A broadcast invites to its audience. */
export function inviteLink(address: PageAddress): string {
  return linkFor(address, address.mode === "stage" ? "audience" : address.mode)
}

/** Link with which a browser takes part in the room in one of the ways. */
export function linkFor({ room, open, fragment }: PageAddress, mode: PageMode): string {
  const url = new URL(location.pathname, location.origin)
  url.searchParams.set("room", room)
  if (open) url.searchParams.set("open", "1")
  if (mode !== "call") url.searchParams.set("mode", mode)
  url.hash = fragment
  return url.href
}

/** A room name from what a person typed: "Team Standup!" becomes "team-standup". */
export function roomNameFrom(text: string): string {
  return text
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^a-z0-9._]+/g, "-")
    .replace(/^[^a-z0-9]+|-+$/g, "")
    .slice(0, 64)
}

const MOODS = ["amber", "bright", "calm", "clear", "gentle", "golden", "merry", "misty", "quiet", "silver", "sunny", "swift"]
const PLACES = ["bay", "bridge", "canyon", "forest", "garden", "harbor", "island", "lake", "meadow", "orchard", "river", "valley"]

/** A name for a new room that can be said aloud. It need not be secret. */
export function suggestRoomName(): string {
  const [a = 0, b = 0, c = 0] = crypto.getRandomValues(new Uint8Array(3))
  return `${MOODS[a % MOODS.length]}-${PLACES[b % PLACES.length]}-${10 + (c % 90)}`
}
