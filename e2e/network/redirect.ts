/**
 * Runs in a page before anything else: shows the page candidates whose port belongs to the impairment proxy. The page signs and
 * sends those, so no peer ever learns a real address and no path around the proxy exists.
 */
import type { Registration } from "./proxy.ts"

interface RedirectOptions {
  /** Ports of the proxy that stand for this page's candidates. */
  ports: number[]
  /** Name of the function in the page that tells the proxy. */
  binding: string
}

/** The path that one peer connection of the page uses. */
export interface UsedPath {
  connection: number
  localPort: number
  remotePort: number
  remoteType: string
  bytesSent: number
  bytesReceived: number
}

declare global {
  var impairment: { paths(): Promise<UsedPath[]>; hiddenCandidates: number }
}

/** Self-contained: it is handed to the page as text. */
export function redirectCandidates({ ports, binding }: RedirectOptions): void {
  const tell = (globalThis as unknown as Record<string, (registration: Registration) => Promise<void>>)[binding]
  const Native = globalThis.RTCPeerConnection
  const alive = new Map<number, RTCPeerConnection>()
  // Candidates of a page that was loaded before may still be in use elsewhere: go on behind them.
  let taken = Number(sessionStorage.getItem(binding) ?? 0)
  let made = 0
  const nextPort = () => {
    const port = ports[taken % ports.length] as number
    taken++
    sessionStorage.setItem(binding, String(taken))
    return port
  }
  // foundation component protocol priority address port type
  const shape = /^((?:a=)?candidate:\S+ 1 udp \d+ )(\S+) (\d+)( typ host.*)$/i

  /** Per connection: port of the proxy by `address:port` of the candidate. */
  const standIns = new WeakMap<RTCPeerConnection, Map<string, number>>()

  const shown = (peer: RTCPeerConnection, description: RTCSessionDescription | null) => {
    if (description === null) return null
    const lines = description.sdp.split("\r\n").flatMap((line) => {
      if (!line.startsWith("a=candidate:")) return [line]
      const [, head, address, realPort, tail] = shape.exec(line) ?? []
      const port = standIns.get(peer)?.get(`${address}:${realPort}`)
      return port === undefined ? [] : [`${head}${address} ${port}${tail}`]
    })
    return new RTCSessionDescription({ type: description.type, sdp: lines.join("\r\n") })
  }

  // No fields and no private names: compilers turn them into helpers that do not travel with the text of this function.
  class RedirectedPeerConnection extends Native {
    constructor(configuration?: RTCConfiguration) {
      super({ ...configuration, iceServers: [] })
      const connection = made++
      const ownStandIns = new Map<string, number>()
      // One candidate per transport is enough, and leaves nothing to choose.
      const served = new Set<string>()
      alive.set(connection, this)
      standIns.set(this, ownStandIns)
      const redirect = ({ candidate, sdpMid, usernameFragment }: RTCIceCandidate): string | undefined => {
        const parts = shape.exec(candidate)
        const [, head, address = "", realPort = "", tail] = parts ?? []
        const transport = `${sdpMid} ${usernameFragment}`
        // Loopback: whatever range the machine's own address is of, with a server on this machine nobody's filter refuses it.
        if (parts === null || !/^127\.\d+\.\d+\.\d+$/.test(address) || served.has(transport)) return undefined
        served.add(transport)
        const port = nextPort()
        ownStandIns.set(`${address}:${realPort}`, port)
        void tell?.({ port, address, realPort: Number(realPort), connection })
        return `${head}${address} ${port}${tail}`
      }
      // First of all listeners: it can change the event for those after it, or keep it from them.
      this.addEventListener("icecandidate", (event) => {
        const { candidate } = event
        if (candidate === null || candidate.candidate === "") return
        const line = redirect(candidate)
        if (line === undefined) {
          globalThis.impairment.hiddenCandidates++
          event.stopImmediatePropagation()
          return
        }
        const { sdpMid, sdpMLineIndex, usernameFragment } = candidate
        const stated = new RTCIceCandidate({ candidate: line, sdpMid, sdpMLineIndex, usernameFragment })
        Object.defineProperty(event, "candidate", { value: stated })
      })
    }

    override get localDescription(): RTCSessionDescription | null {
      return shown(this, super.localDescription)
    }

    override get currentLocalDescription(): RTCSessionDescription | null {
      return shown(this, super.currentLocalDescription)
    }

    override get pendingLocalDescription(): RTCSessionDescription | null {
      return shown(this, super.pendingLocalDescription)
    }

    override close(): void {
      for (const [connection, peer] of alive) if (peer === this) alive.delete(connection)
      super.close()
    }
  }

  globalThis.impairment = {
    hiddenCandidates: 0,
    async paths() {
      const used: UsedPath[] = []
      for (const [connection, peer] of alive) {
        const stats = await peer.getStats()
        for (const entry of stats.values()) {
          if (entry.type !== "transport" || entry.selectedCandidatePairId === undefined) continue
          const pair = stats.get(entry.selectedCandidatePairId)
          const [local, remote] = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)]
          if (pair === undefined || local === undefined || remote === undefined) continue
          const { bytesSent, bytesReceived } = entry
          used.push({
            connection,
            localPort: local.port,
            remotePort: remote.port,
            remoteType: remote.candidateType,
            bytesSent,
            bytesReceived,
          })
        }
      }
      return used
    },
  }
  globalThis.RTCPeerConnection = RedirectedPeerConnection
}
