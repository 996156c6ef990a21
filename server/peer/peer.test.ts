/** Commands that join a room, as processes, with Node peers of this process and a real server. */
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest"
import { sha256Sync } from "../../src/crypto/index.ts"
import type { Room, Share } from "../../src/node/index.ts"
import { freePort } from "../../src/node/test-port.ts"
import { NodeRoom, until } from "../../src/node/test-room.ts"
import { encodeManifest, type TreeEntry } from "../../src/store/tree/manifest.ts"
import { SharedTree, sourceOf } from "../../src/transfer/index.ts"
import { NodeTreeSink } from "../../src/transfer/node-sink.ts"
import { equalBytes } from "../../src/wire/bytes.ts"
import { type Outcome, Program, type RunningProgram, refusal } from "../testing/program.ts"

/** Processes join within two seconds; a busy machine needs more. */
const SLOW_MS = 120_000
vi.setConfig({ testTimeout: SLOW_MS })
const folder = mkdtempSync(join(tmpdir(), "holomesh-peer-"))
const at = (name: string) => join(folder, name)
const HERE = ["--bind", "127.0.0.1"]
const yard = new NodeRoom("yard")
let program: Program
let url: string
let ada: Room
let bob: Room
/** Asks where no server is. It gives up after a quarter of a minute, and the others need not wait for it. */
let nobody: Promise<Outcome>

beforeAll(async () => {
  program = await Program.build("peer")
  nobody = program.run("cap", "query", "ws://127.0.0.1:1/yard", "--open", ...HERE)
  url = await yard.url()
  ada = await yard.join("ada")
  bob = await yard.join("bob\u001b[31m\u202e")
  await yard.linked(2)
}, SLOW_MS)
afterAll(async () => {
  await yard.close()
  program?.close()
  rmSync(folder, { recursive: true, force: true })
}, SLOW_MS)

/** The command with the room's link, on this machine only. */
const run = (group: string, verb: string, ...args: string[]) => program.run(group, verb, ...args, url, ...HERE)

/** Ends with the test, whatever comes of it. */
function start(verb: string, ...args: string[]): RunningProgram {
  const running = program.start("dir", verb, ...args, url, ...HERE)
  onTestFinished(() => void running.stop("SIGKILL"))
  return running
}

describe("cap query", () => {
  const query = (...flags: string[]) => program.run("cap", "query", url, ...HERE, ...flags)

  beforeAll(async () => {
    ada.rpc.serve("echo", (body) => body)
    ada.capabilities.announce({ tags: ["captions:de"], metadata: { lang: "de" } })
    bob.rpc.serve("echo", (body) => body)
    bob.capabilities.announce({ policy: { participants: [ada.local] } })
    await until("announcements", () => bob.capabilities.of(ada.local.id)?.tags.includes("captions:de") === true)
  }, SLOW_MS)

  test("prints the members that offer what is asked for, and whom they let in", async () => {
    const [all, captions, callable] = await Promise.all([
      query("--json", "--service", "echo"),
      query("--tag", "captions:*", "--meta", "lang=de"),
      query("--json", "--service", "echo", "--callable"),
    ])
    expect([all.status, all.error]).toEqual([0, ""])
    const byId = new Map(linesOf(all.out).map((line) => [line.id, line]))
    expect(byId.size).toBe(2)
    expect(byId.get(ada.local.id)).toMatchObject({
      name: "ada",
      node: ada.capabilities.node,
      services: ["echo"],
      callable: ["echo"],
      metadata: { lang: "de" },
    })
    expect(byId.get(bob.local.id)).toMatchObject({ services: ["echo"], callable: [] })
    expect([captions.status, captions.out]).toEqual([0, `ada\t${ada.capabilities.node}\tcaptions:de nrpc:echo\n`])
    expect(linesOf(callable.out).map(({ name }) => name)).toEqual(["ada"])
    await until("the processes have left", () => ada.participants.size === 1)
  })

  test("nothing found is 10; names of others do not steer the terminal; errors of the room have their status", async () => {
    const [nothing, everybody, refused] = await Promise.all([
      query("--tag", "captions:fr"),
      query(),
      program.run("cap", "query", `${url}x`, ...HERE),
    ])
    expect(refusal(nothing)).toEqual([10, undefined, ""])
    expect(everybody.out).toContain(`bob\ufffd[31m\ufffd\t${bob.capabilities.node}\t`)
    expect(refusal(refused)).toEqual([2, "invitation-invalid", ""])
  })
})

describe("relay", () => {
  test("announces itself as open where somebody gives their word for it, and says so in its log", async () => {
    const place = ["--udp-port", String(await freePort()), "--reachable-at", "8.8.4.4:40000"]
    const running = program.start("relay", url, ...HERE, ...place, "--json")
    onTestFinished(() => void running.stop("SIGKILL"))
    const relay = () => [...ada.participants.values()].find(({ name }) => name === "Relay")
    await until("the word is announced", () => ada.capabilities.of(relay()?.id ?? "")?.tags.includes("nat:open") === true)
    const { status, out, error } = await running.stop("SIGINT")
    expect([status, error]).toEqual([0, ""])
    expect(linesOf(out)[0]).toMatchObject({ msg: "reachable by word", address: "8.8.4.4:40000" })
    await until("it has left", () => relay() === undefined)
  })
})

describe("dir", () => {
  const large = Uint8Array.from({ length: 700_000 }, (_, i) => (i * 7 + (i >> 9)) & 255)

  beforeAll(() => {
    mkdirSync(at("trip/notes"), { recursive: true })
    mkdirSync(at("trip/empty"))
    writeFileSync(at("trip/notes/today.txt"), "good morning")
    writeFileSync(at("trip/large.bin"), large)
    writeFileSync(at("trip/nothing"), "")
    writeFileSync(at("trip/run.sh"), "#!/bin/sh\n")
    chmodSync(at("trip/run.sh"), 0o750)
    symlinkSync("notes/today.txt", at("trip/latest"))
  })

  test("a folder goes from one process to another as it is, and stopping the sender ends the offer", async () => {
    const sender = start("send", at("trip"), "--json", "--name", "Ned")
    const offered = JSON.parse(await sender.firstLine())
    expect(offered).toMatchObject({ event: "offered", name: "trip", files: 4, bytes: large.length + 22, room: "yard" })
    await until("the offer", () => ada.files.offers.some(({ id }) => id === offered.id))
    const [byId, byName] = await Promise.all([
      run("dir", "fetch", offered.id, at("by-id"), "--json"),
      run("dir", "fetch", "Ned", at("by-name")),
    ])
    expect([byId.status, byId.error.includes("trip: 100 % of 700.0 kB, 4 of 4 files")]).toEqual([0, true])
    expect(JSON.parse(byId.out)).toMatchObject({ id: offered.id, from: { name: "Ned" }, files: 4, bytes: large.length + 22 })
    expect([byName.status, byName.out]).toEqual([0, `trip of Ned is in ${at("by-name")}: 4 files, 700.0 kB\n`])
    for (const place of [at("by-id"), at("by-name")]) {
      expect(readdirSync(place).sort()).toEqual(["empty", "large.bin", "latest", "notes", "nothing", "run.sh"])
      expect(Buffer.compare(readFileSync(join(place, "large.bin")), large)).toBe(0)
      expect(readFileSync(join(place, "latest"), "utf8")).toBe("good morning")
      expect(readlinkSync(join(place, "latest"))).toBe("notes/today.txt")
      expect(statSync(join(place, "run.sh")).mode & 0o777).toBe(0o750)
      expect(readdirSync(join(place, "empty"))).toEqual([])
    }
    const ended = await sender.stop("SIGINT")
    expect([ended.status, ended.out.includes('"event":"sent"')]).toEqual([0, true])
    await until("it has left", () => ada.participants.size === 1 && ada.files.offers.length === 0)
  })

  test("what a file was when it was offered is what is fetched, or nothing is", async () => {
    writeFileSync(at("one.txt"), "before")
    const sender = start("send", at("one.txt"), "--as", "letter")
    const line = await sender.firstLine()
    expect(line).toMatch(/^[0-9a-f]{16} {2}letter, 1 file, 6 bytes, offered in yard\. /)
    const named = () => ada.files.offers.find(({ name }) => name === "letter")
    await until("the offer", () => named() !== undefined)
    const offer = named()
    await ada.files.fetchInto(offer!, new NodeTreeSink(at("letter")))
    expect(readFileSync(at("letter/one.txt"), "utf8")).toBe("before")
    writeFileSync(at("one.txt"), "behind")
    const late = await run("dir", "fetch", offer!.id, at("late"))
    expect([refusal(late), existsSync(at("late"))]).toEqual([[6, "blob-not-found", ""], false])
    expect((await sender.stop("SIGTERM")).status).toBe(0)
  })

  test(
    "nothing is taken from a manifest that leads out of the target",
    async () => {
      const evil: [string, TreeEntry[]][] = [
        ["climbs", [file("../outside")]],
        ["links", [{ path: "link", kind: "symlink", mode: 0, target: "../../outside" }]],
        ["through", [{ path: "a", kind: "symlink", mode: 0, target: "." }, file("a/b")]],
      ]
      const shares: Share[] = []
      for (const [name, entries] of evil) {
        const spy = vi.spyOn(SharedTree, "of").mockResolvedValue(treeOf(entries))
        shares.push(await ada.files.shareTree([{ path: "x", kind: "file", mode: 0 }], { name }))
        spy.mockRestore()
        mkdirSync(at(name))
      }
      const outcomes = await Promise.all(shares.map(({ id, name }) => run("dir", "fetch", id, at(`${name}/target`))))
      for (const [index, { name, stop }] of shares.entries()) {
        expect([name, refusal(outcomes[index]!), readdirSync(at(name))]).toEqual([name, [3, "unsafe-path", ""], []])
        stop()
      }
      expect(existsSync(at("outside"))).toBe(false)
    },
    SLOW_MS,
  )

  test(
    "what is in the way, too much, not there, or meant twice is refused",
    async () => {
      const share = await ada.files.share([new File(["one"], "one.txt")])
      const more = await ada.files.share([new File(["two"], "two.txt")])
      mkdirSync(at("full"))
      writeFileSync(at("full/mine"), "mine")
      const outcomes = await Promise.all([
        run("dir", "fetch", share.id, at("full")),
        run("dir", "fetch", share.id, at("no/such/parent")),
        run("dir", "fetch", share.id, at("small"), "--max-bytes", "2"),
        run("dir", "fetch", "ada", at("which")),
        run("dir", "fetch", "0000000000000000", at("none"), "--wait", "1"),
      ])
      expect(outcomes.map(refusal)).toEqual([
        [2, "already-exists", ""],
        [1, "store-error", ""],
        [3, "too-large", ""],
        [2, "ambiguous", ""],
        [7, "not-offered", ""],
      ])
      expect(outcomes[3]?.error).toContain(`${more.id} (two.txt of ada)`)
      expect(readFileSync(at("full/mine"), "utf8")).toBe("mine")
      const replaced = await run("dir", "fetch", share.id, at("full"), "--replace")
      expect([replaced.status, readdirSync(at("full"))]).toEqual([0, ["one.txt"]])
      share.stop()
      more.stop()
    },
    SLOW_MS,
  )

  test(
    "nothing is offered of a folder with names that others could not write, or of none",
    async () => {
      mkdirSync(at("odd"))
      writeFileSync(at("odd/what?.txt"), "")
      mkdirSync(at("leads-out"))
      symlinkSync("../trip", at("leads-out/link"))
      mkdirSync(at("bare"))
      const outcomes = await Promise.all([
        run("dir", "send", at("odd")),
        run("dir", "send", at("leads-out")),
        run("dir", "send", at("bare")),
        run("dir", "send", at("nowhere")),
        program.run("dir", "send", at("odd")),
        program.run("dir", "fetch", "ada"),
      ])
      expect(outcomes.map(refusal)).toEqual([
        [3, "unsafe-path", ""],
        [3, "unsafe-path", ""],
        [2, "nothing-to-send", ""],
        [1, "unreadable-file", ""],
        [2, "usage", ""],
        [2, "usage", ""],
      ])
      expect(outcomes[0]?.error).toContain("what?.txt cannot be sent to everybody: character")
    },
    SLOW_MS,
  )

  test(
    "interrupted, it leaves the room and nothing else; with --resume the next run goes on from what had come",
    async () => {
      const size = 4_000_000
      const bytes = Uint8Array.from({ length: size }, (_, i) => (i * 31 + (i >> 11)) & 255)
      const share = await ada.files.share(new File([bytes], "film.bin"))
      ada.files.setUploadRate(6_000_000)
      mkdirSync(at("films"))
      const interrupt = async (...flags: string[]) => {
        const before = ada.files.sentBytes
        const fetching = start("fetch", share.id, at("films/film"), ...flags)
        await until("some of it has come", () => ada.files.sentBytes > before + 1_500_000)
        const { status, out } = await fetching.stop("SIGINT")
        return [status, out, readdirSync(at("films"))]
      }
      expect(await interrupt()).toEqual([130, "", []])
      expect(await interrupt("--resume")).toEqual([130, "", [`.film.fetch_${share.id}`]])
      ada.files.setUploadRate(undefined)
      const before = ada.files.sentBytes
      const rest = await run("dir", "fetch", share.id, at("films/film"), "--resume")
      expect([rest.status, readdirSync(at("films"))]).toEqual([0, ["film"]])
      expect(Buffer.compare(readFileSync(at("films/film/film.bin")), bytes)).toBe(0)
      expect(ada.files.sentBytes - before).toBeLessThan(size - 800_000)
      expect(lstatSync(at("films/film")).isDirectory()).toBe(true)
      share.stop()
      ada.files.setUploadRate(8_000_000)
    },
    SLOW_MS,
  )
})

/** Of JSON, as far as they are whole. */
function linesOf(out: string) {
  return out
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line))
}

function file(path: string): TreeEntry {
  return { path, kind: "file", mode: 0o644, blob: { size: 0, chunks: [] } }
}

test("where no server answers is 6", async () => {
  expect(refusal(await nobody)).toEqual([6, "server-unreachable", ""])
})

/** A tree that no sender of ours would make. */
function treeOf(entries: TreeEntry[]): SharedTree {
  const manifest = encodeManifest(entries)
  const source = sourceOf(manifest)
  const id = sha256Sync(manifest)
  const tree: Pick<SharedTree, "ref" | "entries" | "totalBytes" | "has" | "read"> = {
    ref: { size: manifest.length, chunks: [id] },
    entries,
    totalBytes: 0,
    has: (chunkId) => equalBytes(chunkId, id),
    read: () => source.read(0, manifest.length),
  }
  return tree as SharedTree
}
