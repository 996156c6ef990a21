/** The server's STUN observers over real UDP: what they answer, what members learn by REFLEX_QUERY, and what is attested by it. */
import { spawn } from "node:child_process"
import { createSocket, type Socket } from "node:dgram"
import { networkInterfaces } from "node:os"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterEach, describe, expect, test } from "vitest"
import { type AddressBlock, addressFromText, addressToText } from "../src/wire/address.ts"
import { decodeAttestation } from "../src/wire/attestation.ts"
import { toHex } from "../src/wire/bytes.ts"
import { decodeBindingResponse, encodeBindingRequest } from "../src/wire/stun.ts"
import { createRendezvousServer, type RendezvousServer, type RendezvousServerOptions } from "./rendezvous.ts"
import { once, openClient, openRaw, random } from "./testing/client.ts"

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(options: RendezvousServerOptions): Promise<RendezvousServer> {
  const server = await createRendezvousServer({ logLevel: "silent", ...options })
  closing.push(() => server.close())
  return server
}

const listeners = (...hosts: string[]) => hosts.map((host) => ({ host, port: 0 }))

class Asker {
  readonly socket: Socket
  /** Who answered, and what. */
  readonly heard: { from: string; mapped: AddressBlock; transaction: string }[] = []
  constructor(family: "udp4" | "udp6") {
    this.socket = createSocket(family)
    this.socket.on("message", (bytes, { address }) => {
      const answer = decodeBindingResponse(new Uint8Array(bytes))
      if (answer !== undefined) this.heard.push({ from: address, mapped: answer.mapped, transaction: toHex(answer.transaction) })
    })
    closing.push(() => this.socket.close())
  }

  static async open(host: string): Promise<Asker> {
    const asker = new Asker(host.includes(":") ? "udp6" : "udp4")
    await new Promise<void>((resolve) => asker.socket.bind(0, host, resolve))
    return asker
  }

  get address(): AddressBlock {
    const { address, port } = this.socket.address()
    return addressFromText(address, port)!
  }

  /** Undefined after 300 ms without an answer. */
  async ask(
    place: { host: string; port: number } | undefined,
    fromElsewhere = false,
  ): Promise<Asker["heard"][number] | undefined> {
    const transaction = random(12)
    this.socket.send(encodeBindingRequest({ transaction, fromElsewhere }), place!.port, place!.host)
    for (let i = 0; i < 30; i++) {
      const answer = this.heard.find((one) => one.transaction === toHex(transaction))
      if (answer !== undefined) return answer
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    return undefined
  }
}

const join = async (server: RendezvousServer) => {
  const { client, registered, signer } = await openClient(server.port, "tea")
  closing.push(() => client.close())
  const ice = once(client, "ice")
  await registered
  return { client, signer, ice: await ice }
}

describe("STUN observers of the server", () => {
  test("NAT-R10: answer with the live source; members hear of them, and ask which saw an address", async () => {
    const own = { urls: "turn:turn.example", username: "u", credential: "c" }
    const iceFor = () => ({ servers: [own], relayAllow: [], ttlMs: 60_000 })
    const server = await start({ stun: listeners("127.0.0.1", "127.0.0.2"), iceFor })
    const { client, ice } = await join(server)
    const urls = server.stun.map(({ host, port }) => ({ urls: `stun:${host}:${port}` }))
    expect(ice.servers).toEqual([...urls, own])
    const asker = await Asker.open("127.0.0.1")
    expect(await asker.ask(server.stun[0])).toMatchObject({ from: "127.0.0.1", mapped: asker.address })
    expect(await asker.ask(server.stun[1])).toMatchObject({ from: "127.0.0.2", mapped: asker.address })
    const silent = { ...asker.address, port: 1 }
    expect(await client.queryReflex([silent, asker.address])).toEqual([
      { address: asker.address, observerIndex: 0 },
      { address: asker.address, observerIndex: 1 },
    ])
    // Somebody else who names it is told nothing.
    const eve = await join(server)
    expect(await eve.client.queryReflex([asker.address])).toEqual([])
    expect(server.stats()).toMatchObject({ stunAnswers: 2, dialBacks: 0, drops: { reflex_claim_conflict: 1 } })
  })

  test("NAT-R8: send an answer from elsewhere only where a member was attested", async () => {
    const server = await start({ stun: listeners("127.0.0.1", "127.0.0.2") })
    const asker = await Asker.open("127.0.0.1")
    expect(await asker.ask(server.stun[0], true)).toBeUndefined()
    const { client } = await join(server)
    expect(await asker.ask(server.stun[0], true)).toMatchObject({ from: "127.0.0.2", mapped: asker.address })
    const stranger = await Asker.open("127.0.0.9")
    expect(await stranger.ask(server.stun[0], true)).toBeUndefined()
    client.close()
    await expect.poll(() => server.stats().sessions).toBe(0)
    const later = await Asker.open("127.0.0.1")
    expect(await later.ask(server.stun[0], true)).toBeUndefined()
    expect(server.stats()).toMatchObject({ dialBacks: 1, drops: { "dial-back-unattested": 3 } })
  })

  test("NAT-R5: questions have budgets, and the refusal says how long to wait", async () => {
    const server = await start({ stun: listeners("127.0.0.1", "127.0.0.2") })
    const { client } = await join(server)
    const asker = await Asker.open("127.0.0.1")
    for (let i = 0; i < 6; i++) expect(await client.queryReflex([asker.address])).toEqual([])
    const refused = await client.queryReflex([asker.address]).catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: "TraversalError", details: { kind: "rendezvous-rejected", reason: "rate-limited" } })
    const answers = await Promise.all(Array.from({ length: 25 }, () => asker.ask(server.stun[0])))
    expect(answers.filter((answer) => answer !== undefined)).toHaveLength(20)
    expect(server.stats().drops).toMatchObject({ "reflex-budget": 1, "stun-budget": 5 })
  })

  /** A member whose socket uses IPv4, three observers, and what is attested to the member next. */
  async function memberOverFour(allowObservedMismatch: boolean) {
    const stun = ["2600::1", "2600::2"].map((publicHost) => ({ host: "::1", port: 0, publicHost }))
    const server = await start({ stun: [...stun, { host: "127.0.0.1", port: 0 }], allowObservedMismatch })
    const six = { host: "::1", port: server.stun[0]!.port }
    const raw = await openRaw(server.port)
    closing.push(() => raw.socket.close())
    raw.say({ kind: "register", namespace: "tea" })
    const attested = async () => {
      const { attestation } = await raw.take("attest")
      return decodeAttestation(attestation).attestation.addresses.map(addressToText)
    }
    expect(await attested()).toEqual(["127.0.0.1"])
    const query = async (addresses: AddressBlock[]) => {
      raw.say({ kind: "reflex-query", addresses, queryId: 1n })
      return (await raw.take("reflex-reply")).entries
    }
    return { raw, query, attested, six, four: server.stun[2] }
  }

  const hasSix = Object.values(networkInterfaces()).some((list) => list?.some(({ address }) => address === "::1"))
  test.runIf(hasSix)("an address of the other family is attested after it was seen, and may be called back", async () => {
    const { raw, query, attested, six, four } = await memberOverFour(false)
    const [other, same] = [await Asker.open("::1"), await Asker.open("127.0.0.7")]
    await same.ask(four)
    expect(await query([same.address])).toEqual([{ address: same.address, observerIndex: 2 }])
    expect(await other.ask(six, true)).toBeUndefined()
    await other.ask(six)
    expect(await query([other.address])).toEqual([{ address: other.address, observerIndex: 0 }])
    expect(await attested()).toEqual(["127.0.0.1", "0:0:0:0:0:0:0:1"])
    expect(await other.ask(six, true)).toMatchObject({ mapped: other.address })
    // A refresh keeps it.
    raw.say({ kind: "register", namespace: "tea" })
    expect(await attested()).toHaveLength(2)
  })

  test.runIf(hasSix)("another address of the same family is attested only where that is wanted", async () => {
    const { query, attested, four } = await memberOverFour(true)
    const same = await Asker.open("127.0.0.7")
    await same.ask(four)
    await query([same.address])
    expect(await attested()).toEqual(["127.0.0.1", "127.0.0.7"])
  })

  test("are refused where members could not tell which one answers", async () => {
    for (const host of ["0.0.0.0", "::", "stun.example"]) {
      await expect(createRendezvousServer({ stun: listeners(host), logLevel: "silent" })).rejects.toMatchObject({
        code: "UsageError",
      })
    }
    const server = await start({ stun: listeners("127.0.0.1") })
    const taken = [{ host: "127.0.0.1", port: server.stun[0]!.port }]
    await expect(createRendezvousServer({ stun: taken, logLevel: "silent" })).rejects.toMatchObject({ code: "EADDRINUSE" })
  })

  test("are started from the command line", async () => {
    const main = fileURLToPath(new URL("./main.ts", import.meta.url))
    const run = (...stun: string[]) =>
      spawn(process.execPath, ["--import", "tsx", main, "serve", "--port", "0", "--stun", ...stun])
    const server = run("127.0.0.1:0", "127.0.0.2:0")
    closing.push(() => server.kill("SIGKILL"))
    const lines = createInterface({ input: server.stdout })
    const places: { host: string; port: number }[] = []
    for await (const line of lines) {
      const [, host = "", port] = /^STUN is answered at (127\.0\.0\.1):(\d+)\.$/.exec(line) ?? []
      if (port !== undefined) places.push({ host, port: Number(port) })
      if (line.startsWith("Stop it")) break
    }
    const asker = await Asker.open("127.0.0.1")
    expect(await asker.ask(places[0])).toMatchObject({ mapped: asker.address })
    const refused = run("stun.example")
    expect(await new Promise((resolve) => refused.on("close", resolve))).not.toBe(0)
  })
})
