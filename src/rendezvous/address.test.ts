import { expect, test } from "vitest"
import { serverAddress } from "./address.ts"

test("query and fragment never reach the socket", () => {
  const { url, loopback } = serverAddress("wss://Example.org:443/a/?name=Ann#k=secret", false)
  expect([url, loopback]).toEqual(["wss://example.org/a/", false])
})

test("loopback addresses may go without TLS, others may not", () => {
  for (const host of ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"]) {
    expect(serverAddress(`ws://${host}:8080/`, false).loopback).toBe(true)
  }
  for (const host of ["example.org", "192.168.0.2", "localhost.example.org", "127.example.org"]) {
    expect(() => serverAddress(`ws://${host}/`, false)).toThrow(expect.objectContaining({ code: "ServerRefused" }))
    expect(serverAddress(`ws://${host}/`, true).loopback).toBe(false)
  }
})

test("what is no server address is RoomUrlInvalid", () => {
  for (const text of ["", "tea", "https://example.org/", "wss://ann@example.org/", "wss://a:b@example.org/", "wss://"]) {
    expect(() => serverAddress(text, true)).toThrow(expect.objectContaining({ code: "RoomUrlInvalid" }))
  }
})
