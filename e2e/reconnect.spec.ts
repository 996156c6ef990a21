/** Connections that break and come back: what people see meanwhile, and that nobody has to join again. */
import { readdirSync, readFileSync } from "node:fs"
import { expect, type Page, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { ImpairmentProxy, type ProxyPeer } from "./network/proxy.ts"
import { impair } from "./network/rig.ts"
import { eventually, seenPictures } from "./observe.ts"
import { callPath, inRoom, readStats, waitForMembers } from "./room-page.ts"

const CODES = { ada: 11, bob: 22 }
type Name = keyof typeof CODES
const PATH = { delayMs: 10 }
/** People are told of silence within two seconds on a machine that has time; well before the silent one counts as gone. ms */
const NOTICED_MS = 6_000
/** The picture is back this long after the path is, ms. Its transport waits up to 3 s before it tries again by itself. */
const BACK_MS = 10_000

declare global {
  var heardOfRoom: string[]
}

/** Notes in the page what the application was told, each with the time since the start of the page. */
async function note(page: Page): Promise<void> {
  await page.evaluate(() => {
    const { room } = globalThis.holomesh
    if (room === undefined) throw new Error("not in a room")
    const known = globalThis.heardOfRoom !== undefined
    globalThis.heardOfRoom = []
    if (known) return
    const say = (text: string) => globalThis.heardOfRoom.push(`${Math.round(performance.now())} ${text}`)
    room.on("participantLeft", ({ reason }) => say(`left ${reason}`))
    room.on("participantJoined", () => say("joined"))
    room.on("connection", ({ connection, reason }) => say(`connection ${connection} (${reason})`))
    room.on("state", ({ state, detail }) => say(`state ${state} (${detail})`))
    room.on("server", ({ connected, reason }) => say(`server ${connected} ${reason}`))
    room.on("trackEnded", () => say("track ended"))
  })
}

/** A browser is many processes; this is all of them. */
function processesOf(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue
    try {
      // The name of the program, in brackets, may hold anything; the parent comes after the state behind it.
      const parent = /\) \S (\d+)/.exec(readFileSync(`/proc/${name}/stat`, "utf8"))?.[1]
      parents.set(Number(name), Number(parent))
    } catch {
      // It ended while we looked.
    }
  }
  const found = [pid]
  for (const each of found) for (const [child, parent] of parents) if (parent === each) found.push(child)
  return found
}

const heard = (page: Page) => page.evaluate(() => globalThis.heardOfRoom)
const connectionOf = (page: Page) =>
  page.evaluate(() => [...(globalThis.holomesh.room?.participants.values() ?? [])].map(({ connection }) => connection))
/** What the tile says to a person, empty while all is well. */
const tileText = (page: Page) =>
  page.evaluate(() => {
    const words = document.querySelector<HTMLElement>("[data-participant] .tile-connection")
    return words === null || words.hidden ? "" : (words.textContent ?? "")
  })
const frameOf = async (page: Page, code: number) => (await seenPictures(page)).find((tile) => tile.code === code)?.frame

/** Waits until several new pictures of that camera were seen; returns how long it took, ms. */
async function moves(page: Page, code: number, timeoutMs = BACK_MS): Promise<number> {
  const began = Date.now()
  const seen = new Set<number>()
  await eventually(
    `pictures of ${code} move`,
    async () => {
      const frame = await frameOf(page, code)
      if (frame !== undefined) seen.add(frame)
      return seen.size
    },
    (count) => count >= 4,
    timeoutMs,
  )
  return Date.now() - began
}

async function bothMove(ada: Person, bob: Person, timeoutMs = BACK_MS): Promise<string> {
  const [atAda, atBob] = await Promise.all([moves(ada.page, CODES.bob, timeoutMs), moves(bob.page, CODES.ada, timeoutMs)])
  return `pictures move again after ${atAda} ms (ada), ${atBob} ms (bob)`
}

test.describe("a path that fails and comes back", () => {
  test.describe.configure({ mode: "serial", timeout: 90_000 })
  let stage: Stage
  let proxy: ImpairmentProxy
  let ada: Person & { peer: ProxyPeer }
  let bob: Person & { peer: ProxyPeer }

  test.beforeAll(async () => {
    stage = await setStage()
    proxy = new ImpairmentProxy()
    const path = callPath("moving")
    const enter = async (name: Name, seed: number) => {
      const person = await stage.open(name, CODES[name], "/script-tag/")
      const peer = await proxy.addPeer(seed, PATH)
      await impair(person.page, peer)
      await person.page.goto(stage.url + path(name))
      await inRoom(person.page)
      return { ...person, peer }
    }
    ada = await enter("ada", 1)
    bob = await enter("bob", 2)
    await waitForMembers(ada.page, 2)
    await bothMove(ada, bob, 30_000)
  })
  test.beforeEach(async () => {
    await note(ada.page)
    await note(bob.page)
  })
  test.afterEach(async () => {
    for (const { name, page } of [ada, bob]) console.log(`  ${name}: ${(await heard(page)).join(", ")}`)
  })
  test.afterAll(async () => {
    await stage.close()
    await proxy.close()
  })

  const nobodyLeft = async () => {
    for (const { page } of [ada, bob]) {
      expect((await heard(page)).filter((line) => /left|joined|ended/.test(line))).toEqual([])
      expect((await readStats(page)).room.members).toBe(2)
    }
  }

  test("four seconds without any packet: the tile says so, then the call goes on", async () => {
    for (const { peer } of [ada, bob]) peer.change({ loss: 1 })
    const blocked = Date.now()
    for (const { page } of [ada, bob]) {
      await eventually(
        "trouble on the tile",
        () => tileText(page),
        (text) => text.startsWith("Connection trouble"),
        NOTICED_MS,
      )
    }
    console.log(`  the tiles said so ${Date.now() - blocked} ms after the last packet`)
    await ada.page.waitForTimeout(Math.max(0, 4_000 - (Date.now() - blocked)))
    for (const { peer } of [ada, bob]) peer.change({ loss: 0 })
    console.log(`  ${await bothMove(ada, bob)}`)
    for (const { page } of [ada, bob]) {
      await eventually(
        "direct again",
        () => connectionOf(page),
        (states) => states.join() === "direct",
      )
      await eventually(
        "no trouble on the tile",
        () => tileText(page),
        (text) => text === "",
      )
    }
    await nobodyLeft()
  })

  test("other addresses, as after a move from Wi-Fi to cellular: new paths without joining again", async () => {
    // Whatever was bound before is dead for ever; ports that are announced from now on work.
    const moved = Date.now()
    for (const { connection } of ada.peer.registrations) ada.peer.block(connection)
    const back = await bothMove(ada, bob, 15_000)
    console.log(`  ${back}, ${Date.now() - moved} ms after the move`)
    for (const { page } of [ada, bob]) {
      await eventually(
        "direct again",
        () => connectionOf(page),
        (states) => states.join() === "direct",
      )
    }
    await nobodyLeft()
  })

  test("one video lane that dies without a word is replaced while the picture moves", async () => {
    const lanes = async () =>
      (await readStats(ada.page)).links.flatMap(({ lanes }) => lanes).filter(({ role }) => role === "video")
    const before = (await lanes()).map(({ id }) => id)
    await ada.page.evaluate(() => globalThis.holomesh.room?.simulate("lose-lane"))
    await moves(bob.page, CODES.ada)
    await moves(ada.page, CODES.bob)
    await eventually(
      "another lane in its place",
      lanes,
      (now) => now.filter(({ state }) => state === "open").length >= before.length && now.some(({ id }) => !before.includes(id)),
    )
    await nobodyLeft()
  })

  test("change-network from the API: every link gets new addresses and nobody sees anything but the server reconnect", async () => {
    const paths = () => ada.page.evaluate(async () => (await globalThis.impairment.paths()).map(({ localPort }) => localPort))
    const before = await paths()
    await ada.page.evaluate(() => globalThis.holomesh.room?.simulate("change-network"))
    await eventually(
      "other ports",
      paths,
      (ports) => ports.filter((port) => !before.includes(port)).length >= Math.min(4, before.length),
      20_000,
    )
    console.log(`  ${await bothMove(ada, bob)}`)
    await nobodyLeft()
  })

  test("kill-parent: the link is made anew, the people stay", async () => {
    await ada.page.evaluate(() => globalThis.holomesh.room?.simulate("kill-parent"))
    await eventually(
      "direct again",
      () => connectionOf(ada.page),
      (states) => states.join() === "direct",
    )
    console.log(`  ${await bothMove(ada, bob)}`)
    for (const { page } of [ada, bob]) expect((await heard(page)).filter((line) => /left|joined/.test(line))).toEqual([])
  })
})

test.describe("a page that stands still, a server that goes, people that vanish", () => {
  test.describe.configure({ mode: "serial", timeout: 90_000 })
  let stage: Stage
  let ada: Person
  let bob: Person
  const path = callPath("restless")

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", CODES.ada, path("ada"))
    await inRoom(ada.page)
    bob = await stage.open("bob", CODES.bob, path("bob"))
    await inRoom(bob.page)
    await bothMove(ada, bob, 30_000)
  })
  test.beforeEach(async () => {
    await note(ada.page)
  })
  test.afterEach(async () => {
    console.log(`  ada: ${(await heard(ada.page)).join(", ")}`)
  })
  test.afterAll(async () => stage.close())

  test("the server goes and comes back: the words say so, the call does not care", async () => {
    const words = () => ada.page.locator(".call-status").textContent()
    await stage.server.close()
    await eventually("server away", words, (text) => text?.includes("server is away") === true, 20_000)
    await bothMove(ada, bob, 5_000)
    await stage.server.restart()
    await ada.page.evaluate(() => globalThis.dispatchEvent(new Event("online")))
    await eventually("server back", words, (text) => text?.includes("server is away") === false, 30_000)
    await bothMove(ada, bob)
    expect(await connectionOf(ada.page)).toEqual(["direct"])
  })

  test("drop-rendezvous: found again by itself", async () => {
    await ada.page.evaluate(() => globalThis.holomesh.room?.simulate("drop-rendezvous"))
    await eventually(
      "server lost and found",
      () => heard(ada.page),
      (lines) =>
        lines.some((line) => line.includes("server true")) &&
        lines.some((line) => line.includes("server false ServerUnreachable")),
    )
    expect((await heard(ada.page)).filter((line) => /left|joined|connection/.test(line))).toEqual([])
  })

  test("a machine that sleeps for five seconds wakes up in the call", async () => {
    const machine = processesOf(bob.pid)
    expect(machine.length).toBeGreaterThan(2)
    const asleep = Date.now()
    for (const pid of machine) process.kill(pid, "SIGSTOP")
    try {
      await eventually(
        "trouble on ada's tile",
        () => tileText(ada.page),
        (text) => text.startsWith("Connection trouble"),
        NOTICED_MS,
      )
      await ada.page.waitForTimeout(Math.max(0, 5_000 - (Date.now() - asleep)))
    } finally {
      for (const pid of machine) process.kill(pid, "SIGCONT")
    }
    console.log(`  ${await bothMove(ada, bob)}`)
    await eventually(
      "direct",
      () => connectionOf(ada.page),
      (states) => states.join() === "direct",
    )
    expect((await heard(ada.page)).filter((line) => /left|joined/.test(line))).toEqual([])
    await waitForMembers(bob.page, 2)
  })

  test("sleep from the API: the page stands still, the call goes on", async () => {
    await bob.page.evaluate(() => globalThis.holomesh.room?.simulate("sleep"))
    console.log(`  ${await bothMove(ada, bob)}`)
    await eventually(
      "direct",
      () => connectionOf(ada.page),
      (states) => states.join() === "direct",
    )
    await eventually(
      "direct",
      () => connectionOf(bob.page),
      (states) => states.join() === "direct",
    )
    expect((await heard(ada.page)).filter((line) => /left|joined/.test(line))).toEqual([])
  })

  test("full-rejoin: out of the group and in again by itself", async () => {
    await bob.page.evaluate(() => globalThis.holomesh.room?.simulate("full-rejoin"))
    await inRoom(bob.page)
    await waitForMembers(ada.page, 2)
    console.log(`  ${await bothMove(ada, bob, 20_000)}`)
  })

  test("unknown simulations are refused", async () => {
    const refusal = await ada.page.evaluate(() => {
      try {
        globalThis.holomesh.room?.simulate("earthquake" as "sleep")
        return "none"
      } catch (error) {
        return (error as { code?: string }).code
      }
    })
    expect(refusal).toBe("UsageError")
  })

  test("six reloads: the picture is there both ways each time", async () => {
    const times: string[] = []
    for (let round = 0; round < 6; round++) {
      const began = Date.now()
      await bob.page.reload()
      await inRoom(bob.page)
      const joined = Date.now() - began
      const at = async (page: Page, code: number) => {
        await eventually(
          `picture ${code}`,
          () => frameOf(page, code),
          (frame) => frame !== undefined,
        )
        return Date.now() - began
      }
      const last = await frameOf(ada.page, CODES.bob)
      const [toBob, toAda] = await Promise.all([
        at(bob.page, CODES.ada),
        at(ada.page, CODES.bob).then(() => moves(ada.page, CODES.bob)),
      ])
      times.push(
        `joined ${joined}, bob sees ada ${toBob}, ada sees bob move after ${Date.now() - began} (${toAda}; ${last ?? "-"})`,
      )
    }
    console.log(`  ms after the reload:\n    ${times.join("\n    ")}`)
    expect(await seenPictures(ada.page)).toHaveLength(1)
  })

  test("a closed tab is gone at once, a killed browser after a while, and the tile says so before", async () => {
    const cleo = await stage.open("cleo", 33, path("cleo"))
    await eventually(
      "ada sees cleo",
      () => seenPictures(ada.page),
      (tiles) => tiles.some(({ code }) => code === 33),
    )
    const closed = Date.now()
    await cleo.page.close()
    await waitForMembers(ada.page, 2)
    console.log(`  closed tab gone after ${Date.now() - closed} ms`)
    // It said so itself: nobody had to wait until it counted as gone.
    const reasons = (await heard(ada.page)).flatMap((line) => /left (\w+)$/.exec(line)?.[1] ?? [])
    expect(reasons).toEqual(["left"])
    const killed = Date.now()
    bob.kill()
    await eventually(
      "trouble on the tile",
      () => tileText(ada.page),
      (text) => text.startsWith("Connection"),
      NOTICED_MS,
    )
    console.log(`  the tile said so after ${Date.now() - killed} ms`)
    await waitForMembers(ada.page, 1)
    console.log(`  killed browser gone after ${Date.now() - killed} ms`)
    expect((await heard(ada.page)).filter((line) => line.includes("left gone"))).toHaveLength(1)
  })
})
