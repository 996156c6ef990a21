/** Port mapping with the real library against gateways of our own on this machine: NAT-PMP over UDP, UPnP over HTTP. */
import { createSocket, type Socket } from "node:dgram"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { afterEach, describe, expect, test, vi } from "vitest"
import type { AvError } from "../../src/wire/errors.ts"
import { gatewayOfProc, gatewayOfRouteGet, gatewayOfRoutePrint, localAddressTowards } from "./default-gateway.ts"
import { loadMapper, type PortMapper } from "./mapper.ts"
import { openPortMapping, type PortMapping, type PortMappingState } from "./port-mapping.ts"

/** The port that the protocol fixes; the address is one of this machine that nobody else uses. */
const PMP_PORT = 5_351
const GATEWAY = "127.0.77.1"
const INTERNAL = { internalHost: "192.168.77.20", internalPort: 4_433, protocol: "udp" } as const

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface PmpAnswers {
  external?: [number, number, number, number]
  port?: number
  lease?: number
  result?: number
  silent?: boolean
}

/** A gateway that speaks NAT-PMP; what it was asked, as operation, port and lease. */
async function pmpGateway(answers: PmpAnswers): Promise<{ asked: [op: number, port: number, lease: number][] }> {
  const asked: [number, number, number][] = []
  const socket: Socket = createSocket("udp4")
  socket.on("message", (message, from) => {
    const op = message[1] as number
    const isMap = op !== 0
    asked.push(isMap ? [op, message.readUInt16BE(4), message.readUInt32BE(8)] : [op, 0, 0])
    if (answers.silent) return
    const out = Buffer.alloc(isMap ? 16 : 12)
    out[1] = op + 128
    out.writeUInt16BE(answers.result ?? 0, 2)
    if (isMap) {
      out.writeUInt16BE(message.readUInt16BE(4), 8)
      out.writeUInt16BE(answers.port ?? message.readUInt16BE(6), 10)
      out.writeUInt32BE(answers.lease ?? message.readUInt32BE(8), 12)
    } else Buffer.from(answers.external ?? [8, 8, 4, 4]).copy(out, 8)
    socket.send(out, from.port, from.address)
  })
  await new Promise<void>((resolve, reject) => {
    socket.once("error", reject)
    socket.bind(PMP_PORT, GATEWAY, resolve)
  })
  cleanups.push(() => new Promise<void>((resolve) => socket.close(() => resolve())))
  return { asked }
}

/** A gateway that speaks UPnP. The search by multicast is left out: the library is told where it is. */
async function upnpGateway(reserved: number, externalIp = "9.9.9.9"): Promise<{ mapper: PortMapper; actions: string[] }> {
  const actions: string[] = []
  const description = `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
    <deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:2</deviceType><UDN>uuid:test</UDN><serviceList><service>
    <serviceType>urn:schemas-upnp-org:service:WANIPConnection:2</serviceType><SCPDURL>/scpd</SCPDURL><controlURL>/control</controlURL>
    </service></serviceList></device></root>`
  const server: Server = createServer((request, response) => {
    response.setHeader("Content-Type", "text/xml")
    if (request.method !== "POST") return void response.end(description)
    let body = ""
    request.on("data", (part) => {
      body += part
    })
    request.on("end", () => {
      const action = /<u:(\w+)/.exec(body)?.[1] ?? ""
      const lease = /<NewLeaseDuration>(\d+)/.exec(body)?.[1]
      actions.push(lease === undefined ? action : `${action} ${lease}`)
      const inner = action === "AddAnyPortMapping" ? `<NewReservedPort>${reserved}</NewReservedPort>` : ""
      const ip = action === "GetExternalIPAddress" ? `<NewExternalIPAddress>${externalIp}</NewExternalIPAddress>` : ""
      response.end(`<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
        <u:${action}Response xmlns:u="urn:schemas-upnp-org:service:WANIPConnection:2">${inner}${ip}</u:${action}Response>
        </s:Body></s:Envelope>`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  cleanups.push(() => {
    server.closeAllConnections()
    return new Promise<void>((resolve) => server.close(() => resolve()))
  })
  const { port } = server.address() as AddressInfo
  const library = (await import("@achingbrain/nat-port-mapper")) as typeof import("@achingbrain/nat-port-mapper")
  const mapper = {
    pmpNat: library.pmpNat,
    upnpNat: (options: { autoRefresh: false }) => ({
      async *findGateways() {
        yield await library.upnpNat(options).getGateway(new URL(`http://127.0.0.1:${port}/root.xml`))
      },
    }),
  } as unknown as PortMapper
  return { mapper, actions }
}

async function open(options: Partial<Parameters<typeof openPortMapping>[0]> = {}) {
  const states: PortMappingState[] = []
  const errors: AvError[] = []
  const mapping: PortMapping = await openPortMapping({
    ...INTERNAL,
    gateway: GATEWAY,
    onChange: (state) => states.push(state),
    onUnavailable: (error) => errors.push(error),
    ...options,
  })
  cleanups.push(() => mapping.close())
  return { mapping, states, errors }
}

const until = (check: () => void) => vi.waitFor(check, { timeout: 20_000, interval: 20 })
const names = (states: PortMappingState[]) =>
  states.map(({ external, open: isOpen }) => [external && `${external.host}:${external.port}`, isOpen])

describe("a mapped port", () => {
  test("NAT-R12 over NAT-PMP: an hour is asked for, the port that was mapped is published, and it is taken back at the end", async () => {
    const gateway = await pmpGateway({ port: 41_000 })
    const { mapping, states, errors } = await open()
    await until(() => expect(names(states)).toEqual([["8.8.4.4:41000", false]]))
    expect(gateway.asked[0]).toEqual([1, 4_433, 3_600])
    expect(mapping.stats()).toEqual({ active: true, external: "8.8.4.4:41000", renewals: 0 })
    await mapping.close()
    await mapping.close()
    expect(gateway.asked.filter(([op, port, lease]) => op === 1 && port === 4_433 && lease === 0)).toHaveLength(1)
    expect([mapping.state.external, errors]).toEqual([undefined, []])
  })

  test("a lease of no time is an error, and UPnP is tried; the port there is the reserved one", async () => {
    const gateway = await pmpGateway({ lease: 0 })
    const { mapper, actions } = await upnpGateway(50_505)
    const { mapping, states } = await open({ load: async () => mapper, protocol: "tcp" })
    await until(() => expect(names(states)).toEqual([["9.9.9.9:50505", false]]))
    expect(gateway.asked[0]?.[0]).toBe(2)
    expect(actions[0]).toBe("AddAnyPortMapping 3600")
    await mapping.close()
    expect(actions.at(-1)).toBe("DeletePortMapping")
  })

  test("a gateway that says nothing is given up after a second, and one that refuses at once", async () => {
    const gateway = await pmpGateway({ silent: true })
    const { mapper } = await upnpGateway(50_506)
    const { states } = await open({ load: async () => mapper })
    await until(() => expect(names(states)).toEqual([["9.9.9.9:50506", false]]))
    expect(gateway.asked.length).toBeGreaterThan(0)
  })

  test("an external address that is not global is not published", async () => {
    await pmpGateway({ external: [100, 64, 3, 4] })
    const { mapping, states, errors } = await open()
    await until(() => expect(errors).toHaveLength(1))
    expect(errors[0]).toMatchObject({ code: "TraversalError", details: { kind: "port-map-unavailable" } })
    expect([states, mapping.stats().active]).toEqual([[], false])
  })

  test("is open only when something sent from elsewhere came through", async () => {
    await pmpGateway({})
    const asked: string[] = []
    const dialBack = async ({ host, port }: { host: string; port: number }) => {
      asked.push(`${host}:${port}`)
      return true
    }
    const { states } = await open({ dialBack })
    await until(() => expect(names(states).at(-1)).toEqual(["8.8.4.4:4433", true]))
    expect([asked, states[0]?.open]).toEqual([["8.8.4.4:4433"], false])
    await cleanups.pop()?.()
    const { states: closed } = await open({ dialBack: () => Promise.reject(new Error("nobody there")) })
    await until(() => expect(closed).toHaveLength(1))
    expect(closed[0]?.open).toBe(false)
  })
})

describe("NAT-R11", () => {
  test("an address that no gateway can send to is a TypeError before anything is sent", async () => {
    const gateway = await pmpGateway({})
    for (const internalHost of ["127.0.0.1", "0.0.0.0", "::1", "localhost"]) {
      await expect(openPortMapping({ ...INTERNAL, internalHost, gateway: GATEWAY })).rejects.toThrow(TypeError)
    }
    expect(gateway.asked).toEqual([])
  })

  test("without the library the node works on, and says what is missing", async () => {
    const load = () => loadMapper().then(() => Promise.reject(new Error("Cannot find package")))
    const { mapping, errors } = await open({ load })
    expect(errors.map(({ details }) => details.kind)).toEqual(["port-map-unavailable"])
    expect(mapping.state).toEqual({ external: undefined, open: false })
  })
})

describe("the gateway of this machine", () => {
  test("is read from the routing tables of the systems", () => {
    const linux = "Iface\tDestination\tGateway\tFlags\neth0\t0001A8C0\t00000000\t0001\neth0\t00000000\t0101A8C0\t0003\n"
    expect(gatewayOfProc(linux)).toBe("192.168.1.1")
    expect(gatewayOfProc("Iface\tDestination\tGateway\tFlags\neth0\t00000000\t0101A8C0\t0000\n")).toBeUndefined()
    expect(gatewayOfRouteGet("   route to: default\n    gateway: 10.0.0.1\n  interface: en0\n")).toBe("10.0.0.1")
    expect(gatewayOfRouteGet("route: writing to routing socket: not in table\n")).toBeUndefined()
    const windows = "Active Routes:\n  0.0.0.0          0.0.0.0      172.16.0.1     172.16.0.20     25\n"
    expect(gatewayOfRoutePrint(windows)).toBe("172.16.0.1")
    expect(gatewayOfRoutePrint("None\n")).toBeUndefined()
  })

  test("decides which of our addresses is the internal one", async () => {
    expect(await localAddressTowards("127.0.0.1")).toBe("127.0.0.1")
  })
})
