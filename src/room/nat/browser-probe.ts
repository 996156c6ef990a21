/**
 * Looks at the NAT of a page: a short-lived peer connection gathers candidates with all STUN servers, so that every mapping is one of
 * the same sockets, and the rendezvous server tells which of its observers saw them (control-plane 6.9).
 */
import type { WebRtc } from "../../link/index.ts"
import {
  addressesToAsk,
  browserObservations,
  type LocalCandidate,
  readLocalCandidate,
} from "../../rendezvous/nat/browser-evidence.ts"
import { readStunUrl, type StunServer } from "../../rendezvous/nat/stun-servers.ts"
import type { ReflexReplyEntry } from "../../wire/rendezvous-message.ts"
import type { NatLook, NatProbe } from "./types.ts"

const INTERVAL_MS = 300_000
/** A server that has not answered by then is taken for silent, ms. */
const GATHER_MS = 3_000
/** Candidates of one look; a machine with more sockets than that is none that a NAT class can be given. */
const MAX_CANDIDATES = 64

export function browserProbe(webrtc: WebRtc): NatProbe {
  return {
    intervalMs: INTERVAL_MS,
    async look({ servers, ask, signal }) {
      const { candidates, answered } = await gather(webrtc, servers, signal)
      const addresses = addressesToAsk(candidates)
      const entries = addresses.length === 0 || signal.aborted ? [] : await orNothing(ask, addresses, signal)
      // Nothing that arrives outside ICE reaches a page, so it can neither show its own addresses nor be called back.
      return {
        observations: browserObservations({ candidates, entries, servers, answered }),
        hostAddresses: [],
        dialBack: false,
      }
    },
  }
}

interface Gathered {
  candidates: LocalCandidate[]
  /** URLs of servers that surely answered: gathering is over, and the browser would have told of one that did not. */
  answered: Set<string>
}

function gather(webrtc: WebRtc, servers: readonly StunServer[], signal: AbortSignal): Promise<Gathered> {
  const candidates: LocalCandidate[] = []
  const connection = webrtc.connect({ iceServers: servers.map(({ url }) => ({ urls: url })) })
  const tellsFailures = "onicecandidateerror" in connection
  const answered = new Set(tellsFailures ? servers.map(({ url }) => url) : [])
  return new Promise<Gathered>((resolve, reject) => {
    const end = (complete: boolean) => {
      clearTimeout(timer)
      signal.removeEventListener("abort", abort)
      connection.close()
      resolve({ candidates, answered: complete ? answered : new Set() })
    }
    const abort = () => end(false)
    const timer = setTimeout(abort, GATHER_MS)
    signal.addEventListener("abort", abort, { once: true })
    connection.onicecandidate = ({ candidate }) => {
      if (candidate === null) return end(true)
      const { url } = candidate as RTCIceCandidate & { url?: string | null }
      const read = readLocalCandidate(candidate.candidate, readStunUrl(url ?? "")?.url)
      if (read !== undefined && candidates.length < MAX_CANDIDATES) candidates.push(read)
    }
    connection.onicecandidateerror = ({ url }) => {
      const server = readStunUrl(url)
      if (server === undefined) answered.clear()
      else answered.delete(server.url)
    }
    connection.createDataChannel("nat")
    connection
      .createOffer()
      .then((offer) => connection.setLocalDescription(offer))
      .catch((error: unknown) => {
        end(false)
        reject(error)
      })
  })
}

/** Without the server's word the candidates still say something. */
async function orNothing(
  ask: NatLook["ask"],
  addresses: Parameters<NatLook["ask"]>[0],
  signal: AbortSignal,
): Promise<readonly ReflexReplyEntry[]> {
  try {
    return await ask(addresses, signal)
  } catch {
    return []
  }
}
