/** Which kind of path a peer connection took and how long it is, from the browser's own statistics. */
import type { LinkTransportStats } from "./types.ts"

const PATHS = ["host", "srflx", "prflx", "relay"] as const

/** Reads the selected candidate pair; members are missing while there is none. */
export async function transportStats(connection: RTCPeerConnection): Promise<Pick<LinkTransportStats, "path" | "rttMs">> {
  const entries = new Map<string, Record<string, unknown>>()
  const report = await connection.getStats()
  report.forEach((entry: Record<string, unknown>) => {
    entries.set(String(entry.id), entry)
  })
  const transport = [...entries.values()].find((entry) => entry.type === "transport")
  // Firefox has no transport entry but marks the pair itself.
  const pair =
    entries.get(String(transport?.selectedCandidatePairId)) ??
    [...entries.values()].find((entry) => entry.type === "candidate-pair" && entry.selected === true)
  if (pair === undefined) return {}
  const local = entries.get(String(pair.localCandidateId))
  const remote = entries.get(String(pair.remoteCandidateId))
  const types = [local?.candidateType, remote?.candidateType]
  const path = types.includes("relay") ? "relay" : PATHS.find((known) => known === local?.candidateType)
  const rtt = pair.currentRoundTripTime
  return { ...(path && { path }), ...(typeof rtt === "number" && { rttMs: rtt * 1_000 }) }
}
