import { describe, expect, it } from "vitest"
import { PICTURE_TAKEN, picturesFrom, picturesTo, WANT_PICTURE } from "./picture-port.ts"

/** Our end of a port whose other end is held by the code under test. Messages arrive at once. */
function fakePort() {
  const sent: unknown[] = []
  const port = {
    onmessage: null as ((event: { data: unknown }) => void) | null,
    closed: false,
    postMessage: (data: unknown) => void sent.push(data),
    close() {
      this.closed = true
    },
  }
  return { port: port as unknown as MessagePort, sent, say: (data: unknown) => port.onmessage?.({ data }), state: port }
}

function picture(name: number) {
  return { name, closed: false, close() {} } as unknown as VideoFrame
}

describe("pictures over a port", () => {
  it("asks for two pictures, then for one per picture read, and ends with the track", async () => {
    const { port, sent, say, state } = fakePort()
    const reader = picturesFrom(port).getReader()
    await new Promise((resolve) => setTimeout(resolve))
    const wants = () => sent.filter((message) => message === WANT_PICTURE).length
    say(picture(1))
    say(picture(2))
    await new Promise((resolve) => setTimeout(resolve))
    expect(wants()).toBe(2)
    expect((await reader.read()).value).toMatchObject({ name: 1 })
    await new Promise((resolve) => setTimeout(resolve))
    expect(wants()).toBe(3)
    say(null)
    expect((await reader.read()).value).toMatchObject({ name: 2 })
    expect((await reader.read()).done).toBe(true)
    expect(state.closed).toBe(true)
  })

  it("tells the page when nobody reads any more", async () => {
    const { port, sent, state } = fakePort()
    await picturesFrom(port).cancel()
    expect(sent.at(-1)).toBeNull()
    expect(state.closed).toBe(true)
  })

  it("writes the next picture only when the page has shown the one before", async () => {
    const { port, sent, say, state } = fakePort()
    const writer = picturesTo(port).getWriter()
    const first = writer.write(picture(1))
    const second = writer.write(picture(2))
    await new Promise((resolve) => setTimeout(resolve))
    expect(sent).toHaveLength(1)
    say(PICTURE_TAKEN)
    await first
    await new Promise((resolve) => setTimeout(resolve))
    expect(sent).toHaveLength(2)
    say(PICTURE_TAKEN)
    await second
    await writer.close()
    expect(sent.at(-1)).toBeNull()
    expect(state.closed).toBe(true)
  })
})
