/** Ports and addresses in the arguments of the relay. */
import { InvalidArgumentError } from "commander"
import { addressRange } from "../../src/rendezvous/candidate-filter.ts"
import { addressFromText } from "../../src/wire/address.ts"

/** Peers take no candidate with a lower port: behind those stands the system. */
const MIN_PORT = 1_024
const MAX_PORT = 65_535

/** An IP address and a UDP port. */
export interface Place {
  host: string
  port: number
}

export function readPort(text: string): number {
  const value = Number(text)
  if (!/^\d{4,5}$/.test(text) || value < MIN_PORT || value > MAX_PORT) {
    throw new InvalidArgumentError(`a port from ${MIN_PORT} to ${MAX_PORT} is needed.`)
  }
  return value
}

/** `203.0.113.7:41000` or `[2001:db8::7]:41000`. */
export function readPlace(text: string): Place {
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text) ?? []
  const host = six ?? four ?? ""
  const block = addressFromText(host, 0)
  // Names resolve to something else elsewhere, and a name in brackets or IPv6 without them is a slip.
  if (block === undefined || block.family === 0 || (six !== undefined) !== host.includes(":")) {
    throw new InvalidArgumentError("an IP address and a port are needed, such as 203.0.113.7:41000 or [2001:db8::7]:41000.")
  }
  if (addressRange(block) === "bad") throw new InvalidArgumentError("nobody else reaches that address.")
  return { host, port: readPort(port ?? "") }
}

export function placeText({ host, port }: Place): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
}
