/**
 * Writes `conformance/vectors/control-plane-rpc.json`: frames of calls, retries, routing, NAT and paths. Frames are put together here
 * by hand from the layout, and answers come from tables written down here, so that the product is compared with a second reading of
 * the specification. Deterministic. `npx tsx conformance/generate/control-plane-rpc.ts`
 */
import { writeFile } from "node:fs/promises"

const hex = (bytes: Uint8Array | Buffer) => Buffer.from(bytes).toString("hex")
const le = (value: number | bigint, size: number) => {
  const out = Buffer.alloc(size)
  for (let i = 0, left = BigInt(value); i < size; i++, left >>= 8n) out[i] = Number(left & 255n)
  return out
}
const ascii = (text: string) => Buffer.from(text, "latin1")
const KINDS = {
  REQUEST: 16,
  RESPONSE: 17,
  CANCEL: 18,
  DEADLINE_EXCEEDED: 19,
  STREAM_GRANT: 20,
  REQUEST_CHUNK: 21,
  REQUEST_GRANT: 22,
}

interface Fields {
  kind: keyof typeof KINDS
  flags?: number
  seq?: number
  call_id: string
  service?: string
  timeout_ms?: number
  response_window?: number
  headers?: [string, string][]
  body?: string
  status?: number
  credits?: number
}

function frame(fields: Fields): Buffer {
  const { kind, flags = 0, seq = 0, call_id, service = "", headers = [], body = "" } = fields
  const head = [le(KINDS[kind], 1), le(0, 1), le(flags, 2), le(seq, 4), le(BigInt(call_id), 8)]
  const payload = Buffer.from(body, "hex")
  const tail = [le(payload.length, 4), payload]
  const list = [le(headers.length, 1)]
  for (const [name, value] of headers)
    list.push(le(name.length, 1), ascii(name), le(value.length / 2, 2), Buffer.from(value, "hex"))
  switch (kind) {
    case "REQUEST": {
      const { timeout_ms = 0, response_window = 0 } = fields
      return Buffer.concat([
        ...head,
        le(service.length, 1),
        ascii(service),
        le(timeout_ms, 4),
        le(response_window, 4),
        ...list,
        ...tail,
      ])
    }
    case "RESPONSE":
      return Buffer.concat([...head, le(fields.status ?? 0, 2), ...list, ...tail])
    case "REQUEST_CHUNK":
      return Buffer.concat([...head, ...tail])
    case "STREAM_GRANT":
    case "REQUEST_GRANT":
      return Buffer.concat([...head, le(fields.credits ?? 0, 4)])
    default:
      return Buffer.concat(head)
  }
}

const call_id = "1234605616436508552"
const request: Fields = {
  kind: "REQUEST",
  flags: 0,
  call_id,
  service: "echo",
  timeout_ms: 5_000,
  response_window: 0,
  headers: [],
  body: "6869",
}
const good: [string, Fields][] = [
  ["request", request],
  [
    "request, all fields",
    {
      ...request,
      flags: 0x36,
      service: "a-b/c_d.e",
      timeout_ms: 0xffffffff,
      response_window: 65_535,
      headers: [
        ["!#$%&'*+-.^_`|~09az", "00ff"],
        ["x", ""],
      ],
      body: "",
    },
  ],
  ["request, call id of ones", { ...request, call_id: "18446744073709551615", service: "z".repeat(128) }],
  [
    "response",
    { kind: "RESPONSE", flags: 0, seq: 0, call_id, status: 8, headers: [], body: hex(ascii("capability denied: nrpc:echo")) },
  ],
  ["item", { kind: "RESPONSE", flags: 0x100, seq: 0xffffffff, call_id, status: 0, headers: [], body: "00".repeat(300) }],
  ["last item", { kind: "RESPONSE", flags: 0x200, seq: 1, call_id, status: 0x8000, headers: [["a", "01"]], body: "" }],
  ["chunk", { kind: "REQUEST_CHUNK", flags: 0x20, seq: 3, call_id, body: "aa" }],
  ["cancel", { kind: "CANCEL", call_id }],
  ["deadline", { kind: "DEADLINE_EXCEEDED", call_id }],
  ["grant", { kind: "STREAM_GRANT", call_id, credits: 1 }],
  ["request grant", { kind: "REQUEST_GRANT", call_id, credits: 65_535 }],
]

/** The echo request with some bytes replaced. */
function changed(at: number, bytes: number[]): string {
  const out = frame(request)
  Buffer.from(bytes).copy(out, at)
  return hex(out)
}
const declared = (fields: Fields, at: number, size: number) => {
  const out = frame(fields)
  le(size, 4).copy(out, at)
  return hex(out)
}
const response: Fields = { kind: "RESPONSE", call_id, status: 0 }
const bad: [string, string, string][] = [
  ["nothing", "", "Truncated"],
  ["kind 0x17", changed(0, [0x17]), "Malformed"],
  ["reserved byte", changed(1, [1]), "Malformed"],
  ["call id 0", changed(8, [0, 0, 0, 0, 0, 0, 0, 0]), "Malformed"],
  ["no service name", changed(16, [0]), "Malformed"],
  ["upper case service", changed(17, [0x45]), "Malformed"],
  ["service not UTF-8", changed(17, [0xff]), "InvalidUtf8"],
  ["window 65536", changed(25, [0, 0, 1, 0]), "Malformed"],
  ["33 headers", changed(29, [33]), "TooLarge"],
  ["trailing byte", `${hex(frame(request))}00`, "Malformed"],
  ["cancel with a body", `${hex(frame({ kind: "CANCEL", call_id }))}00`, "Malformed"],
  ["request body above the limit", declared(request, 30, 4_194_305), "TooLarge"],
  ["response body above the limit", declared(response, 19, 4_194_305), "TooLarge"],
  ["response body at the limit", declared(response, 19, 4_194_304), "Truncated"],
  ["item above the limit", declared({ ...response, flags: 0x200 }, 19, 65_537), "TooLarge"],
  ["chunk above the limit", declared({ kind: "REQUEST_CHUNK", call_id }, 16, 65_537), "TooLarge"],
  ["no credits", hex(frame({ kind: "STREAM_GRANT", call_id, credits: 0 })), "Malformed"],
  ["too many credits", hex(frame({ kind: "REQUEST_GRANT", call_id, credits: 65_536 })), "Malformed"],
  [
    "header twice",
    hex(
      frame({
        ...request,
        headers: [
          ["a", ""],
          ["a", ""],
        ],
      }),
    ),
    "Malformed",
  ],
  ["upper case header", hex(frame({ ...request, headers: [["A", ""]] })), "Malformed"],
  ["long header value", hex(frame({ ...request, headers: [["a", "00".repeat(4_097)]] })), "TooLarge"],
  ["queue group as service", hex(frame({ ...request, service: "a/qg/b" })), "Malformed"],
]

const block = (host: string, port: number) => {
  const four = host.split(".").map(Number)
  return hex(Buffer.concat([Buffer.from([4, ...four]), Buffer.alloc(12), le(port, 2)]))
}
const candidate = (host: string, port: number, typ: number, proto = 0) => ({ addr: block(host, port), typ, proto, priority: 1 })
const [A, B] = [block("1.1.1.1", 50_000), block("1.1.1.1", 50_001)]
const seen = (observer: number, observer_ip: string, mapped: string) => ({ observer, observer_ip, mapped })
const classes = ["open", "cone", "symmetric", "unknown"]
const actions = [
  "direct direct single direct",
  "direct single single single",
  "single single skip skip",
  "direct single skip direct",
]
const paths = (ok: boolean, platform: string, ...entries: object[]) => ({ entries, platform, ok })
const file = (path: string) => ({ path, kind: "file" })
const link = (path: string, target: string) => ({ path, kind: "symlink", target })

const sections = {
  rpc_frames: [
    ...good.map(([name, fields]) => ({ name, fields, bytes: hex(frame(fields)) })),
    ...bad.map(([name, bytes, error]) => ({ name, bytes, error })),
  ],
  retryable: [
    ...["no-route", "codec", "capability-denied", "cancelled"].map((kind) => ({ error: { kind }, result: false })),
    ...["timeout", "transport"].map((kind) => ({ error: { kind }, result: true })),
    ...[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0x7fff, 0x8000].map((status) => ({
      error: { kind: "server-error", status },
      result: [3, 4, 6].includes(status),
    })),
  ],
  sticky: [{ key: "5", nodes: ["047e8b2117aa69b3", "652f03ba688dde03"], result: "652f03ba688dde03" }],
  candidates: [
    {
      cands: [
        candidate("1.1.1.1", 1_024, 1),
        candidate("1.1.1.1", 1_023, 1),
        candidate("1.1.1.2", 50_000, 1),
        candidate("10.0.0.1", 50_000, 0),
        candidate("127.0.0.1", 50_000, 0),
        candidate("8.8.8.8", 443, 2),
        candidate("8.8.8.8", 443, 2, 1),
      ],
      peer_attested: [block("1.1.1.1", 0)],
      own_attested: [block("9.9.9.9", 0)],
      relay_allow: [block("8.8.8.8", 0)],
      kept: [0, 5],
      reasons: [null, "port", "unattested", "private-cross-site", "bad-range", null, "tcp"],
    },
    {
      cands: [candidate("10.0.0.1", 50_000, 0), candidate("10.0.0.1", 50_000, 1), candidate("1.1.1.1", 50_000, 0)],
      peer_attested: [block("1.1.1.1", 0)],
      own_attested: [block("1.1.1.1", 0)],
      relay_allow: [],
      kept: [0, 2],
      reasons: [null, "private-cross-site", null],
    },
  ],
  classify: [
    {
      observations: [seen(1, "5.5.5.5", A), seen(2, "6.6.6.6", A)],
      host_addrs: [],
      override: false,
      dial_back: false,
      result: "cone",
    },
    {
      observations: [seen(1, "5.5.5.5", A), seen(2, "6.6.6.6", A)],
      host_addrs: [A],
      override: false,
      dial_back: true,
      result: "open",
    },
    {
      observations: [seen(1, "5.5.5.5", A), seen(2, "6.6.6.6", A)],
      host_addrs: [A],
      override: false,
      dial_back: false,
      result: "cone",
    },
    {
      observations: [seen(1, "5.5.5.5", A), seen(2, "5.5.5.5", A)],
      host_addrs: [],
      override: false,
      dial_back: false,
      result: null,
    },
    {
      observations: [seen(1, "5.5.5.5", A), seen(2, "5.5.5.5", B)],
      host_addrs: [],
      override: false,
      dial_back: false,
      result: "symmetric",
    },
    {
      observations: [seen(1, "5.5.5.5", B), seen(1, "5.5.5.5", A)],
      host_addrs: [],
      override: false,
      dial_back: false,
      result: null,
    },
    { observations: [], host_addrs: [], override: true, dial_back: false, result: "open" },
  ],
  pair_action: classes.flatMap((local, i) => classes.map((remote, k) => ({ local, remote, result: actions[i]?.split(" ")[k] }))),
  clamped_offsets: [
    { fire_at: "0", now: "1000", deadline: "5000", result: ["0", "100", "250"] },
    { fire_at: "3000", now: "1000", deadline: "5000", result: ["2000", "2100", "2250"] },
    { fire_at: "18446744073709551615", now: "0", deadline: "5000", result: ["5000", "5100", "5250"] },
    {
      fire_at: "18446744073709551615",
      now: "0",
      deadline: "18446744073709551615",
      result: Array(3).fill("18446744073709551615"),
    },
  ],
  dir_paths: [
    paths(true, "posix", file("a"), { path: "b", kind: "dir" }, file("b/c"), link("b/l", "../a")),
    paths(false, "posix", file("a"), file("A")),
    paths(false, "posix", file("\u00e9"), { path: "e\u0301", kind: "dir" }),
    paths(false, "posix", file("a"), file("a/b")),
    paths(false, "posix", link("L", "x"), file("l/b")),
    paths(false, "posix", link("a", "."), link("b", "a/sub/../../etc")),
    paths(false, "posix", link("a/b/link", "../../../../etc")),
    paths(false, "posix", link("l", "../etc")),
    paths(true, "posix", link("a", "."), link("b", "a")),
    paths(true, "posix", file("nul")),
    paths(false, "windows", file("nul.txt")),
    paths(false, "opfs", file("a:b")),
  ],
}
const target = new URL("../vectors/control-plane-rpc.json", import.meta.url)
await writeFile(target, `${JSON.stringify({ meta: { about: "calls, NAT, candidates, paths" }, ...sections })}\n`)
