/** Our commits and Welcomes with an unchanged ts-mls on the other side, and a pre-shared key in a PrivateMessage. */

import { defaultClientConfig } from "ts-mls/clientConfig.js"
import { type ClientState, joinGroup, makePskIndex } from "ts-mls/clientState.js"
import { createCommit } from "ts-mls/createCommit.js"
import { acceptAll } from "ts-mls/incomingMessageAction.js"
import { encodeMlsMessage } from "ts-mls/message.js"
import { processMessage } from "ts-mls/processMessages.js"
import type { Proposal } from "ts-mls/proposal.js"
import { emptyPskIndex } from "ts-mls/pskIndex.js"
import { bytesToBase64 } from "ts-mls/util/byteArray.js"
import { expect, test } from "vitest"
import { isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { MlsEngine } from "./engine.ts"
import { decodeMessage } from "./message.ts"
import { readWelcome } from "./welcome.ts"

const NOW = 1_750_000_000_000
const engine = new MlsEngine()

async function processStock(state: ClientState, commit: Bytes): Promise<ClientState> {
  const message = decodeMessage(commit)
  if (message.wireformat !== "mls_private_message") throw new Error("not private")
  const { newState } = await processMessage(message, state, emptyPskIndex, acceptAll, engine.suite)
  return newState
}

test("stock member: welcome, add, update, remove, and its own commits", async () => {
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => engine.mint(name, NOW)))
  if (a === undefined || b === undefined || c === undefined) throw new Error("no packages")
  const made = await engine.commit(await engine.create(new Uint8Array(32), a), { adds: [b.keyPackage] })
  const welcome = readWelcome(made.welcome as Bytes)
  let stock = await joinGroup(welcome, b.keyPackage, b.privateKeys, emptyPskIndex, engine.suite, undefined, undefined, {
    ...defaultClientConfig,
  })
  let ours = made.next
  const agree = () => expect(stock.keySchedule.epochAuthenticator).toEqual(ours.keySchedule.epochAuthenticator)
  agree()
  const add = await engine.commit(ours, { adds: [c.keyPackage] })
  stock = await processStock(stock, add.bytes)
  ours = add.next
  agree()
  const update = await engine.commit(ours, {})
  stock = await processStock(stock, update.bytes)
  ours = update.next
  agree()
  const theirs = await createCommit({ state: stock, cipherSuite: engine.suite }, {})
  ours = await engine.process(ours, encodeMlsMessage(theirs.commit))
  stock = theirs.newState
  agree()
  const remove = await engine.commit(ours, { removes: [2] })
  stock = await processStock(stock, remove.bytes)
  ours = remove.next
  agree()
})

test("a pre-shared key named in a PrivateMessage is looked up", async () => {
  const [a, b] = await Promise.all(["a", "b"].map((name) => engine.mint(name, NOW)))
  if (a === undefined || b === undefined) throw new Error("no packages")
  const made = await engine.commit(await engine.create(new Uint8Array(32), a), { adds: [b.keyPackage] })
  const welcome = readWelcome(made.welcome as Bytes)
  const stock = await joinGroup(welcome, b.keyPackage, b.privateKeys, emptyPskIndex, engine.suite)
  const pskId = new Uint8Array([1, 2, 3])
  const psk = new Uint8Array(32).fill(8)
  const proposal: Proposal = {
    proposalType: "psk",
    psk: { preSharedKeyId: { psktype: "external", pskId, pskNonce: new Uint8Array(32) } },
  }
  const psks = makePskIndex(stock, { [bytesToBase64(pskId)]: psk })
  const commit = await createCommit({ state: stock, cipherSuite: engine.suite, pskIndex: psks }, { extraProposals: [proposal] })
  const bytes = encodeMlsMessage(commit.commit)
  const next = await engine.process(made.next, bytes, psks)
  expect(next.keySchedule.epochAuthenticator).toEqual(commit.newState.keySchedule.epochAuthenticator)
  await expect(engine.process(made.next, bytes)).rejects.toSatisfy((error) => isAvError(error, "ProcessFailed"))
})
