/** The gateway of this machine, from the operating system's routing table, and the address of the interface that leads there. */
import { execFile } from "node:child_process"
import { createSocket } from "node:dgram"
import { readFile } from "node:fs/promises"
import { platform } from "node:os"
import { promisify } from "node:util"

const run = promisify(execFile)
/** A routing table is read in milliseconds; a program that hangs must not hang us. */
const TABLE_MS = 2_000
/** Any port does: connecting a datagram socket sends nothing. */
const DISCARD_PORT = 9

const READERS: Partial<Record<NodeJS.Platform, () => Promise<string | undefined>>> = {
  linux: async () => gatewayOfProc(await readFile("/proc/net/route", "utf8")),
  darwin: async () => gatewayOfRouteGet((await run("route", ["-n", "get", "default"], { timeout: TABLE_MS })).stdout),
  win32: async () => gatewayOfRoutePrint((await run("route", ["print", "-4", "0.0.0.0"], { timeout: TABLE_MS })).stdout),
}

/** IPv4 address of the default gateway; undefined where the system names none. Never rejects. */
export async function defaultGateway(): Promise<string | undefined> {
  try {
    return await READERS[platform()]?.()
  } catch {
    return undefined
  }
}

/** Linux: `/proc/net/route`, addresses as little-endian hex. */
export function gatewayOfProc(table: string): string | undefined {
  for (const line of table.split("\n").slice(1)) {
    const [, destination, gateway, flags] = line.trim().split(/\s+/)
    const isUp = (Number.parseInt(flags ?? "0", 16) & 3) === 3
    if (destination !== "00000000" || gateway === undefined || !isUp || !/^[0-9A-F]{8}$/i.test(gateway)) continue
    return (gateway.match(/../g) ?? [])
      .reverse()
      .map((byte) => Number.parseInt(byte, 16))
      .join(".")
  }
  return undefined
}

/** macOS: the line `gateway: 192.168.1.1` of `route -n get default`. */
export function gatewayOfRouteGet(text: string): string | undefined {
  return /^\s*gateway:\s*(\d+\.\d+\.\d+\.\d+)\s*$/m.exec(text)?.[1]
}

/** Windows: destination, mask and gateway of the default route in `route print`. */
export function gatewayOfRoutePrint(text: string): string | undefined {
  return /^\s*0\.0\.0\.0\s+0\.0\.0\.0\s+(\d+\.\d+\.\d+\.\d+)\s/m.exec(text)?.[1]
}

/** Our own address on the way to a host, as the routing table chooses it. Nothing is sent. */
export function localAddressTowards(host: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket("udp4")
    socket.once("error", (error) => {
      socket.close()
      reject(error)
    })
    socket.connect(DISCARD_PORT, host, () => {
      const { address } = socket.address()
      socket.close()
      resolve(address)
    })
  })
}
