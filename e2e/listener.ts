/** A third party for the attack tests: sockets of this machine that have asked for nothing, and addresses under which they could be named. */
import { createSocket, type Socket } from "node:dgram"
import { networkInterfaces } from "node:os"
import { addressRange } from "../src/rendezvous/candidate-filter.ts"
import { type AddressBlock, addressFromText, type CandidateEntry } from "../src/wire/address.ts"

/** A machine that has asked for nothing. */
export class Listener {
  packets = 0
  readonly #sockets: Socket[]
  private constructor(sockets: Socket[]) {
    this.#sockets = sockets
    for (const socket of sockets) socket.on("message", () => (this.packets += 1))
  }

  static async open(): Promise<Listener> {
    const four = createSocket("udp4")
    await new Promise<void>((resolve) => four.bind(0, "0.0.0.0", resolve))
    const { port } = four.address()
    const six = createSocket({ type: "udp6", ipv6Only: true })
    const both = await new Promise<boolean>((resolve) => {
      six.once("error", () => resolve(false))
      six.bind(port, "::", () => resolve(true))
    })
    return new Listener(both ? [four, six] : [four])
  }

  get port(): number {
    return this.#sockets[0]!.address().port
  }

  close(): void {
    for (const socket of this.#sockets) socket.close()
  }
}

/** Addresses of this machine: `private` ones are used between neighbours, of the others nothing is known to the page's server. */
export function addressesHere(port: number): { near: AddressBlock[]; foreign: AddressBlock[] } {
  const all = Object.values(networkInterfaces()).flatMap((entries) => entries ?? [])
  const blocks = all.flatMap(({ address }) => addressFromText(address, port) ?? [])
  const near = blocks.filter((block) => addressRange(block, true) === "private")
  return { near, foreign: blocks.filter((block) => !near.includes(block) && !isLinkLocal(block)) }
}

const isLinkLocal = ({ family, address: [a, b] }: AddressBlock) => family === 6 && a === 0xfe && ((b ?? 0) & 0xc0) === 0x80
export const candidate = (address: AddressBlock): CandidateEntry => ({
  address,
  type: "host",
  protocol: "udp",
  priority: 2_113_937_151,
})
