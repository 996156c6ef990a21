import { afterEach, beforeEach, describe, expect, test } from "vitest"
import { verifyLabelled } from "../src/crypto/labelled.ts"
import { createIdentity } from "../src/identity/load.ts"
import { decodeAttestation } from "../src/wire/attestation.ts"
import { equalBytes } from "../src/wire/bytes.ts"
import { keyPackageCanonicalBytes, storeRecord } from "../src/wire/key-records.ts"
import { decodeRoutedFrame, encodeRoutedFrame, ROUTED_TTL } from "../src/wire/routed.ts"
import { createRendezvousServer, type RendezvousServer } from "./rendezvous.ts"
import { once, openClient, random, type TestClient } from "./testing/client.ts"
import { describe as describeSession } from "./testing/description.ts"

describe("a server and its clients", () => {
  let server: RendezvousServer
  const opened: TestClient[] = []
  const join = async (namespace: string, options: Parameters<typeof openClient>[2] = {}) => {
    const client = await openClient(server.port, namespace, options)
    opened.push(client)
    return client
  }

  beforeEach(async () => {
    server = await createRendezvousServer({ logLevel: "silent" })
  })
  afterEach(async () => {
    for (const { client } of opened.splice(0)) client.close()
    await server.close()
  })

  test("NAT-R10: registration brings the roster and an attestation that the proven server signed", async () => {
    const ann = await join("tea")
    const first = await ann.registered
    expect(first).toMatchObject({ roster: [], registered: 1 })
    expect(ann.client.server?.loopback).toBe(true)
    expect(equalBytes(ann.client.server?.entityId ?? random(0), server.entityId)).toBe(true)
    const { attestation, signedBytes, signature } = decodeAttestation(first.attestation)
    expect(await verifyLabelled("mesh/addr/v1", signedBytes, server.entityId, signature)).toBe(true)
    expect(equalBytes(attestation.subject, ann.signer.entityId)).toBe(true)
    expect([...(attestation.addresses[0]?.address.subarray(0, 4) ?? [])]).toEqual([127, 0, 0, 1])

    const heard = once(ann.client, "rosterDelta", ({ joined }) => joined.length > 0)
    const bob = await join("tea")
    expect(await bob.registered).toMatchObject({ roster: [ann.signer.nodeId], registered: 2 })
    expect(await heard).toEqual({ joined: [bob.signer.nodeId], left: [] })
    const gone = once(ann.client, "rosterDelta", ({ left }) => left.length > 0)
    bob.client.close()
    expect(await gone).toEqual({ joined: [], left: [bob.signer.nodeId] })
  })

  test("an introduction, its answer, and trickled candidates arrive byte for byte", async () => {
    const [ann, bob] = [await join("tea"), await join("tea")]
    const { attestation } = await ann.registered
    await bob.registered
    const description = await describeSession(ann.signer, bob.signer.nodeId, 7n)
    const key8 = random(300)
    const introduced = once(bob.client, "introduce")
    expect(ann.client.connectTo(bob.signer.nodeId, { description, key8 })).toBe(true)
    expect(await introduced).toEqual({ from: ann.signer.nodeId, description, key8, attestation, ttlMs: 10_000 })

    const answer = await describeSession(bob.signer, ann.signer.nodeId, 7n, { answer: true })
    const answered = once(ann.client, "answer")
    bob.client.answer(ann.signer.nodeId, { description: answer })
    expect((await answered).description).toEqual(answer)

    const trickle = await describeSession(ann.signer, bob.signer.nodeId, 7n, { trickle: true })
    const trickled = once(bob.client, "candidates")
    ann.client.sendCandidates(bob.signer.nodeId, trickle)
    expect(await trickled).toEqual({ description: trickle })
  })

  test("NAT-R5: refusals come at once and say why, from the server and from the target", async () => {
    const [ann, bob, other] = [await join("tea"), await join("tea"), await join("coffee")]
    await Promise.all([ann.registered, bob.registered, other.registered])
    const nobody = "00000000000000aa"
    const ask = async (target: string) => {
      const rejected = once(ann.client, "reject")
      ann.client.connectTo(target, { description: await describeSession(ann.signer, target, 9n) })
      return rejected
    }
    expect(await ask(nobody)).toEqual({ target: nobody, attemptId: 9n, reason: "no-session-with-target", retryAfterMs: 0 })
    expect(await ask(other.signer.nodeId)).toMatchObject({ reason: "policy" })
    bob.client.on("introduce", () => {
      bob.client.reject({ target: bob.signer.nodeId, attemptId: 9n, reason: "target-busy", retryAfterMs: 1_500 })
    })
    const refused = { target: bob.signer.nodeId, attemptId: 9n, reason: "target-busy", retryAfterMs: 1_500 }
    expect(await ask(bob.signer.nodeId)).toEqual(refused)
  })

  test("routed frames pass with one hop less, and only in the sender's own name", async () => {
    const [ann, bob] = [await join("tea"), await join("tea")]
    await Promise.all([ann.registered, bob.registered])
    const frame = (src: string) => {
      return encodeRoutedFrame({
        src,
        dst: bob.signer.nodeId,
        ttl: ROUTED_TTL,
        counter: 3n,
        ciphertext: new Uint8Array(64).fill(5),
      })
    }
    const arrived = once(bob.client, "routed")
    ann.client.sendRouted(frame("00000000000000aa"))
    ann.client.sendRouted(frame(ann.signer.nodeId))
    const got = decodeRoutedFrame((await arrived).payload)
    expect(got).toMatchObject({ src: ann.signer.nodeId, dst: bob.signer.nodeId, ttl: ROUTED_TTL - 1, counter: 3n })
    expect(server.stats().drops["routed-source"]).toBe(1)
  })

  test("the routed budget ends a flood and says so", async () => {
    const [ann, bob] = [await join("tea"), await join("tea")]
    await Promise.all([ann.registered, bob.registered])
    let bytes = 0
    bob.client.on("routed", ({ payload }) => {
      bytes += payload.length
    })
    const rejected = once(ann.client, "reject")
    const big = { src: ann.signer.nodeId, dst: bob.signer.nodeId, ttl: ROUTED_TTL, ciphertext: new Uint8Array(10_000) }
    for (let i = 0; i < 60; i++) ann.client.sendRouted(encodeRoutedFrame({ ...big, counter: BigInt(i) }))
    expect(await rejected).toMatchObject({ target: bob.signer.nodeId, reason: "rate-limited" })
    expect((await rejected).retryAfterMs).toBeGreaterThan(0)
    await expect.poll(() => bytes).toBeGreaterThan(200_000)
    // Whatever else was let through would come right behind it.
    await new Promise((resolve) => setTimeout(resolve, 100))
    // 256 KiB, and what some seconds add again on a busy machine; not the 600 kB that were sent.
    expect(bytes).toBeLessThan(400_000)
  })

  test("the directory gives each package once, and only its owner may put it there", async () => {
    const identity = await createIdentity()
    const ann = await join("tea", { signer: identity })
    const bob = await join("tea")
    await Promise.all([ann.registered, bob.registered])
    const record = async (ref: number, lastResort: boolean) => {
      const now = BigInt(Date.now())
      const canonical = keyPackageCanonicalBytes({
        keyId: identity.keyId,
        lastResort,
        notBeforeUnixMs: now - 1_000n,
        notAfterUnixMs: now + 60_000n,
        leafSignaturePublicKey: random(32),
        keyPackageRef: new Uint8Array(32).fill(ref),
        keyPackage: random(2_500),
      })
      return storeRecord(canonical, await identity.signHybrid(canonical))
    }
    const records = [await record(1, false), await record(2, true)]
    await ann.client.putKeyPackages(records)
    expect(await bob.client.getKeyPackage(identity.keyId)).toEqual(records[0])
    expect(await bob.client.getKeyPackage(identity.keyId)).toEqual(records[1])
    expect(await bob.client.getKeyPackage(identity.keyId)).toEqual(records[1])
    await expect(bob.client.getKeyPackage("mk1nobody")).rejects.toMatchObject({ code: "KeyPackageUnavailable" })
    await expect(bob.client.putKeyPackages(records)).rejects.toMatchObject({ code: "KeyPackageMismatch" })
    const forged = (await record(3, false)).slice()
    forged[200] = (forged[200] ?? 0) ^ 1
    await expect(ann.client.putKeyPackages([forged])).rejects.toMatchObject({ code: "KeyPackageSignatureInvalid" })
  })

  test("a lost socket comes back by itself and nobody hears of it", async () => {
    const sockets: { terminate(): void }[] = []
    const { WebSocket } = await import("ws")
    const openSocket = (url: string) => {
      const socket = new WebSocket(url)
      sockets.push(socket)
      return socket
    }
    const ann = await join("tea")
    const bob = await join("tea", { openSocket })
    await Promise.all([ann.registered, bob.registered])
    await once(ann.client, "rosterDelta", ({ joined }) => joined.includes(bob.signer.nodeId))
    const deltas: unknown[] = []
    ann.client.on("rosterDelta", (delta) => deltas.push(delta))
    const lost = once(bob.client, "state", ({ state }) => state === "waiting")
    sockets[0]?.terminate()
    expect((await lost).error?.code).toBe("ServerUnreachable")
    expect(await once(bob.client, "registered")).toMatchObject({ roster: [ann.signer.nodeId], registered: 2 })
    await new Promise((resolve) => setTimeout(resolve, 400))
    expect(deltas).toEqual([])
  })

  test("the same entity on a second socket takes the place of the first", async () => {
    const ann = await join("tea")
    await ann.registered
    const replaced = once(ann.client, "state", ({ state }) => state === "waiting")
    const again = await join("tea", { signer: ann.signer })
    expect(await again.registered).toMatchObject({ roster: [], registered: 1 })
    expect((await replaced).error).toMatchObject({ code: "ServerRefused", details: { reason: "identity" } })
    expect(server.stats()).toMatchObject({ registered: 1, rooms: 1 })
  })

  test("another entity than the expected one is refused for good", async () => {
    const ann = await join("tea", { expectedEntity: random(32) })
    const end = await once(ann.client, "state", ({ state }) => state === "closed")
    expect(end.error?.code).toBe("ServerIdentityMismatch")
  })

  test("a bad room name ends the client with the reason", async () => {
    const ann = await join("Not A Room")
    const rejected = once(ann.client, "reject")
    const end = once(ann.client, "state", ({ state }) => state === "closed")
    expect(await rejected).toMatchObject({ target: undefined, attemptId: 0n, reason: "bad-namespace" })
    expect((await end).error).toMatchObject({ code: "ServerRefused", details: { reason: "bad-namespace" } })
  })

  test("a server that stops says so, and the client comes back to its successor", async () => {
    const ann = await join("tea")
    await ann.registered
    const waiting = once(ann.client, "state", ({ state }) => state === "waiting")
    const { port } = server
    await server.close()
    expect((await waiting).error).toMatchObject({ code: "ServerRefused", details: { reason: "draining" } })
    expect(ann.client.attestation).toBeDefined()
    expect(ann.client.connectTo("00000000000000aa", { description: random(10) })).toBe(false)
    server = await createRendezvousServer({ port, logLevel: "silent" })
    const back = once(ann.client, "registered")
    ann.client.retryNow()
    expect(await back).toMatchObject({ registered: 1 })
  })

  test("two hundred clients in one room all find each other", async () => {
    const all = await Promise.all(Array.from({ length: 200 }, () => join("crowd")))
    const seen = all.map(() => new Set<string>())
    for (const [i, { client }] of all.entries()) {
      client.on("registered", ({ roster }) => roster.map((node) => seen[i]?.add(node)))
      client.on("rosterDelta", ({ joined }) => joined.map((node) => seen[i]?.add(node)))
    }
    await Promise.all(all.map(({ registered }) => registered))
    await expect.poll(() => seen.filter((nodes) => nodes.size === 199).length, { timeout: 20_000 }).toBe(200)
    expect(server.stats()).toMatchObject({ sessions: 200, registered: 200, rooms: 1 })
  })
})
