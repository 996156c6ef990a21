/** Two browser processes call each other: one answer, a stream, a list that refuses, tokens on a channel. */
import { expect, test } from "@playwright/test"
import { type Person, type Stage, setStage } from "./browsers.ts"
import { callPath, waitForMembers } from "./room-page.ts"

test.describe.configure({ mode: "serial" })

test.describe("calls between two tabs", () => {
  let stage: Stage
  let ada: Person
  let bob: Person
  const path = callPath("calls")

  test.beforeAll(async () => {
    stage = await setStage()
    ada = await stage.open("ada", 11, path("ada"))
    // Calls go beside Ada's picture and sound.
    bob = await stage.open("bob", 22, path("bob", "&mode=audience"))
    for (const person of [ada, bob]) await waitForMembers(person.page, 2)
    await ada.page.evaluate(() => {
      const room = globalThis.holomesh.room
      if (room === undefined) throw new Error("not in a room")
      room.rpc.serve("upper", (body, { caller }) => {
        const text = new TextDecoder().decode(body).toUpperCase()
        return new TextEncoder().encode(`${text} for ${caller.name}`)
      })
      room.rpc.serveStream("count", async function* (body) {
        for (let i = 1; i <= Number(new TextDecoder().decode(body)); i++) yield new TextEncoder().encode(`${i}`)
      })
      room.rpc.serve("secret", () => new Uint8Array([42]), { allow: (caller) => caller.name === "nobody" })
      room.rpc.serve("large", (body) => body)
    })
  })
  test.afterAll(async () => stage.close())

  test("one answer, from the member that offers the service", async () => {
    const answer = await bob.page.evaluate(async () => {
      const room = globalThis.holomesh.room
      if (room === undefined) throw new Error("not in a room")
      const [ada] = room.participants.values()
      if (ada === undefined) throw new Error("nobody else is here")
      while (room.capabilities.providers("upper").length === 0) {
        await new Promise<void>((resolve) => {
          const stop = room.capabilities.onChange(() => {
            stop()
            resolve()
          })
        })
      }
      const body = new TextEncoder().encode("hello")
      const answers = [await room.rpc.call(ada, "upper", body), await room.rpc.call("any", "upper", body)]
      return answers.map((bytes) => new TextDecoder().decode(bytes))
    })
    expect(answer).toEqual(["HELLO for bob", "HELLO for bob"])
  })

  test("a stream of items, and a body of four megabytes there and back", async () => {
    const result = await bob.page.evaluate(async () => {
      const room = globalThis.holomesh.room
      if (room === undefined) throw new Error("not in a room")
      const items: string[] = []
      for await (const item of room.rpc.callStream("any", "count", new TextEncoder().encode("300"))) {
        items.push(new TextDecoder().decode(item))
      }
      const body = Uint8Array.from({ length: 4_000_000 }, (_, i) => i % 251)
      const back = await room.rpc.call("any", "large", body)
      return { items, same: back.length === body.length && back.every((byte, i) => byte === body[i]) }
    })
    expect(result.items).toEqual(Array.from({ length: 300 }, (_, i) => `${i + 1}`))
    expect(result.same).toBe(true)
  })

  test("a list refuses, with a typed error at the caller and a count at the callee", async () => {
    const failure = await bob.page.evaluate(async () => {
      const room = globalThis.holomesh.room
      if (room === undefined) throw new Error("not in a room")
      const [ada] = room.participants.values()
      if (ada === undefined) throw new Error("nobody else is here")
      try {
        await room.rpc.call(ada, "secret", new Uint8Array())
        return "no failure"
      } catch (error) {
        return (error as { failure?: { kind: string; capability: string } }).failure
      }
    })
    expect(failure).toMatchObject({ kind: "capability-denied", capability: "secret" })
    const denied = await ada.page.evaluate(async () => (await globalThis.holomesh.room?.stats())?.control.deniedByCalleesGate)
    expect(denied).toEqual({ secret: 1 })
  })

  test("a policy for the whole page is known to the others", async () => {
    await ada.page.evaluate(() => {
      const room = globalThis.holomesh.room
      room?.capabilities.announce({ policy: { participants: [room.local] } })
    })
    const kind = await bob.page.evaluate(async () => {
      const room = globalThis.holomesh.room
      if (room === undefined) throw new Error("not in a room")
      const [ada] = room.participants.values()
      if (ada === undefined) throw new Error("nobody else is here")
      for (let i = 0; i < 100 && room.capabilities.mayCall(ada, "upper"); i++) {
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      const calls = [room.rpc.call("any", "upper", new Uint8Array()), room.rpc.call(ada, "upper", new Uint8Array())]
      const results = await Promise.allSettled(calls)
      return results.map((result) => (result.status === "rejected" ? result.reason.failure?.kind : "no failure"))
    })
    expect(kind).toEqual(["capability-denied", "capability-denied"])
    await ada.page.evaluate(() => globalThis.holomesh.room?.capabilities.announce({ policy: {} }))
  })

  test("a subnet or group admits whoever claims it, and nobody else", async () => {
    for (const [kind, length] of [
      ["subnets", 16],
      ["groups", 32],
    ] as const) {
      await ada.page.evaluate(
        ({ kind, length }) => {
          const policy = { [kind]: [new Uint8Array(length).fill(0xcd)] }
          globalThis.holomesh.room?.capabilities.announce({ policy })
        },
        { kind, length },
      )
      const tag = `${kind.slice(0, -1)}:${"cd".repeat(length)}`
      const outcomes: unknown[] = []
      for (const tags of [[], [tag]]) {
        outcomes.push(
          await bob.page.evaluate(async (tags) => {
            const room = globalThis.holomesh.room
            if (room === undefined) throw new Error("not in a room")
            const [ada] = room.participants.values()
            if (ada === undefined) throw new Error("nobody else is here")
            room.capabilities.announce({ tags })
            const wanted = tags.length > 0
            // What this page said holds at the other one a moment later.
            for (let i = 0; ; i++) {
              const outcome = await room.rpc.call(ada, "upper", new TextEncoder().encode("x")).then(
                (bytes) => new TextDecoder().decode(bytes),
                (error: { failure?: { kind: string } }) => error.failure?.kind ?? "another error",
              )
              if (i === 100 || (outcome === "capability-denied") !== wanted) return outcome
              await new Promise((resolve) => setTimeout(resolve, 100))
            }
          }, tags),
        )
      }
      expect(outcomes).toEqual(["capability-denied", "X for bob"])
    }
    await ada.page.evaluate(() => globalThis.holomesh.room?.capabilities.announce({ policy: {} }))
  })

  test("streams of every shape are refused like single calls", async () => {
    await ada.page.evaluate(() => {
      const room = globalThis.holomesh.room
      room?.rpc.serveUpload("up", () => new Uint8Array())
      room?.rpc.serveDuplex("both", (items) => items)
      room?.capabilities.announce({ policy: { participants: [room.local] } })
    })
    const kinds = await bob.page.evaluate(async () => {
      const room = globalThis.holomesh.room
      if (room === undefined) throw new Error("not in a room")
      const [ada] = room.participants.values()
      if (ada === undefined) throw new Error("nobody else is here")
      const nothing = new Uint8Array()
      const results = await Promise.allSettled([
        room.rpc.callStream(ada, "count", nothing).next(),
        room.rpc.callUpload(ada, "up", [nothing]),
        room.rpc.callDuplex(ada, "both", [nothing]).next(),
      ])
      return results.map((result) => (result.status === "rejected" ? result.reason.failure?.kind : "no failure"))
    })
    expect(kinds).toEqual(["capability-denied", "capability-denied", "capability-denied"])
    await ada.page.evaluate(() => globalThis.holomesh.room?.capabilities.announce({ policy: {} }))
  })

  test("a channel asks for tokens", async () => {
    const key = await bob.page.evaluate(() => Array.from(globalThis.holomesh.room?.capabilities.entity ?? []))
    const { root, token } = await ada.page.evaluate(async (bobKey) => {
      const room = globalThis.holomesh.room
      if (room === undefined) throw new Error("not in a room")
      await room.channel("captions", { roots: [room.local] }).open()
      const request = { to: new Uint8Array(bobKey), channel: "captions", rights: ["subscribe"], ttlSeconds: 600 } as const
      return { root: Array.from(room.capabilities.entity), token: Array.from(await room.tokens.issue(request)) }
    }, key)
    await bob.page.evaluate(
      ({ root, token }) => {
        const room = globalThis.holomesh.room
        if (room === undefined) throw new Error("not in a room")
        room.tokens.add(new Uint8Array(token))
        const heard: string[] = []
        Object.assign(globalThis, { heardCaptions: heard })
        const reader = room.channel("captions", { roots: [new Uint8Array(root)] }).subscribe()
        void (async () => {
          for await (const { data, from } of reader) heard.push(`${from.name}: ${new TextDecoder().decode(data)}`)
        })()
      },
      { root, token },
    )
    await ada.page.evaluate(async () => {
      const channel = globalThis.holomesh.room?.channel("captions")
      if (channel === undefined) throw new Error("not in a room")
      for (let i = 0; i < 100 && channel.subscribers.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 100))
      await channel.publish(new TextEncoder().encode("good morning"))
    })
    await expect
      .poll(() => bob.page.evaluate(() => (globalThis as unknown as { heardCaptions: string[] }).heardCaptions))
      .toEqual(["ada: good morning"])
    expect([ada.errors, bob.errors]).toEqual([[], []])
  })
})
