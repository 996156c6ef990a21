/** ICE candidates between the browser's text form and the entries of a signed description (control-plane 6.3). */
import { type AddressBlock, addressFromText, addressToText, CANDIDATE_TYPES, type CandidateEntry } from "../wire/address.ts"
import { equalBytes } from "../wire/bytes.ts"

/** No candidate but a TURN server's points below: a check must not reach a well-known service. */
const MIN_PORT = 1_024
/** As many as the filter keeps for lane 0. */
const MAX_PER_LANE = 8

/** Reads a browser's candidate line. TCP, prflx, component 2 and unreadable addresses give `undefined`: they are not sent. */
export function parseCandidate(line: string): CandidateEntry | undefined {
  const fields = /^(?:a=)?candidate:\S+ 1 udp (\d+) (\S+) (\d+) typ (\w+)/i.exec(line)
  if (fields === null) return undefined
  const priority = Number(fields[1])
  const port = Number(fields[3])
  const type = CANDIDATE_TYPES.find((known) => known === fields[4]!.toLowerCase())
  if (type === undefined || port < 1 || port > 0xffff || priority > 0xffffffff) return undefined
  const address = addressFromText(fields[2]!, port)
  return address === undefined ? undefined : { address, type, protocol: "udp", priority }
}

/** The candidate as we give it to our own browser; `index` becomes the foundation. */
export function candidateInit(candidate: CandidateEntry, index: number): RTCIceCandidateInit {
  const { address, type, priority } = candidate
  const line = `candidate:${index} 1 udp ${priority} ${addressToText(address)} ${address.port} typ ${type}`
  const related = type === "host" ? "" : ` raddr ${address.family === 6 ? "::" : "0.0.0.0"} rport 9`
  return { candidate: line + related, sdpMid: "0", sdpMLineIndex: 0 }
}

/** Same host, whatever the port. */
export function sameHost(a: AddressBlock, b: AddressBlock): boolean {
  return a.family === b.family && equalBytes(a.address, b.address)
}

/**
 * The candidates of a media lane that may be handed to the browser. Their hosts were judged with the list of lane 0, and the
 * counters are those of the link (LL-4): what is left are the ports.
 */
export function withUsablePort(candidates: readonly CandidateEntry[]): CandidateEntry[] {
  const usable = candidates.filter(({ address: { port }, type }) => port >= MIN_PORT || (type === "relay" && port > 0))
  return usable.slice(0, MAX_PER_LANE)
}
