/** The room machine over the real MLS group: the operations fit, and the content keys agree (room.md RM-T1, RM-T7, RM-T13). */
import { expect, test } from "vitest"
import { MlsRoomGroup } from "../group/room-group.ts"
import type { EpochSecret } from "../group/types.ts"
import { createIdentity, type IdentitySigner } from "../identity/index.ts"
import { toHex } from "../wire/bytes.ts"
import { TestNetwork } from "./test-network.ts"
import type { TestNode } from "./test-node.ts"

interface RealNode {
  node: TestNode
  signer: IdentitySigner
  secrets: EpochSecret[]
}

function addReal(net: TestNetwork, label: string, signer: IdentitySigner): RealNode {
  const secrets: EpochSecret[] = []
  const group = new MlsRoomGroup({ identity: signer, sink: { epoch: (secret) => secrets.push(secret), erase: () => {} } })
  const { entityId, mlDsaPublicKey, keyId, nodeId } = signer
  const identity = {
    peer: { entityId, mlDsaPublicKey, keyId, nodeId },
    sign: (message: Uint8Array) => signer.signEd25519(message),
  }
  return { node: net.add(label, { identity, group }), signer, secrets }
}

const lastSecret = ({ secrets }: RealNode): string => toHex(secrets.at(-1)?.rootSecret ?? new Uint8Array())

test("found, join in one batch, talk, leave, reload, host removes", async () => {
  const net = new TestNetwork(100)
  const signers = await Promise.all([0, 1, 2, 3].map(() => createIdentity()))
  const a = addReal(net, "a", signers[0]!)
  await net.run(500)
  const b = addReal(net, "b", signers[1]!)
  const c = addReal(net, "c", signers[2]!)
  expect(await net.run(8_000, () => net.agreed())).toBe(true)
  expect(a.node.machine.view?.epoch).toBe(1n)
  expect(new Set([a, b, c].map(lastSecret)).size).toBe(1)
  await net.run(4_000)
  for (const { node } of [a, b, c]) {
    expect(new Set(node.saw("state").map(({ keyId }) => keyId))).toEqual(new Set([a, b, c].map((other) => other.node.keyId)))
  }
  net.feed(b.node, { type: "chat", id: new Uint8Array(16).fill(5), text: "hello" })
  await net.run(500)
  for (const { node } of [a, c])
    expect(node.saw("chat").map(({ text, keyId }) => [text, keyId])).toEqual([["hello", b.node.keyId]])

  net.closePage(c.node)
  await net.run(300)
  const again = addReal(net, "c again", signers[2]!)
  expect(await net.run(10_000, () => net.agreed())).toBe(true)
  expect(new Set([a, b, again].map(lastSecret)).size).toBe(1)

  const d = addReal(net, "d", signers[3]!)
  expect(await net.run(8_000, () => net.agreed())).toBe(true)
  const before = lastSecret(d)
  net.feed(b.node, { type: "leave" })
  expect(await net.run(5_000, () => net.agreed())).toBe(true)
  expect(lastSecret(a)).not.toBe(before)

  // The founder is the root, so it is the host (RM-18).
  net.feed(a.node, { type: "remove", keyId: d.node.keyId })
  await net.run(3_000, () => d.node.finished)
  expect(d.node.saw("failed")[0]?.error.code).toBe("Removed")
  expect(await net.run(2_000, () => net.agreed([a.node, again.node]))).toBe(true)
  expect(lastSecret(a)).toBe(lastSecret(again))
  expect(d.secrets.map(({ rootSecret }) => toHex(rootSecret))).not.toContain(lastSecret(a))
})

test("a fork is resolved by rollback over real states", async () => {
  const net = new TestNetwork(101)
  const nodes: RealNode[] = []
  for (let i = 0; i < 4; i++) {
    nodes.push(addReal(net, `n${i}`, await createIdentity()))
    await net.run(400)
  }
  expect(await net.run(10_000, () => net.agreed())).toBe(true)
  await net.run(5_000)
  const left = new Set(nodes.slice(0, 2).map(({ node }) => node))
  const heal = net.sessions.cut((x, y) => left.has(x) !== left.has(y))
  await net.run(13_500)
  expect(new Set(nodes.map(lastSecret)).size).toBe(2)
  heal()
  expect(await net.run(60_000, () => net.agreed())).toBe(true)
  expect(new Set(nodes.map(lastSecret)).size).toBe(1)
})

test("RM-12: a newcomer refreshes its leaf by an offer to the committer", async () => {
  const net = new TestNetwork(102)
  const nodes: RealNode[] = []
  for (let i = 0; i < 3; i++) {
    nodes.push(addReal(net, `n${i}`, await createIdentity()))
    await net.run(600)
  }
  expect(await net.run(10_000, () => net.agreed())).toBe(true)
  const epoch = nodes[0]!.node.machine.view!.epoch
  await net.run(65_000)
  expect(net.agreed()).toBe(true)
  // Two newcomers, two updates, each an epoch of its own.
  expect(nodes[0]!.node.machine.view!.epoch).toBe(epoch + 2n)
  expect(new Set(nodes.map(lastSecret)).size).toBe(1)
})
