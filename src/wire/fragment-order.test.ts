import fc from "fast-check"
import { expect, it } from "vitest"
import { FrameAssembler, FrameSplitter } from "./fragment.ts"

it("messages of one order arrive in the order they were queued, whatever their lengths; nothing is lost", () => {
  const message = fc.record({
    order: fc.constantFrom(undefined, 1n, 2n),
    length: fc.constantFrom(4, 16_380, 16_381, 40_000),
    now: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), (messages) => {
      const splitter = new FrameSplitter()
      const assembler = new FrameAssembler()
      const arrived: number[] = []
      const pump = () => {
        const frame = splitter.next()
        if (frame === undefined) return false
        const whole = assembler.push(frame, 0)
        if (whole !== undefined) arrived.push(new DataView(whole.payload.buffer, whole.payload.byteOffset).getUint32(0))
        return true
      }
      for (const [index, { order, length, now }] of messages.entries()) {
        const payload = new Uint8Array(length)
        new DataView(payload.buffer).setUint32(0, index)
        splitter.enqueue(0x20, payload, order)
        if (now) pump()
      }
      while (pump()) expect(splitter.pendingMessages).toBeGreaterThanOrEqual(0)
      expect([splitter.pendingMessages, splitter.pendingBytes]).toEqual([0, 0])
      expect([...arrived].sort((a, b) => a - b)).toEqual(messages.map((_, index) => index))
      for (const order of [1n, 2n]) {
        const ours = arrived.filter((index) => messages[index]?.order === order)
        expect(ours).toEqual([...ours].sort((a, b) => a - b))
      }
    }),
    { numRuns: 500 },
  )
})
