import type { IncomingMessage } from "node:http"
import { expect, test } from "vitest"
import { clientAddress, isForwardedByStranger } from "./client-address.ts"

function from(remoteAddress: string, forwarded?: string): IncomingMessage {
  return { socket: { remoteAddress }, headers: { "x-forwarded-for": forwarded } } as unknown as IncomingMessage
}

test("the header of an unknown peer is not believed", () => {
  expect(clientAddress(from("203.0.113.5", "198.51.100.1"), ["10.0.0.1"])).toBe("203.0.113.5")
  expect(clientAddress(from("::ffff:203.0.113.5"), [])).toBe("203.0.113.5")
})

test("a proxy that nobody named is noticed", () => {
  expect(isForwardedByStranger(from("10.0.0.9", "198.51.100.1"), ["10.0.0.1"])).toBe(true)
  expect(isForwardedByStranger(from("::ffff:10.0.0.1", "198.51.100.1"), ["10.0.0.1"])).toBe(false)
  expect(isForwardedByStranger(from("10.0.0.9"), ["10.0.0.1"])).toBe(false)
})

test("behind proxies the right-most foreign entry counts", () => {
  const proxies = ["10.0.0.1", "10.0.0.2"]
  expect(clientAddress(from("::ffff:10.0.0.1", "6.6.6.6, 198.51.100.1, 10.0.0.2"), proxies)).toBe("198.51.100.1")
  expect(clientAddress(from("10.0.0.1", "10.0.0.2"), proxies)).toBe("10.0.0.1")
  expect(clientAddress(from("10.0.0.1"), proxies)).toBe("10.0.0.1")
})
