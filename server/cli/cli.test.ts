/** CLI-R1 to CLI-R12: the operator's commands as somebody runs them, from the built program. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { decodeAnnouncement, isAnnouncementSigned, parseAnnouncementJson } from "../../src/capability/index.ts"
import { isCertLive, verifyFloorRecord, verifyMembershipCert } from "../../src/identity/index.ts"
import { openNodeLog } from "../../src/store/log/node.ts"
import { ChainVerifier, channelHash, SCOPE } from "../../src/token/index.ts"
import { fromHex, toHex } from "../../src/wire/bytes.ts"
import { Program, refusal } from "../testing/program.ts"

const folder = mkdtempSync(join(tmpdir(), "holomesh-cli-"))
/** RFC 8032 test 1, and the names that follow from it. */
const SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
const ENTITY = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
const NODE = "652f03ba688dde03"
const key = join(folder, "key.toml")
let program: Program
const run = (...args: string[]) => program.run(...args)
const announce = (...args: string[]) => run("cap", "announce", "--key", key, "--tag", "nrpc:echo", ...args)
const at = (name: string) => join(folder, name)

beforeAll(async () => {
  program = await Program.build("cli")
  writeFileSync(key, `seed_hex = "${SEED}"\ngeneration = 3\nlast_version = 0\ncreated = "2026-01-01T00:00:00.000Z"\n`, {
    mode: 0o600,
  })
}, 60_000)

afterAll(() => {
  program?.close()
  rmSync(folder, { recursive: true, force: true })
})

describe("cap announce", () => {
  test("CLI-R1: what is printed is one line of JSON, and signed; the binary form is the same announcement", async () => {
    const facts = ["--allow-node", "42", "0xdeadbeef", "--allow-node", "42", "--strict", "--version", "1750000000000"]
    const [json, bin] = await Promise.all([announce(...facts), announce(...facts, "--format", "bin")])
    expect([json.status, json.error]).toEqual([0, ""])
    expect(json.out).toMatch(/^\{"node_id":"652f03ba688dde03".*\}\n$/)
    const signed = parseAnnouncementJson(json.out)
    expect(await isAnnouncementSigned(signed)).toBe(true)
    const { allowedNodes, strictMembership, generation, ttlSeconds, version } = signed.announcement
    expect(allowedNodes).toEqual(["000000000000002a", "00000000deadbeef"])
    expect([strictMembership, generation, ttlSeconds, version]).toEqual([true, 3, 300, 1_750_000_000_000n])
    const travels = decodeAnnouncement(new Uint8Array(bin.bytes))
    expect(await isAnnouncementSigned(travels)).toBe(true)
    expect([travels.hopCount, travels.announcement.tags]).toEqual([0, ["nrpc:echo"]])
    writeFileSync(at("a.json"), json.out)
    writeFileSync(at("a.bin"), bin.bytes)
    const [shown, verified] = await Promise.all([run("cap", "show", at("a.json")), run("cap", "verify", at("a.bin"))])
    expect([shown.out, verified.status, JSON.parse(verified.out).node_id]).toEqual([json.out, 0, NODE])
    writeFileSync(at("b.json"), json.out.replace("nrpc:echo", "nrpc:evil"))
    expect(refusal(await run("cap", "verify", at("b.json")))).toEqual([3, "bad-signature", ""])
  })

  test("CLI-R2: stdout and --out get the same form; the file may be read by all and is replaced as a whole", async () => {
    writeFileSync(at("out.json"), "old")
    const [file, stdout] = await Promise.all([
      announce("--out", at("out.json"), "--version", "1750000000001"),
      announce("--version", "1750000000001"),
    ])
    expect([file.status, file.out]).toEqual([0, ""])
    const [a, b] = [readFileSync(at("out.json"), "utf8"), stdout.out].map((text) => {
      const { issuedMs: _, ...rest } = parseAnnouncementJson(text).announcement
      return [rest, text.endsWith("\n")]
    })
    expect(a).toEqual(b)
    expect(statSync(at("out.json")).mode & 0o777).toBe(0o644)
    expect(refusal(await announce("--out", at("no/such/folder")))).toEqual([1, "unwritable-output", ""])
  })

  test("CLI-R3: --node-id confirms, in every form, and refuses another one", async () => {
    const forms = [NODE, `0x${NODE}`, BigInt(`0x${NODE}`).toString()]
    for (const { status } of await Promise.all(forms.map((id) => announce("--node-id", id)))) expect(status).toBe(0)
    expect(refusal(await announce("--node-id", "1"))).toEqual([2, "node-id-mismatch", ""])
  })

  test("CLI-R4, CLI-R5: a tag said twice counts once; one of another system is refused", async () => {
    const [twice, reserved, odd] = await Promise.all([
      announce("--tag", "nrpc:echo", "b"),
      announce("--tag", "scope:x"),
      announce("--tag", "two words"),
    ])
    expect(parseAnnouncementJson(twice.out).announcement.tags).toEqual(["b", "nrpc:echo"])
    expect(refusal(reserved)).toEqual([2, "reserved-prefix", ""])
    expect(refusal(odd)).toEqual([2, "bad-field", ""])
  })

  test("CLI-R6: 64 entries of a list fit, 65 do not, and the same one twice is one", async () => {
    const nodes = Array.from({ length: 65 }, (_, i) => String(i + 1))
    const groups = Array.from({ length: 65 }, (_, i) => (i + 1).toString(16).padStart(64, "0"))
    const [fits, twice, tooMany, tooManyGroups] = await Promise.all([
      announce("--allow-node", ...nodes.slice(0, 64)),
      announce("--allow-node", ...nodes.slice(0, 64), "0x1"),
      announce("--allow-node", ...nodes),
      announce("--allow-group", ...groups),
    ])
    expect([fits.status, twice.status]).toEqual([0, 0])
    expect(refusal(tooMany)).toEqual([2, "allow-list-too-long", ""])
    expect(tooMany.error).toContain("group")
    expect(refusal(tooManyGroups)).toEqual([2, "allow-list-too-long", ""])
  })

  test("CLI-R7: malformed nodes, subnets and groups are named as such", async () => {
    const wrong = [
      ["--allow-node", "0", "bad-node-id"],
      ["--allow-node", "12x", "bad-node-id"],
      ["--allow-subnet", "ab", "bad-subnet"],
      ["--allow-subnet", "zz".repeat(16), "bad-subnet"],
      ["--allow-group", "ab".repeat(16), "bad-group"],
      ["--ttl-secs", "0", "bad-number"],
      ["--ttl-secs", "86401", "bad-number"],
      ["--format", "xml", "bad-format"],
    ] as const
    const outcomes = await Promise.all(wrong.map(([flag, value]) => announce(flag, value)))
    expect(outcomes.map(refusal)).toEqual(wrong.map(([, , kind]) => [2, kind, ""]))
  })

  test("CLI-R8: white space around values counts nowhere", async () => {
    const [subnet, group] = ["cd".repeat(16), "EF".repeat(32)]
    const outcome = await announce(
      ...["--tag", "  b ", "--allow-node", " 42\t", "--allow-subnet", ` subnet:${subnet} `, "--allow-group", ` group:${group} `],
      ...["--ttl-secs", " 60 ", "--node-id", ` ${NODE} `, "--version", " 1750000000000 ", "--format", " json "],
    )
    expect(outcome.status).toBe(0)
    const { announcement } = parseAnnouncementJson(outcome.out)
    expect([announcement.tags, announcement.allowedNodes, announcement.ttlSeconds]).toEqual([
      ["b", "nrpc:echo"],
      ["000000000000002a"],
      60,
    ])
    expect([announcement.allowedSubnets.map(toHex), announcement.allowedGroups.map(toHex)]).toEqual([
      [subnet],
      [group.toLowerCase()],
    ])
  })

  test("CLI-R9: without a tag or a key: 2; a key that cannot be read: 1; as JSON where that is wanted", async () => {
    const [noTag, noKey, noFile, unknown, asJson] = await Promise.all([
      run("cap", "announce", "--key", key),
      run("cap", "announce", "--tag", "a"),
      run("cap", "announce", "--tag", "a", "--key", at("nowhere.toml")),
      announce("--no-such-flag"),
      run("cap", "announce", "--tag", "a", "--json-errors"),
    ])
    expect(refusal(noTag)).toEqual([2, "missing-tag", ""])
    expect(refusal(noKey)).toEqual([2, "missing-key", ""])
    expect(refusal(noFile)).toEqual([1, "unreadable-key", ""])
    expect(refusal(unknown)).toEqual([2, "usage", ""])
    expect(JSON.parse(asJson.error)).toMatchObject({ kind: "missing-key", code: 2 })
  })

  test("CLI-R10: a version that no live node would follow is signed with a warning", async () => {
    const [old, zero] = await Promise.all([announce("--version", "7"), announce("--version", "0")])
    expect([old.status, parseAnnouncementJson(old.out).announcement.version]).toEqual([0, 7n])
    expect(old.error).toMatch(/^warning: version 7 /)
    expect(refusal(zero)).toEqual([2, "bad-version", ""])
  })

  test("CLI-R11: a key that others can read is refused, or used with a warning; its seed is never printed", async () => {
    const open = at("open.toml")
    writeFileSync(open, readFileSync(key))
    chmodSync(open, 0o644)
    const base = ["cap", "announce", "--tag", "a", "--key", open]
    const [refused, insisted] = await Promise.all([run(...base), run(...base, "--insecure-permissions")])
    expect(refusal(refused)).toEqual([2, "permissive-mode", ""])
    expect([insisted.status, insisted.error]).toEqual([0, expect.stringMatching(/^warning: .*can be read by others/)])
    writeFileSync(at("odd.toml"), 'seed_hex = "12"\n', { mode: 0o600 })
    const odd = await run("cap", "announce", "--tag", "a", "--key", at("odd.toml"))
    expect(refusal(odd)).toEqual([2, "not-an-identity", ""])
    for (const { out, error } of [refused, insisted, odd]) expect(`${out}${error}`).not.toContain(SEED.slice(0, 16))
  })
})

test("CLI-R12: a server's secret that others can read is told before what is in it is looked at", async () => {
  const [cert, secret] = [at("cert.pem"), at("key.pem")]
  writeFileSync(cert, "no certificate")
  writeFileSync(secret, "no key either", { mode: 0o644 })
  const outcome = await run("serve", "--port", "0", "--tls-cert", cert, "--tls-key", secret)
  expect(outcome.status).not.toBe(0)
  const [first, ...rest] = outcome.error.trim().split("\n")
  expect(first).toMatch(/^warning: .*key\.pem can be read by others \(config-permissions\)$/)
  expect(rest.length).toBeGreaterThan(0)
  expect(outcome.error).not.toContain("no key either")
})

describe("keys, tokens and certificates", () => {
  test("identity new keeps to itself, show tells names, bump-generation kills", async () => {
    const path = at("new.toml")
    const made = await run("identity", "new", path)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(refusal(await run("identity", "new", path))).toEqual([2, "already-exists", ""])
    const bumped = JSON.parse((await run("identity", "bump-generation", path)).out)
    const shown = JSON.parse((await run("identity", "show", path)).out)
    expect([JSON.parse(made.out).generation, bumped.generation, shown.generation]).toEqual([0, 1, 1])
    const record = await verifyFloorRecord(fromHex(bumped.floor_record))
    expect([toHex(record.entity), record.generation]).toEqual([shown.entity_id, 1])
    expect(existsSync(`${path}.new`)).toBe(false)
    expect(JSON.parse((await run("identity", "show", key)).out)).toMatchObject({ entity_id: ENTITY, node_id: NODE })
  })

  test("token issue and delegate make a chain that verifiers take; inspect tells what it says", async () => {
    const [two, three] = [at("two.toml"), at("three.toml")]
    const entity = async (path: string) => JSON.parse((await run("identity", "new", path)).out).entity_id as string
    const [second, third] = (await Promise.all([entity(two), entity(three)])) as [string, string]
    const rights = ["--scope", "subscribe,delegate", "publish", "--channel", "Captions"]
    const issued = await run("token", "issue", "--key", key, "--subject", second, ...rights, "--depth", "1", "--out", at("chain"))
    expect([issued.status, issued.out]).toEqual([0, ""])
    const narrow = ["--subject", third, "--scope", "subscribe", "--channel", "captions", "--ttl-secs", "600"]
    const delegated = await run("token", "delegate", at("chain"), "--key", two, ...narrow)
    expect(delegated.status).toBe(0)
    const chain = fromHex(delegated.out.trim())
    const now = BigInt(Math.floor(Date.now() / 1000))
    const question = {
      action: SCOPE.SUBSCRIBE,
      channelHash: channelHash("captions"),
      presenter: fromHex(third),
      roots: [fromHex(ENTITY)],
    }
    const verified = await new ChainVerifier().verify(chain, { ...question, now, floorOf: () => 0 })
    expect(verified.tokens.map(({ token }) => token.generation)).toEqual([3, 0])
    writeFileSync(at("chain2"), delegated.out)
    const said = JSON.parse((await run("token", "inspect", at("chain2"))).out)
    expect(said.map((link: { scope: string[]; signed: boolean }) => [link.scope, link.signed])).toEqual([
      [["publish", "subscribe", "delegate"], true],
      [["subscribe"], true],
    ])
    const issue = (...args: string[]) => run("token", "issue", "--key", key, ...args)
    const outcomes = await Promise.all([
      run("token", "delegate", at("chain2"), "--key", three, ...narrow),
      issue("--subject", "12", ...rights),
      issue("--subject", second, "--scope", "all", "--channel", "a"),
    ])
    expect(outcomes.map(refusal)).toEqual([
      [3, "delegation-exhausted", ""],
      [2, "bad-subject", ""],
      [2, "bad-scope", ""],
    ])
  })

  test("log inspect counts records and sees a torn end, and changes nothing", async () => {
    const log = await openNodeLog(folder, "00000000000000a1")
    await log.appendBatch([new Uint8Array(10), new Uint8Array(20)])
    await log.close()
    const path = at("00000000000000a1")
    const torn = Buffer.concat([readFileSync(join(path, "log.dat")), Buffer.from([9, 9, 9])])
    writeFileSync(join(path, "log.dat"), torn)
    const [found, missing] = await Promise.all([run("log", "inspect", path), run("log", "inspect", at("nowhere"))])
    expect(JSON.parse(found.out)).toEqual({ records: 2, payload_bytes: 30, next_seq: "2", torn_bytes: 3 })
    expect(Buffer.compare(readFileSync(join(path, "log.dat")), torn)).toBe(0)
    expect(refusal(missing)).toEqual([1, "unreadable-log", ""])
  })

  test("member issue certifies; the announcement carries it", async () => {
    const made = await run("member", "issue", "--key", key, "--member", ENTITY, "--kind", "group", "--out", at("cert"))
    const group = /^group:([0-9a-f]{64})$/m.exec(made.error)?.[1]
    const proven = await verifyMembershipCert(fromHex(readFileSync(at("cert"), "utf8").trim()), fromHex(ENTITY))
    expect([made.status, toHex(proven.id)]).toEqual([0, group])
    expect(isCertLive(proven, BigInt(Math.floor(Date.now() / 1000)))).toBe(true)
    const { out } = await announce("--cert", at("cert"))
    expect(parseAnnouncementJson(out).announcement.certs).toHaveLength(1)
    expect(refusal(await announce("--cert", key))).toEqual([2, "bad-certificate", ""])
  })
})
