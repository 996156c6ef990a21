/** Puts the impairment proxy between browser pages: `impair(page, peer)` before the page with the call is loaded. */
import type { Page } from "@playwright/test"
import type { ImpairmentProxy, ProxyPeer, Registration } from "./proxy.ts"
import { redirectCandidates, type UsedPath } from "./redirect.ts"

const BINDING = "announceCandidate"

/** Everything that `page` loads from now on sends and receives through `peer`. The page needs a granted microphone: without one the browser hides addresses. */
export async function impair(page: Page, peer: ProxyPeer): Promise<void> {
  await page.exposeBinding(BINDING, (_source, registration: Registration) => peer.register(registration))
  // tsx names functions with a helper that does not travel with the text of a function.
  await page.addInitScript("globalThis.__name ??= (value) => value")
  await page.addInitScript(redirectCandidates, { ports: peer.ports, binding: BINDING })
}

export interface PathProof {
  /** Peer connections with a selected pair. */
  connections: number
  /** Of those, whose remote end is not a port of the proxy. */
  direct: number
  /** Bytes that the page says it sent on those connections, and that the proxy saw from them, STUN excluded. */
  pageBytes: number
  proxyBytes: number
  unknownPackets: number
}

/** Compares what the page says about its connections with what the proxy counted. */
export async function provePath(page: Page, proxy: ImpairmentProxy, self: ProxyPeer, others: ProxyPeer[]): Promise<PathProof> {
  const proxied = new Set(others.flatMap((other) => other.ports))
  const paths: UsedPath[] = await page.evaluate(() => globalThis.impairment.paths())
  const proof = { connections: paths.length, direct: 0, pageBytes: 0, proxyBytes: 0, unknownPackets: proxy.unknownPackets }
  for (const path of paths) {
    if (!proxied.has(path.remotePort)) proof.direct++
    proof.pageBytes += path.bytesSent
    const port = self.registrations.find(({ connection }) => connection === path.connection)?.port
    proof.proxyBytes += port === undefined ? 0 : (self.counters(port)?.sentMediaBytes ?? 0)
  }
  return proof
}
