/** Tabs and Node peers in one room: the conformance contract between and across them, and a relay process that carries a picture. */
import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { expect, test } from "@playwright/test"
import type { Room } from "../src/room/types.ts"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { peerHere, peerInPage } from "./contract/peers.ts"
import { type Cast, finish, prepare, SCENARIOS } from "./contract/scenarios.ts"
import { takeOver } from "./handed-on.ts"
import { eventually, seenPictures } from "./observe.ts"
import { callPath, newSecret, readStats, waitForMembers } from "./room-page.ts"

const ADA = 11
const EVE = 37

test.describe.configure({ mode: "serial" })

type NodeEntry = typeof import("../src/node/index.ts")

function nodeEntry(): Promise<NodeEntry> {
  return import(new URL("../dist/server/node.js", import.meta.url).href)
}

function roomUrl(stage: Stage, room: string, secret: string): string {
  return `ws://127.0.0.1:${stage.server.port}/${room}#k=${secret}`
}

test.describe("conformance contract", () => {
  const secret = newSecret()
  const path = callPath("contract", "/", secret)
  const nodes: Room[] = []
  const casts: Record<string, Cast> = {}
  let stage: Stage

  test.beforeAll(async () => {
    stage = await setStage()
    // Nobody looks at anybody here: what would be encoded only keeps the machine from the calls.
    const quiet = "&mode=audience"
    const tabs = [
      await stage.open("ada", ADA, path("ada", quiet)),
      await stage.open("bob", 22, path("bob", quiet)),
      await stage.open("cleo", 33, path("cleo", quiet)),
    ]
    const { joinRoom } = await nodeEntry()
    for (const name of ["nora", "ned"]) {
      nodes.push(await joinRoom(roomUrl(stage, "contract", secret), { name, bindAddress: "127.0.0.1" }))
    }
    for (const { page } of tabs) await waitForMembers(page, 5)
    const [ada, bob, cleo] = tabs.map(({ name, page }) => peerInPage(name, page))
    const [nora, ned] = nodes.map((room, index) => peerHere(`node ${index}`, room))
    if (!ada || !bob || !cleo || !nora || !ned) throw new Error("somebody is missing")
    casts["between tabs"] = { server: ada, friend: bob, stranger: cleo }
    casts["across: a tab serves Node peers"] = { server: bob, friend: nora, stranger: ned }
    casts["across: a Node peer serves tabs"] = { server: nora, friend: cleo, stranger: ada }
  })
  test.afterAll(async () => {
    await Promise.all(nodes.map((room) => room.leave()))
    await stage.close()
  })

  for (const kind of ["between tabs", "across: a tab serves Node peers", "across: a Node peer serves tabs"]) {
    test.describe(kind, () => {
      test.beforeAll(() => prepare(castOf(kind)))
      test.afterAll(() => finish(castOf(kind)))
      for (const { name, run } of SCENARIOS) test(name, () => run(castOf(kind)))
    })
  }

  function castOf(kind: string): Cast {
    const cast = casts[kind]
    if (cast === undefined) throw new Error(`no cast ${kind}`)
    return cast
  }
})

test.describe("a relay process", () => {
  const secret = newSecret()
  const path = callPath("relayed", "/", secret)
  let stage: Stage
  let ada: Person
  let eve: Person
  let relay: RelayProcess
  const ids: Record<string, string> = {}

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", ADA, path("ada"))
    relay = new RelayProcess(roomUrl(stage, "relayed", secret))
    ids.relay = await relay.joined
    eve = await stage.open("eve", EVE, path("eve", "&mode=audience"))
    for (const person of [ada, eve]) {
      await waitForMembers(person.page, 3)
      ids[person.name] = await person.page.evaluate(() => globalThis.holomesh.room?.local.id ?? "")
    }
  })
  test.afterAll(async () => {
    relay.kill()
    await stage.close()
  })

  test("carries picture and sound from a publisher to a viewer", async () => {
    const { watch, received } = await takeOver(eve, ada, { viewer: ids.eve!, publisher: ids.ada!, over: ids.relay! })
    expect(received.length).toBeGreaterThanOrEqual(2)
    expect(received.map(({ from }) => from)).toEqual(received.map(() => ids.relay))
    const picture = received.find(({ kind }) => kind === "video")
    report(
      `through a Node relay: ${picture?.frameRate} pictures a second, longest gap ${Math.round(await watch.longestGapMs())} ms`,
    )
  })

  test("leaves when it is told to, after its viewer has moved", async () => {
    expect(await relay.stop("SIGTERM")).toBe(0)
    await waitForMembers(eve.page, 2)
    await eventually(
      "eve takes ada's streams from ada",
      () => readStats(eve.page),
      ({ receive }) => receive.filter(({ participant }) => participant === ids.ada).every(({ from }) => from === ids.ada),
    )
    const [before] = (await seenPictures(eve.page)).filter(({ code }) => code === ADA)
    await eventually(
      "ada's picture still moves at eve",
      () => seenPictures(eve.page),
      (seen) => seen.some(({ code, frame }) => code === ADA && frame !== undefined && frame !== before?.frame),
    )
    expect(relay.events).toEqual(expect.arrayContaining(["joined", "left"]))
    expect([relay.errors, ada.errors, eve.errors]).toEqual(["", [], []])
  })
})

/** `holomesh relay … --json` as people run it. */
class RelayProcess {
  /** Its id in the room. */
  readonly joined: Promise<string>
  readonly events: string[] = []
  errors = ""
  readonly #process: ChildProcess
  readonly #ended: Promise<number | null>

  constructor(url: string) {
    const program = new URL("../dist/server/main.js", import.meta.url).pathname
    const flags = ["--json", "--name", "Relay", "--bind", "127.0.0.1", "--uplink-limit", "20"]
    const running = spawn(process.execPath, [program, "relay", url, ...flags], { stdio: ["ignore", "pipe", "pipe"] })
    this.#process = running
    this.#ended = new Promise((resolve) => running.on("exit", resolve))
    running.stderr.on("data", (text: Buffer) => {
      this.errors += text.toString()
    })
    this.joined = new Promise((resolve, reject) => {
      createInterface(running.stdout).on("line", (line) => {
        const { msg, id = "" } = JSON.parse(line) as { msg: string; id?: string }
        this.events.push(msg)
        if (msg === "joined") resolve(id)
      })
      running.on("exit", () => reject(new Error(`the relay ended: ${this.errors}`)))
    })
    this.joined.catch(() => undefined)
  }

  /** The status it ended with. */
  stop(signal: NodeJS.Signals): Promise<number | null> {
    this.#process.kill(signal)
    return this.#ended
  }

  kill(): void {
    this.#process.kill("SIGKILL")
  }
}

function report(line: string): void {
  test.info().annotations.push({ type: "measured", description: line })
  console.log(line)
}
