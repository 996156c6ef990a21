/**
 * What a browser's candidates say about its mappings. Browsers show every mapped address once, however many servers saw it, so this
 * goes by what the rendezvous server's observers saw, and by which servers surely answered (control-plane 6.9).
 */
import { type AddressBlock, addressFromText, encodeAddressBlock } from "../../wire/address.ts"
import { toHex } from "../../wire/bytes.ts"
import type { ReflexReplyEntry } from "../../wire/rendezvous-message.ts"
import { addressRange } from "../candidate-filter.ts"
import type { NatObservation } from "./classify.ts"
import type { StunServer } from "./stun-servers.ts"

/** A candidate of our own browser. */
export interface LocalCandidate {
  type: "host" | "srflx"
  /** Candidates of one socket have the same: only those can be compared. */
  base: string
  address: AddressBlock
  /** The server that it came from, where the browser says so. */
  url?: string
}

/** What one look brought. */
interface BrowserEvidence {
  candidates: readonly LocalCandidate[]
  /** Of REFLEX_REPLY. */
  entries: readonly ReflexReplyEntry[]
  servers: readonly StunServer[]
  /** URLs of servers that surely answered. */
  answered: ReadonlySet<string>
}

/** Reads a browser's own candidate line. Undefined for what says nothing here: TCP, relays, hidden names. */
export function readLocalCandidate(line: string, url?: string): LocalCandidate | undefined {
  const fields = /^(?:a=)?candidate:(\S+) 1 udp \d+ (\S+) (\d+) typ (host|srflx)(?: raddr (\S+) rport (\d+))?(.*)$/i.exec(line)
  if (fields === null) return undefined
  const [, foundation = "", host = "", port = "", kind = "", raddr, rport, rest = ""] = fields
  const address = addressFromText(host, Number(port))
  if (address === undefined || address.family === 0 || !(address.port >= 1 && address.port <= 65_535)) return undefined
  const type = kind.toLowerCase() === "host" ? "host" : "srflx"
  const related = raddr === undefined ? undefined : addressFromText(raddr, Number(rport))
  const base = type === "host" ? keyOf(address) : (shownBase(related) ?? hiddenBase(rest, foundation))
  return { type, base, address, ...(url === undefined || url === "" ? {} : { url }) }
}

/** The addresses to ask the rendezvous server about, at most eight. */
export function addressesToAsk(candidates: readonly LocalCandidate[]): AddressBlock[] {
  const byKey = new Map<string, AddressBlock>()
  // Those of hosts as well: where there is no NAT, browsers show no others.
  for (const type of ["srflx", "host"]) {
    for (const candidate of candidates) if (candidate.type === type) byKey.set(keyOf(candidate.address), candidate.address)
  }
  return [...byKey.values()].slice(0, 8)
}

/** The observations of the one socket that most is known about: mappings of different sockets must not be compared. */
export function browserObservations(evidence: BrowserEvidence): NatObservation[] {
  const bases = [...new Set(evidence.candidates.map(({ base }) => base))]
  let best: NatObservation[] = []
  for (const base of bases) {
    const observations = comparable(ofBase(base, evidence))
    if (weight(observations) > weight(best)) best = observations
  }
  return best
}

/** An observer in our own network sees another address than one outside; where somebody outside saw us, that one counts. */
export function comparable(observations: readonly NatObservation[]): NatObservation[] {
  const outside = observations.filter(({ mapped }) => addressRange(mapped) === "public")
  return outside.length > 0 ? outside : [...observations]
}

function ofBase(base: string, { candidates, entries, servers, answered }: BrowserEvidence): NatObservation[] {
  const own = candidates.filter((candidate) => candidate.base === base)
  const observations: NatObservation[] = []
  const heard = new Set<string>()
  for (const { address, observerIndex } of entries) {
    const server = servers.find(({ index }) => index === observerIndex)
    if (server === undefined || !own.some((candidate) => keyOf(candidate.address) === keyOf(address))) continue
    heard.add(server.url)
    observations.push({ observer: server.url, observerIp: server.host, mapped: address })
  }
  for (const family of [4, 6] as const) {
    const mapped = mappedOf(own.filter(({ address }) => address.family === family))
    for (const { address, url } of mapped) {
      const server = servers.find((each) => each.url === url)
      if (server === undefined || heard.has(server.url)) continue
      heard.add(server.url)
      observations.push({ observer: server.url, observerIp: server.host, mapped: address })
    }
    const [only, second] = mapped
    if (only !== undefined && second === undefined) {
      // All that answered saw the same, or there would be a second one.
      for (const { url, host } of servers) {
        if (!answered.has(url) || heard.has(url) || !mayReach(host, only)) continue
        observations.push({ observer: url, observerIp: host, mapped: only.address })
      }
    } else {
      // Two mappings of one socket: whoever saw which, they differ.
      for (const { address } of mapped) {
        if (observations.some((seen) => keyOf(seen.mapped) === keyOf(address))) continue
        observations.push({ observer: keyOf(address), observerIp: "", mapped: address })
      }
    }
  }
  return observations
}

/** The mapped addresses of one socket; where none is shown, the socket's own is what the servers see. */
function mappedOf(candidates: readonly LocalCandidate[]): LocalCandidate[] {
  const reflexive = candidates.filter(({ type }) => type === "srflx")
  const byKey = new Map<string, LocalCandidate>()
  for (const candidate of reflexive.length > 0 ? reflexive : candidates) byKey.set(keyOf(candidate.address), candidate)
  return [...byKey.values()]
}

/**
 * Browsers do not tell of a server that a socket could not ask for want of an address of its family. A socket without any reflexive
 * candidate shows nothing that came from a server, so there the family has to be certain.
 */
function mayReach(host: string, { type, address }: LocalCandidate): boolean {
  const family = addressFromText(host, 0)?.family
  return family === undefined ? type === "srflx" : family === address.family
}

/** IPv4 before IPv6, then what was seen from outside, then by how many. */
function weight(observations: readonly NatObservation[]): number {
  const isFour = observations.some(({ mapped }) => mapped.family === 4)
  const isPublic = observations.some(({ mapped }) => addressRange(mapped) === "public")
  return new Set(observations.map(({ observerIp }) => observerIp)).size + (isPublic ? 100 : 0) + (isFour ? 1_000 : 0)
}

/** The socket of a reflexive candidate, unless the browser hides it. */
function shownBase(related: AddressBlock | undefined): string | undefined {
  if (related === undefined || related.port < 1 || related.address.every((byte) => byte === 0)) return undefined
  // Port 9 stands for "none".
  return related.port === 9 ? undefined : keyOf(related)
}

/** Chromium numbers its networks, with one socket on each; elsewhere the foundation is as good as it gets. */
function hiddenBase(rest: string, foundation: string): string {
  return / network-id (\d+)/.exec(rest)?.[0] ?? `foundation ${foundation}`
}

function keyOf(address: AddressBlock): string {
  return toHex(encodeAddressBlock(address))
}
