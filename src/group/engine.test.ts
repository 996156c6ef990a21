/** The engine's own rules: the suite, what ts-mls gets wrong and we do not, and what hostile bytes may do. */
import fc from "fast-check"
import { decryptWithLabel } from "ts-mls/crypto/hpke.js"
import { createConfirmationTag, createContentCommitSignature } from "ts-mls/framedContent.js"
import { encodeGroupContext } from "ts-mls/groupContext.js"
import type { Proposal } from "ts-mls/proposal.js"
import type { RatchetTree } from "ts-mls/ratchetTree.js"
import { treeHashRoot } from "ts-mls/treeHash.js"
import { beforeAll, describe, expect, test, vi } from "vitest"
import { toHex, utf8Encode } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { MlsEngine } from "./engine.ts"
import { hpkeOpen, hpkeReceiveExport, hpkeSeal, hpkeSendExport } from "./hpke.ts"
import { type OwnKeyPackage, readKeyPackage } from "./key-package.ts"
import { decodeMessage, sealCommit } from "./message.ts"
import { readMessageHead } from "./message-head.ts"
import type { GroupState } from "./state.ts"
import { CIPHERSUITE_ID } from "./suite.ts"
import { checkUnmergedLeaves } from "./tree.ts"
import { readWelcome } from "./welcome.ts"

// Key generation is slow, and slower still on a busy machine.
vi.setConfig({ hookTimeout: 60_000 })

const NOW = 1_750_000_000_000
const FUZZ = { numRuns: 10_000 }
const engine = new MlsEngine()
let founder: GroupState
let second: GroupState
let third: GroupState
let welcome: Bytes
let sample: OwnKeyPackage

beforeAll(async () => {
  const [a, b, c] = (await Promise.all(["a", "b", "c"].map((name) => engine.mint(name, NOW)))) as [
    OwnKeyPackage,
    OwnKeyPackage,
    OwnKeyPackage,
  ]
  sample = a
  const made = await engine.commit(await engine.create(new Uint8Array(32), a), { adds: [b.keyPackage, c.keyPackage] })
  welcome = made.welcome as Bytes
  founder = made.next
  second = (await engine.join(welcome, b)).state
  third = (await engine.join(welcome, c)).state
})

/** A commit as somebody would send it who keeps to nothing: no path, tag over nothing. */
async function forgeWithoutPath(state: GroupState, proposals: Proposal[]): Promise<Bytes> {
  const { suite } = engine
  const { framedContent, signature } = await createContentCommitSignature(
    state.context,
    "mls_private_message",
    { proposals: proposals.map((proposal) => ({ proposalOrRefType: "proposal", proposal })), path: undefined },
    { senderType: "member", leafIndex: state.privatePath.leafIndex },
    new Uint8Array(),
    state.signatureKey,
    suite.signature,
  )
  const confirmationTag = await createConfirmationTag(state.keySchedule.confirmationKey, new Uint8Array(32), suite.hash)
  return (await sealCommit(state, framedContent, { contentType: "commit", signature, confirmationTag }, suite)).bytes
}

async function whyRefused(state: GroupState, commit: Bytes): Promise<unknown> {
  const error = await engine.process(state, commit).then(
    () => undefined,
    (cause: unknown) => cause,
  )
  expect(isAvError(error, "ProcessFailed"), String(error)).toBe(true)
  return isAvError(error) ? error.details.why : undefined
}

describe("suite 0x004D", () => {
  test("by number on the wire, by parts inside", () => {
    expect(CIPHERSUITE_ID).toBe(0x004d)
    expect(toHex(sample.bytes.subarray(0, 8))).toBe("000100050001004d")
    expect(sample.keyPackage.initKey).toHaveLength(1216)
    expect(sample.privateKeys.initPrivateKey).toHaveLength(32)
  })

  test("HPKE: round trip, export, and nothing opens with anything changed", async () => {
    const { privateKeys, keyPackage } = sample
    const [info, aad, text] = ["info", "aad", "text"].map(utf8Encode) as [Bytes, Bytes, Bytes]
    const { enc, ciphertext } = await hpkeSeal(keyPackage.initKey, info, aad, text)
    expect(enc).toHaveLength(1120)
    const open = (e: Bytes, i: Bytes, a: Bytes, c: Bytes) => hpkeOpen(privateKeys.initPrivateKey, e, i, a, c)
    expect(await open(enc, info, aad, ciphertext)).toEqual(text)
    const changed = enc.slice()
    changed[3] = (changed[3] as number) ^ 1
    for (const attempt of [
      () => open(changed, info, aad, ciphertext),
      () => open(enc, aad, aad, ciphertext),
      () => open(enc, info, info, ciphertext),
    ]) {
      await expect(attempt()).rejects.toSatisfy((error) => isAvError(error, "DecodeFailed"))
    }
    await expect(open(enc.slice(1), info, aad, ciphertext)).rejects.toSatisfy((error) => isAvError(error, "DecodeFailed"))
    const sent = await hpkeSendExport(keyPackage.initKey, info, aad, 48)
    expect(await hpkeReceiveExport(privateKeys.initPrivateKey, sent.enc, info, aad, 48)).toEqual(sent.secret)
  })
})

describe("commits that must carry a path", () => {
  test("a Remove without one is refused", async () => {
    const commit = await forgeWithoutPath(founder, [{ proposalType: "remove", remove: { removed: 1 } }])
    expect(await whyRefused(third, commit)).toBe("path is missing")
  })

  test("changed group extensions without one are refused", async () => {
    const proposal: Proposal = { proposalType: "group_context_extensions", groupContextExtensions: { extensions: [] } }
    expect(await whyRefused(second, await forgeWithoutPath(founder, [proposal]))).toBe("path is missing")
  })

  test("an empty commit without one is refused", async () => {
    expect(await whyRefused(second, await forgeWithoutPath(founder, []))).toBe("path is missing")
  })

  test("adds alone may come without one from other stacks, ours always has one", async () => {
    const own = await engine.mint("d", NOW)
    const bare = await engine.commit(founder, { adds: [own.keyPackage] }, { forcePath: false })
    const next = await engine.process(second, bare.bytes)
    expect(next.keySchedule.epochAuthenticator).toEqual(bare.next.keySchedule.epochAuthenticator)
    const withPath = await engine.commit(founder, { adds: [own.keyPackage] })
    const opened = await engine.open(second, withPath.bytes)
    expect(opened.content.content.commit.path).toBeDefined()
    const joined = await engine.join(bare.welcome as Bytes, own)
    expect(joined.state.keySchedule.epochAuthenticator).toEqual(next.keySchedule.epochAuthenticator)
  })
})

describe("proposals that are never accepted", () => {
  test.each<[string, Proposal]>([
    ["proposal for a blank leaf", { proposalType: "remove", remove: { removed: 9 } }],
    ["committer removes itself", { proposalType: "remove", remove: { removed: 0 } }],
    ["proposal type external_init", { proposalType: "external_init", externalInit: { kemOutput: new Uint8Array(1) } }],
    ["proposal type 4660", { proposalType: 0x1234, proposalData: new Uint8Array() }],
  ])("%s", async (why, proposal) => {
    expect(await whyRefused(second, await forgeWithoutPath(founder, [proposal]))).toBe(why)
  })
})

describe("a removed member", () => {
  test("opens none of the path's secrets with any key it holds", async () => {
    const made = await engine.commit(founder, { removes: [1] })
    const opened = await engine.open(second, made.bytes)
    const nodes = opened.content.content.commit.path?.nodes ?? []
    const ciphertexts = nodes.flatMap(({ encryptedPathSecret }) => encryptedPathSecret)
    const context = encodeGroupContext({
      ...founder.context,
      epoch: founder.context.epoch + 1n,
      treeHash: await treeHashRoot(made.next.tree, engine.suite.hash),
    })
    const openedBy = async (state: GroupState) => {
      let count = 0
      for (const seed of Object.values(state.privatePath.privateKeys)) {
        const key = await engine.suite.hpke.importPrivateKey(seed)
        for (const { kemOutput, ciphertext } of ciphertexts) {
          const plain = await decryptWithLabel(key, "UpdatePathNode", context, kemOutput, ciphertext, engine.suite.hpke).catch(
            () => undefined,
          )
          if (plain !== undefined) count++
        }
      }
      return count
    }
    expect(await openedBy(second)).toBe(0)
    expect(await openedBy(third)).toBe(1)
    const forced = engine.apply(second, { ...opened, removesMe: false })
    await expect(forced).rejects.toSatisfy((error) => isAvError(error, "ProcessFailed"))
  })
})

describe("unmerged leaves of a received tree", () => {
  const leaf = () => ({ nodeType: "leaf", leaf: sample.keyPackage.leafNode }) as const
  const parent = (unmergedLeaves: number[]) =>
    ({ nodeType: "parent", parent: { hpkePublicKey: new Uint8Array(1), parentHash: new Uint8Array(), unmergedLeaves } }) as const
  const tree = (nodes: Record<number, ReturnType<typeof leaf> | ReturnType<typeof parent>>): RatchetTree =>
    Array.from({ length: 7 }, (_, i) => nodes[i])

  test("an entry above blank or listing nodes is fine, and nodes above it need not list it", () => {
    const all = { 0: leaf(), 2: leaf(), 4: leaf(), 6: leaf() }
    expect(() => checkUnmergedLeaves(tree({ ...all, 3: parent([3]) }))).not.toThrow()
    expect(() => checkUnmergedLeaves(tree({ ...all, 3: parent([1, 3]), 5: parent([3]) }))).not.toThrow()
    expect(() => checkUnmergedLeaves(tree({ ...all, 1: parent([]), 5: parent([3]), 3: parent([]) }))).not.toThrow()
  })

  test("blank, foreign, unlisted, unordered entries are refused", () => {
    const all = { 0: leaf(), 2: leaf(), 4: leaf(), 6: leaf() }
    expect(() => checkUnmergedLeaves(tree({ 0: leaf(), 4: leaf(), 3: parent([1]) }))).toThrow(/blank/)
    expect(() => checkUnmergedLeaves(tree({ ...all, 1: parent([2]) }))).toThrow(/descendant/)
    expect(() => checkUnmergedLeaves(tree({ ...all, 3: parent([3]), 5: parent([]) }))).toThrow(/listed/)
    expect(() => checkUnmergedLeaves(tree({ ...all, 3: parent([3, 1]) }))).toThrow(/ascending/)
    expect(() => checkUnmergedLeaves(tree({ ...all, 3: parent([77]) }))).toThrow(/blank/)
  })
})

describe("hostile bytes", () => {
  const typed = (run: () => unknown) => {
    try {
      run()
    } catch (error) {
      return isAvError(error)
    }
    return true
  }
  /** Random bytes, and good messages with a few bytes changed or cut off. */
  const damaged = (good: () => Bytes[]) =>
    fc.oneof(
      fc.uint8Array({ maxLength: 96 }),
      fc
        .record({
          pick: fc.nat(),
          edits: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
          cut: fc.option(fc.nat(), { nil: undefined }),
        })
        .map(({ pick, edits, cut }) => {
          const all = good()
          const bytes = (all[pick % all.length] as Bytes).slice()
          for (const [at, value] of edits) bytes[at % Math.min(bytes.length, 200)] = value
          return cut === undefined ? bytes : bytes.subarray(0, cut % bytes.length)
        }),
    )

  test("message head", () => {
    fc.assert(
      fc.property(
        damaged(() => [welcome.subarray(0, 200), new Uint8Array(48).fill(1)]),
        (bytes) => typed(() => readMessageHead(bytes)),
      ),
      FUZZ,
    )
  })

  test("MLSMessage, KeyPackage, Welcome", () => {
    fc.assert(
      fc.property(
        damaged(() => [sample.bytes, welcome]),
        (bytes) => {
          return typed(() => decodeMessage(bytes)) && typed(() => readKeyPackage(bytes)) && typed(() => readWelcome(bytes))
        },
      ),
      FUZZ,
    )
  }, 60_000)

  test("a damaged commit, message or Welcome is refused by name and changes nothing", async () => {
    const commit = await engine.commit(founder, { removes: [2] })
    const text = await engine.protect(founder, utf8Encode("hello"))
    const own = await engine.mint("e", NOW)
    for (let at = 0; at < commit.bytes.length; at += 97) {
      const bytes = commit.bytes.slice()
      bytes[at] = (bytes[at] as number) ^ 0x40
      await expect(engine.process(second, bytes)).rejects.toSatisfy((error) => isAvError(error))
      await expect(engine.openContent(second, bytes)).rejects.toSatisfy((error) => isAvError(error))
    }
    for (let at = 0; at < text.bytes.length; at += 5) {
      const bytes = text.bytes.slice()
      bytes[at] = (bytes[at] as number) ^ 0x01
      await expect(engine.openContent(second, bytes)).rejects.toSatisfy((error) => isAvError(error))
    }
    for (let at = 0; at < welcome.length; at += 211) {
      const bytes = welcome.slice()
      bytes[at] = (bytes[at] as number) ^ 0x10
      await expect(engine.join(bytes, own)).rejects.toSatisfy((error) => isAvError(error))
    }
    expect(await engine.process(second, commit.bytes)).toBeDefined()
  })
})
