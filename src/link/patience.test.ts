import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { patiently } from "./patience.ts"

const never = new Promise<string>(() => {})

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

test("an answer is passed on, and so is a failure; nobody looks any more", async () => {
  const look = vi.fn(() => undefined)
  await expect(patiently(Promise.resolve("here"), look)).resolves.toBe("here")
  await expect(patiently(Promise.reject(new RangeError("no")), look)).rejects.toThrow("no")
  expect([vi.getTimerCount(), look.mock.calls.length]).toEqual([0, 0])
})

test("an answer that does not come is replaced, or the wait ends with what the look throws", async () => {
  const times: number[] = []
  const waiting = patiently(never, (waitedMs) => {
    times.push(waitedMs)
    return waitedMs < 1_500 ? undefined : "instead"
  })
  const failing = patiently(never, () => {
    throw new RangeError("it has ended")
  })
  const failed = expect(failing).rejects.toThrow("it has ended")
  await vi.advanceTimersByTimeAsync(1_500)
  await expect(waiting).resolves.toBe("instead")
  await failed
  expect([times, vi.getTimerCount()]).toEqual([[500, 1_000, 1_500], 0])
})
