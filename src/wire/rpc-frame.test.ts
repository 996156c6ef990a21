import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { fromHex, toHex, utf8Encode } from "./bytes.ts"
import {
  decodeRpc,
  encodeRpc,
  encodeRpcInto,
  MAX_RPC_BODY,
  MAX_RPC_ITEM,
  RPC_FLAGS,
  type RpcFrame,
  readRpcHead,
  rpcLength,
} from "./rpc-frame.ts"
import { rpcHeaderText, toRpcHeaders } from "./rpc-header.ts"
import { checkCodec, codeOf, FUZZ_RUNS, failureOf } from "./testing.ts"

const callId = 0x1122334455667788n
const body = utf8Encode("hi")
const request: RpcFrame = {
  kind: "request",
  flags: 0,
  seq: 0,
  callId,
  service: "echo",
  timeoutMs: 5_000,
  responseWindow: 0,
  headers: [],
  body,
}
const response: RpcFrame = {
  kind: "response",
  flags: 0,
  seq: 0,
  callId,
  status: 8,
  headers: [],
  body: utf8Encode("capability denied: nrpc:echo"),
}
const frames: RpcFrame[] = [
  request,
  response,
  {
    ...request,
    flags: 0xffff,
    service: "a/b.c-d_e",
    responseWindow: 65_535,
    headers: toRpcHeaders({ TraceParent: "00-1", x: "" }),
  },
  { kind: "chunk", flags: RPC_FLAGS.requestEnd, seq: 7, callId, body },
  { kind: "grant", flags: 0, seq: 0, callId, credits: 65_535 },
  { kind: "request-grant", flags: 0, seq: 0, callId, credits: 1 },
  { kind: "cancel", flags: 0, seq: 0, callId },
  { kind: "deadline-exceeded", flags: 0, seq: 0, callId },
]

describe("RPC frames", () => {
  it("have the published bytes", () => {
    expect(toHex(encodeRpc(request))).toBe("10000000000000008877665544332211046563686f881300000000000000020000006869")
    expect(toHex(encodeRpc(response))).toBe(
      "110000000000000088776655443322110800001c0000006361706162696c6974792064656e6965643a206e7270633a6563686f",
    )
  })

  it("survive hostile bytes and keep every bit they accept", () => {
    checkCodec({
      decode: decodeRpc,
      encode: encodeRpc,
      codes: ["Truncated", "TooLarge", "InvalidUtf8", "Malformed"],
      samples: frames.map(encodeRpc),
    })
  })

  it("RPC-R2: are written into a buffer exactly as on their own", () => {
    const arbitrary = fc.record({
      frame: fc.constantFrom(...frames),
      body: fc.uint8Array({ maxLength: 40 }),
      offset: fc.nat(20),
      seq: fc.nat(),
    })
    fc.assert(
      fc.property(arbitrary, ({ frame: chosen, body, offset, seq }) => {
        const frame: RpcFrame = "body" in chosen ? { ...chosen, body, seq } : { ...chosen, seq }
        const buffer = new Uint8Array(offset + rpcLength(frame) + 2).fill(0xaa)
        const end = encodeRpcInto(frame, buffer, offset)
        return (
          end === buffer.length - 2 && toHex(buffer.subarray(offset, end)) === toHex(encodeRpc(frame)) && buffer[end] === 0xaa
        )
      }),
      { numRuns: FUZZ_RUNS / 10 },
    )
    expect(codeOf(() => encodeRpcInto(request, new Uint8Array(35), 0))).toBe("UsageError")
  })

  it("give the body as a view of the input", () => {
    const bytes = encodeRpc(request)
    const frame = decodeRpc(bytes)
    expect("body" in frame && frame.body.buffer === bytes.buffer).toBe(true)
  })

  it("name what is wrong with them", () => {
    const bytes = encodeRpc(request)
    for (let length = 0; length < bytes.length; length++)
      expect(codeOf(() => decodeRpc(bytes.subarray(0, length)))).toBe("Truncated")
    const changed = (at: number, value: number) => {
      const copy = bytes.slice()
      copy[at] = value
      return codeOf(() => decodeRpc(copy))
    }
    expect(codeOf(() => decodeRpc(fromHex(`${toHex(bytes)}00`)))).toBe("Malformed")
    expect([changed(0, 0x17), changed(1, 1), changed(16, 0), changed(16, 129)]).toEqual(Array(4).fill("Malformed"))
    expect([changed(17, 0x45), changed(17, 0xff)]).toEqual(["Malformed", "InvalidUtf8"])
    expect(changed(27, 1)).toBe("Malformed")
    expect(changed(29, 33)).toBe("TooLarge")
    expect(codeOf(() => decodeRpc(new Uint8Array(16)))).toBe("Malformed")
    expect(readRpcHead(bytes)).toMatchObject({ kind: "request", callId })
    expect(readRpcHead(bytes.subarray(1))).toBeUndefined()
  })

  it("announce too much before anything is allocated", () => {
    const declared = (flags: number, size: number) => {
      const out = encodeRpc({ kind: "response", flags, seq: 0, callId, status: 0, headers: [], body: new Uint8Array() })
      new DataView(out.buffer).setUint32(19, size, true)
      return failureOf(() => decodeRpc(out))
    }
    expect(declared(0, MAX_RPC_BODY + 1)).toMatchObject({ code: "TooLarge", details: { field: "body", limit: MAX_RPC_BODY } })
    expect(declared(0, MAX_RPC_BODY)).toMatchObject({ code: "Truncated" })
    for (const flags of [RPC_FLAGS.responseContinue, RPC_FLAGS.responseEnd]) {
      expect(declared(flags, MAX_RPC_ITEM + 1)).toMatchObject({ code: "TooLarge", details: { limit: MAX_RPC_ITEM } })
    }
    expect(codeOf(() => encodeRpc({ kind: "chunk", flags: 0, seq: 1, callId, body: new Uint8Array(MAX_RPC_ITEM + 1) }))).toBe(
      "TooLarge",
    )
  })

  it("refuse values they cannot carry", () => {
    const bad: Partial<RpcFrame>[] = [
      { callId: 0n },
      { flags: 0x10000 },
      { seq: -1 },
      { service: "Echo" },
      { service: "a/qg/b" },
      { responseWindow: 65_536 },
      { headers: [{ name: "A", value: body }] },
      { headers: [{ name: "a", value: new Uint8Array(4_097) }] },
      { headers: Array(2).fill({ name: "a", value: body }) },
      { headers: Array.from({ length: 33 }, (_, i) => ({ name: `h${i}`, value: body })) },
    ]
    for (const change of bad) expect(codeOf(() => encodeRpc({ ...request, ...change } as RpcFrame))).toBe("UsageError")
    for (const credits of [0, 65_536]) {
      expect(codeOf(() => encodeRpc({ kind: "grant", flags: 0, seq: 0, callId, credits }))).toBe("UsageError")
    }
  })

  it("take headers in any case and refuse those that collide", () => {
    const headers = toRpcHeaders({ "Content-Type": "text/plain", raw: fromHex("ff") })
    expect([rpcHeaderText(headers, "content-type"), rpcHeaderText(headers, "raw"), rpcHeaderText(headers, "x")]).toEqual([
      "text/plain",
      undefined,
      undefined,
    ])
    for (const bad of [{ a: "1", A: "2" }, { "a b": "" }, { "": "" }, { a: "\ud800" }, { a: new Uint8Array(4_097) }]) {
      expect(codeOf(() => toRpcHeaders(bad))).toBe("UsageError")
    }
  })
})
