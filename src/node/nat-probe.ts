/**
 * Looks at the NAT of a Node peer over a UDP socket of its own: the first server tells where it saw the socket and is asked to have the
 * answer sent from an address that was not contacted; the others are asked after that (control-plane 6.9, D36).
 */
import { randomBytes } from "node:crypto"
import { createSocket, type Socket } from "node:dgram"
import { lookup } from "node:dns/promises"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import { comparable } from "../rendezvous/nat/browser-evidence.ts"
import type { NatObservation } from "../rendezvous/nat/classify.ts"
import type { StunServer } from "../rendezvous/nat/stun-servers.ts"
import type { NatFindings, NatProbe } from "../room/nat/types.ts"
import { type AddressBlock, addressFromText, encodeAddressBlock } from "../wire/address.ts"
import { toHex } from "../wire/bytes.ts"
import { decodeBindingResponse, encodeBindingRequest, MAX_STUN_LENGTH, TRANSACTION_LENGTH } from "../wire/stun.ts"

const INTERVAL_MS = 60_000
/** A question is sent again after these times, ms. */
const AGAIN_MS = [250, 500] as const
/** How long the first server, the answer from elsewhere and the others may take: less than the five seconds of a sweep together, ms. */
const FIRST_MS = 1_200
const DIAL_BACK_MS = 1_500
const OTHERS_MS = 1_200
const NAMES_MS = 500
const ATTEST_MS = 500

/** @param bindAddress local address to send from; default: whatever the routing table says */
export function nodeNatProbe(bindAddress?: string): NatProbe {
  return {
    intervalMs: INTERVAL_MS,
    async look({ servers, ask, signal }) {
      const found = await resolved(servers, bindAddress)
      if (found === undefined || signal.aborted) return { observations: [], hostAddresses: [], dialBack: false }
      const socket = await openSocket(found.family, bindAddress)
      const questions = new Questions(socket, signal)
      try {
        const attest = (mapped: AddressBlock) => ask([mapped], AbortSignal.any([signal, AbortSignal.timeout(ATTEST_MS)]))
        return await look(questions, found.places, hostAddresses(socket, bindAddress), attest)
      } finally {
        questions.close()
      }
    },
  }
}

interface Place {
  server: StunServer
  /** IP address. */
  host: string
}

async function look(
  questions: Questions,
  places: readonly Place[],
  hosts: AddressBlock[],
  attest: (mapped: AddressBlock) => Promise<unknown>,
): Promise<NatFindings> {
  const observations: NatObservation[] = []
  const note = ({ server, host }: Place, mapped: AddressBlock | undefined) => {
    if (mapped !== undefined) observations.push({ observer: server.url, observerIp: host, mapped })
  }
  // Whoever has been asked can answer through any NAT: so far that must be nobody but one.
  let next = 0
  for (; next < places.length && observations.length === 0 && next < 2; next++) {
    const place = places[next] as Place
    note(place, await questions.ask(place, FIRST_MS / 2))
  }
  const asked = places.slice(0, next)
  const first = asked.at(-1)
  const unmapped = observations[0] !== undefined && hosts.some((host) => keyOf(host) === keyOf(observations[0]?.mapped))
  // Where the WebSocket uses the other family: nobody is called back at an address that was not attested.
  if (observations[0] !== undefined && first?.server.index !== undefined) {
    await attest(observations[0].mapped).catch(() => undefined)
  }
  const dialBack = unmapped && first !== undefined && (await questions.askElsewhere(first, asked, places, DIAL_BACK_MS))
  const others = places.slice(next)
  await Promise.all(others.map(async (place) => note(place, await questions.ask(place, OTHERS_MS))))
  return { observations: comparable(observations), hostAddresses: hosts, dialBack }
}

/** Binding requests of one socket, each with a number that nobody can guess. */
class Questions {
  readonly #socket: Socket
  readonly #signal: AbortSignal
  readonly #open = new Map<string, (mapped: AddressBlock, from: string) => void>()

  constructor(socket: Socket, signal: AbortSignal) {
    this.#socket = socket
    this.#signal = signal
    socket.on("message", (bytes, info) => {
      if (bytes.length > MAX_STUN_LENGTH) return
      const response = decodeBindingResponse(new Uint8Array(bytes))
      if (response !== undefined) this.#open.get(toHex(response.transaction))?.(response.mapped, info.address)
    })
    // A server that is not there makes itself heard as an error of the socket on some systems.
    socket.on("error", () => undefined)
  }

  /** Where the server saw this socket. */
  ask({ server, host }: Place, timeoutMs: number): Promise<AddressBlock | undefined> {
    return this.#exchange({ host, port: server.port, fromElsewhere: false, timeoutMs }, (from) => hostKey(from) === hostKey(host))
  }

  /** Whether an answer comes from one of the servers that has not been asked. */
  async askElsewhere(
    { server, host }: Place,
    asked: readonly Place[],
    all: readonly Place[],
    timeoutMs: number,
  ): Promise<boolean> {
    const known = new Set(asked.map((place) => hostKey(place.host)))
    const places = new Set(all.map((place) => hostKey(place.host)))
    const isElsewhere = (from: string) => !known.has(hostKey(from)) && places.has(hostKey(from))
    return (await this.#exchange({ host, port: server.port, fromElsewhere: true, timeoutMs }, isElsewhere)) !== undefined
  }

  close(): void {
    this.#open.clear()
    this.#socket.close()
  }

  #exchange(
    { host, port, fromElsewhere, timeoutMs }: { host: string; port: number; fromElsewhere: boolean; timeoutMs: number },
    accept: (from: string) => boolean,
  ): Promise<AddressBlock | undefined> {
    if (this.#signal.aborted) return Promise.resolve(undefined)
    const transaction = new Uint8Array(randomBytes(TRANSACTION_LENGTH))
    const id = toHex(transaction)
    const request = encodeBindingRequest({ transaction, fromElsewhere })
    return new Promise((resolve) => {
      const end = (mapped: AddressBlock | undefined) => {
        for (const timer of timers) clearTimeout(timer)
        this.#signal.removeEventListener("abort", abort)
        this.#open.delete(id)
        resolve(mapped)
      }
      const abort = () => end(undefined)
      const send = () => this.#socket.send(request, port, host, () => undefined)
      const timers = [...AGAIN_MS.map((after) => setTimeout(send, after)), setTimeout(abort, timeoutMs)]
      this.#signal.addEventListener("abort", abort, { once: true })
      this.#open.set(id, (mapped, from) => accept(from) && end(mapped))
      send()
    })
  }
}

/** The servers' IP addresses, all of one family, each server once: IPv4 where there are two of them. */
async function resolved(
  servers: readonly StunServer[],
  bindAddress: string | undefined,
): Promise<{ family: 4 | 6; places: Place[] } | undefined> {
  const all = await Promise.all(servers.map(async (server) => ({ server, hosts: await addressesOf(server.host) })))
  const bound = bindAddress === undefined ? 0 : isIP(bindAddress)
  for (const family of [4, 6] as const) {
    if (bound !== 0 && bound !== family) continue
    const places = all.flatMap(({ server, hosts }) => {
      const host = hosts.find((each) => isIP(each) === family)
      return host === undefined ? [] : [{ server, host }]
    })
    if (new Set(places.map(({ host }) => host)).size >= 2) return { family, places }
  }
  return undefined
}

async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host]
  const late = new Promise<string[]>((resolve) => setTimeout(() => resolve([]), NAMES_MS).unref())
  const found = lookup(host, { all: true }).then(
    (list) => list.map(({ address }) => address),
    () => [],
  )
  return Promise.race([found, late])
}

function openSocket(family: 4 | 6, address: string | undefined): Promise<Socket> {
  const socket = createSocket(family === 4 ? { type: "udp4" } : { type: "udp6", ipv6Only: true })
  return new Promise((resolve, reject) => {
    socket.once("error", (error) => {
      socket.close()
      reject(error)
    })
    socket.bind({ port: 0, ...(address === undefined ? {} : { address }) }, () => {
      socket.removeAllListeners("error")
      resolve(socket)
    })
  })
}

/** Where the socket is on this machine. */
function hostAddresses(socket: Socket, bindAddress: string | undefined): AddressBlock[] {
  const { port } = socket.address()
  const hosts =
    bindAddress === undefined
      ? Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address))
      : [bindAddress]
  return hosts.flatMap((host) => addressFromText(host.split("%", 1)[0] ?? "", port) ?? [])
}

/** One address has many texts in IPv6. */
function hostKey(host: string): string {
  return keyOf(addressFromText(host.split("%", 1)[0] ?? "", 0))
}

function keyOf(address: AddressBlock | undefined): string {
  return address === undefined ? "" : toHex(encodeAddressBlock(address))
}
