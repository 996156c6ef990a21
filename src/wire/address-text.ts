/** IP addresses and mDNS names as text, the form ICE candidates use. */
import type { AddressBlock } from "./address.ts"
import { fromHex, toHex } from "./bytes.ts"
import type { Bytes } from "./types.ts"

/**
 * The block for a host as a browser writes it in a candidate: dotted IPv4, IPv6 or `<uuid>.local`. An IPv4-mapped IPv6
 * address becomes family 4. Undefined for anything else, names of the DNS included.
 */
export function addressFromText(host: string, port: number): AddressBlock | undefined {
  const mdns = /^([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})\.local$/i.exec(host)
  if (mdns !== null) return { family: 0, address: fromHex(mdns.slice(1).join("")), port }
  const four = parseIpv4(host)
  if (four !== undefined) return ipv4Block(four, port)
  const six = parseIpv6(host)
  if (six === undefined) return undefined
  const mapped = toHex(six.subarray(0, 12)) === "00000000000000000000ffff"
  return mapped ? ipv4Block(six.subarray(12), port) : { family: 6, address: six, port }
}

/** The host part as text: dotted IPv4, IPv6 without abbreviation of zero groups, or `<uuid>.local`. No port. */
export function addressToText(block: AddressBlock): string {
  if (block.family === 4) return block.address.subarray(0, 4).join(".")
  const hex = toHex(block.address)
  if (block.family === 0) {
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}.local`
  }
  const groups: string[] = []
  for (let i = 0; i < 32; i += 4) groups.push(Number.parseInt(hex.slice(i, i + 4), 16).toString(16))
  return groups.join(":")
}

function ipv4Block(four: Bytes, port: number): AddressBlock {
  const address = new Uint8Array(16)
  address.set(four)
  return { family: 4, address, port }
}

function parseIpv4(text: string): Bytes | undefined {
  const parts = text.split(".")
  if (parts.length !== 4) return undefined
  const out = new Uint8Array(4)
  for (const [i, part] of parts.entries()) {
    // No leading zeros: some readers take them for octal.
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined
    out[i] = Number(part)
  }
  return out
}

function parseIpv6(text: string): Bytes | undefined {
  if (text.length > 45) return undefined
  const halves = text.split("::")
  if (halves.length > 2) return undefined
  const head = parseGroups(halves[0] ?? "")
  const tail = parseGroups(halves[1] ?? "")
  if (head === undefined || tail === undefined) return undefined
  const missing = 16 - head.length - tail.length
  // A "::" stands for at least one group; without it all eight must be there.
  if (halves.length === 2 ? missing < 2 : missing !== 0) return undefined
  const out = new Uint8Array(16)
  out.set(head, 0)
  out.set(tail, 16 - tail.length)
  return out
}

/** The bytes of colon-separated groups, the last of which may be a dotted IPv4 address. */
function parseGroups(text: string): number[] | undefined {
  if (text === "") return []
  const out: number[] = []
  const groups = text.split(":")
  for (const [i, group] of groups.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = Number.parseInt(group, 16)
      out.push(value >> 8, value & 255)
      continue
    }
    const four = i === groups.length - 1 ? parseIpv4(group) : undefined
    if (four === undefined) return undefined
    out.push(...four)
  }
  return out
}
