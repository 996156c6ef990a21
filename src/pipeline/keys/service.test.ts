/** The keys worker's service behind a real comlink border. */
import * as Comlink from "comlink"
import { afterEach, describe, expect, test } from "vitest"
import { hybridVerify } from "../../crypto/hybrid.ts"
import { createIdentity } from "../../identity/index.ts"
import { utf8Encode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import { installErrorTransfer } from "../errors.ts"
import type { MeshKeysMessage } from "../mesh/types.ts"
import { remoteGroup, remoteSigner } from "./client.ts"
import { KeysService } from "./service.ts"
import type { KeysApi } from "./types.ts"

const NOW = 1_750_000_000_000
const ROOM_ID = new Uint8Array(32).fill(3)
const ports: MessagePort[] = []
let released = 0

function startWorker(): { keys: Comlink.Remote<KeysApi>; mesh: MeshKeysMessage[] } {
  installErrorTransfer()
  const border = new MessageChannel()
  const toMesh = new MessageChannel()
  ports.push(border.port1, border.port2, toMesh.port1, toMesh.port2)
  const service = new KeysService(async () => ({
    signer: await createIdentity(),
    persistent: false,
    release: () => {
      released++
    },
  }))
  Comlink.expose(service, border.port2)
  const keys = Comlink.wrap<KeysApi>(border.port1)
  const mesh: MeshKeysMessage[] = []
  toMesh.port2.onmessage = (event: MessageEvent<MeshKeysMessage>) => mesh.push(event.data)
  void keys.setMeshPort(Comlink.transfer(toMesh.port1, [toMesh.port1]))
  return { keys, mesh }
}

afterEach(() => {
  for (const port of ports.splice(0)) port.close()
})

describe("keys service", () => {
  test("errors cross the border with code and details", async () => {
    const { keys } = startWorker()
    const early = await keys.signEd25519(new Uint8Array()).catch((error: unknown) => error)
    expect(early).toBeInstanceOf(AvError)
    expect(early).toMatchObject({ code: "UsageError", details: { why: "keys worker is not started" } })
    await keys.start({ persistent: false })
    const group = await remoteGroup(keys)
    await group.found(ROOM_ID, NOW)
    const unknown = await group.restoreEpoch(9n).catch((error: unknown) => error)
    expect(unknown).toMatchObject({ name: "UnknownEpoch", code: "UnknownEpoch", details: { epoch: 9n } })
  })

  test("the signer signs with keys that stay inside", async () => {
    const { keys } = startWorker()
    const identity = await keys.start()
    expect(await keys.start()).toEqual(identity)
    const signer = remoteSigner(keys, identity)
    const message = utf8Encode("hello")
    const signature = await signer.signHybrid(message)
    const peer = { entityId: identity.entityId, mlDsa65: identity.mlDsaPublicKey }
    expect(await hybridVerify({ ed25519: peer.entityId, mlDsa65: peer.mlDsa65 }, message, signature)).toBe(true)
    expect(await keys.verifyHybrid(peer, message, signature)).toBe(true)
    expect(await keys.verifyHybrid(peer, utf8Encode("other"), signature)).toBe(false)
  })

  test("content keys reach the mesh port only, and erase follows the end", async () => {
    const { keys, mesh } = startWorker()
    await keys.start()
    const group = await remoteGroup(keys)
    const view = await group.found(ROOM_ID, NOW)
    expect(view.members).toHaveLength(1)
    const staged = await group.stageCommit({ now: NOW })
    const change = await group.confirm(staged.token, NOW)
    expect(change.view.epoch).toBe(1n)
    await keys.close()
    await keys.close()
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(mesh.map((m) => (m.type === "epoch" ? [m.epoch, m.members, m.sealNow] : m.type))).toEqual([
      [0n, 1, true],
      [1n, 1, false],
      "erase",
    ])
    const secrets = mesh.flatMap((m) => (m.type === "epoch" ? [m.rootSecret] : []))
    expect(secrets.every((secret) => secret.length === 32 && secret.some((byte) => byte !== 0))).toBe(true)
    expect(released).toBeGreaterThan(0)
    await expect(keys.start()).rejects.toMatchObject({ code: "HandleClosedError" })
  })
})
