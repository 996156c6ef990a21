/**
 * Writes `conformance/vectors/wire-*.json`: cases for the byte and JSON formats.
 *
 * The expected bytes are put together here from the tables of the specification, with nothing but Node's own hashing and signing,
 * so that an error of `src/wire` cannot hide in its own answer. Deterministic: the same seed gives the same files.
 */
import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto"
import { writeFile } from "node:fs/promises"

let drawn = 0
/** Pseudo-random bytes as hex: SHA-256 in counter mode over a fixed seed. */
function hex(length: number): string {
  let out = ""
  while (out.length < 2 * length) out += createHash("sha256").update(`holomesh wire vectors ${drawn++}`).digest("hex")
  return out.slice(0, 2 * length)
}
const below = (limit: number) => Number.parseInt(hex(6), 16) % limit
const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

const uint = (value: number | bigint, bytes: number) =>
  BigInt(value)
    .toString(16)
    .padStart(2 * bytes, "0")
const reversed = (text: string) => (text.match(/../g) ?? []).reverse().join("")
const little = (value: number | bigint, bytes: number) => reversed(uint(value, bytes))
const ascii = (text: string) => Buffer.from(text, "utf8").toString("hex")
const lp16 = (bytes: string) => uint(bytes.length / 2, 2) + bytes
const lp32 = (bytes: string) => uint(bytes.length / 2, 4) + bytes
const sha256 = (bytes: string) => createHash("sha256").update(Buffer.from(bytes, "hex")).digest("hex")
const iceText = (length: number) =>
  times(length, () => pick([..."ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"])).join("")
const keyId = () => pick(["alice", "żółw", "ノード", "😀", `mk1${hex(32)}`]) + below(100)

/** Ed25519 with Node's implementation; the product uses WebCrypto or noble. */
function signer(seed: string) {
  const pkcs8 = Buffer.from(`302e020100300506032b657004220420${seed}`, "hex")
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
  const entity = createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32).toString("hex")
  const signature = (label: string, body: string) =>
    sign(null, Buffer.from(`${ascii(label)}00${body}`, "hex"), key).toString("hex")
  return { entity, signature }
}

function avMesh() {
  const header = () => {
    const layer = { spatial: below(256), temporal: below(256), quality: below(256) }
    const fields = {
      stream_id: hex(32),
      epoch: BigInt(`0x${hex(8)}`).toString(),
      chunk_seq: String(below(2 ** 40)),
      codec_id: below(256),
      layer,
    }
    const ciphertext = hex(below(40))
    const layerBytes = uint(layer.spatial, 1) + uint(layer.temporal, 1) + uint(layer.quality, 1)
    const wire = `${fields.stream_id}${uint(BigInt(fields.epoch), 8)}${uint(BigInt(fields.chunk_seq), 8)}${uint(fields.codec_id, 1)}${layerBytes}${ciphertext}`
    return { ...fields, ciphertext, wire }
  }
  const decodeLength = (length: number) => {
    const input = hex(length)
    const short = (need: number) => ({ error: "WireTooShort", got: length, need })
    const byte = (at: number) => Number.parseInt(input.slice(2 * at, 2 * at + 2), 16)
    const layer = { spatial: byte(49), temporal: byte(50), quality: byte(51) }
    const whole = { ok: { codec_id: byte(48), layer, ciphertext_len: length - 52 } }
    const legacy = { ok: { codec_id: 255, layer: { spatial: 0, temporal: 0, quality: 0 }, ciphertext_len: length - 48 } }
    const compatible = length < 48 ? short(48) : length < 52 ? legacy : whole
    return { input, strict: length < 52 ? short(52) : whole, header_only_compat: compatible }
  }
  const linkFrame = (length: number) => {
    const seq = BigInt(`0x${hex(8)}`)
    const chunk = hex(length)
    return { link_seq: seq.toString(), chunk, frame: `01${uint(seq, 8)}${chunk}` }
  }
  const admits = () => {
    const policy = { max_spatial: below(4), max_temporal: below(4), max_quality: below(4) }
    const layer = { spatial: below(4), temporal: below(4), quality: below(4) }
    const ok = layer.spatial <= policy.max_spatial && layer.temporal <= policy.max_temporal && layer.quality <= policy.max_quality
    const codec_id = pick([1, 0x80, 0x81, 0xff])
    return { policy, layer, codec_id, admits: ok, forward: ok || codec_id === 0xff }
  }
  const payload = () => {
    const frag_count = 1 + below(65_535)
    const fields = { kind: pick([1, 2, 3, 4, 127]), flags: below(8), aux: below(61), pts_us: BigInt(`0x${hex(8)}`).toString() }
    const rest = { frame_id: below(2 ** 32), frag_index: below(frag_count), frag_count, body: hex(below(30)) }
    const head = `01${uint(fields.kind, 1)}${uint(fields.flags, 1)}${uint(fields.aux, 1)}${uint(BigInt(fields.pts_us), 8)}`
    const bytes = `${head}${uint(rest.frame_id, 4)}${uint(rest.frag_index, 2)}${uint(rest.frag_count, 2)}${rest.body}`
    return { ...fields, ...rest, bytes }
  }
  const fountain = () => {
    const symbol_size = 1 + below(40)
    const f = { symbol_id: below(65_536), n_source: below(65_536), k_repair: below(65_536), symbol_size }
    const rest = { content_length: below(2 ** 32), content_kind: pick([1, 2, 4]), symbol: hex(symbol_size) }
    const head = [f.symbol_id, f.n_source, f.k_repair, f.symbol_size].map((value) => uint(value, 2)).join("")
    return { ...f, ...rest, bytes: `${head}${uint(rest.content_length, 4)}${uint(rest.content_kind, 1)}00${rest.symbol}` }
  }
  const lifetime = () => {
    const from = below(2 ** 40)
    return { not_before_unix_ms: String(from), not_after_unix_ms: String(from + below(2_592_000_000)) }
  }
  const keyPackage = () => {
    const r = {
      key_id: keyId(),
      flags: below(2),
      ...lifetime(),
      leaf_signature_pub: hex(32),
      key_package_ref: hex(32),
      key_package: hex(50),
    }
    const times2 = uint(BigInt(r.not_before_unix_ms), 8) + uint(BigInt(r.not_after_unix_ms), 8)
    const head = `${ascii("AVMESH-KEYPKG-V1")}${lp16(ascii(r.key_id))}${uint(r.flags, 1)}${times2}`
    return { ...r, canonical: `${head}${lp16(r.leaf_signature_pub)}${r.key_package_ref}${lp32(r.key_package)}` }
  }
  const leafBinding = () => {
    const r = { key_id: keyId(), leaf_signature_pub: hex(32), ...lifetime() }
    const times2 = uint(BigInt(r.not_before_unix_ms), 8) + uint(BigInt(r.not_after_unix_ms), 8)
    return { ...r, canonical: `${ascii("AVMESH-LEAFBD-V1")}${lp16(ascii(r.key_id))}${lp16(r.leaf_signature_pub)}${times2}` }
  }
  const welcome = () => {
    const w = { inviter_key_id: keyId(), joiner_key_id: keyId(), key_package_ref: hex(32), welcome: hex(60) }
    const ids = lp16(ascii(w.inviter_key_id)) + lp16(ascii(w.joiner_key_id))
    return { ...w, signing_bytes: `${ascii("AVMESH-WELCOME-1")}${ids}${w.key_package_ref}${sha256(w.welcome)}` }
  }
  return {
    header_encode: times(8, header),
    header_decode_length: [0, 1, 8, 47, 48, 49, 50, 51, 52, 53, 84, 120].map(decodeLength),
    link_frame: [0, 1, 52, 84].map(linkFrame),
    link_frame_errors: [
      ...[0, 1, 8].map((length) => ({ input: hex(length), result: "WireTooShort" })),
      { input: `01${hex(8)}`, result: "ok" },
      { input: `02${hex(56)}`, result: "ok" },
      { input: `02${hex(55)}`, result: "LinkFrameInvalid" },
      { input: `02${hex(57)}`, result: "LinkFrameInvalid" },
      { input: `00${hex(56)}`, result: "LinkFrameInvalid" },
      { input: `03${hex(8)}`, result: "LinkFrameInvalid" },
    ],
    admits: times(16, admits),
    media_payload: times(6, payload),
    fountain_body: times(4, fountain),
    key_package_record: times(3, keyPackage),
    leaf_binding_record: times(3, leafBinding),
    welcome_signing_bytes: times(3, welcome),
  }
}

function room() {
  const base64url = (bytes: string) => Buffer.from(bytes, "hex").toString("base64url")
  const [k, h, r] = [hex(32), hex(32), hex(32)]
  const error = (name: string) => ({ result: { error: name } })
  const url = (text: string, name: string, server: string, fragment: string) => ({
    url: text,
    result: { name, server, fragment },
  })
  const invalid = [
    `h=${base64url(h)}`,
    `k=${base64url(k)}&r=${base64url(r)}`,
    `k=${base64url(k)}&h=${base64url(h)}&h=${base64url(h)}`,
  ]
  const settings = { admission: "invited", max_members: 5, publish: "all", relay: "all", barred: ["a"] }
  const body = (change: object, ok: boolean) => ({ body: JSON.stringify({ ...settings, ...change }), ok })
  const invite = { k: Buffer.from(k, "hex").toString("base64"), generation: 2 }
  const message = (json: object | string, t?: string | null) => ({
    json: typeof json === "string" ? json : JSON.stringify(json),
    result: t === undefined ? "ok" : { error: "ControlMalformed", t },
  })
  const id32 = Buffer.from(hex(32), "hex").toString("base64")
  const id16 = Buffer.from(hex(16), "hex").toString("base64")
  const alive = { t: "room.alive", room_id: id32, epoch: "18446744073709551615", tip: id32, settings_version: 0 }
  const pending = (node: unknown) => ({ t: "room.pending", wait: "batch", committer_node: node })
  const goaway = (code: number, text: string) => ({
    code,
    text,
    frame: `010f0000${little(code, 2)}${uint(ascii(text).length / 2, 1)}${ascii(text)}`,
  })
  return {
    room_url: [
      url("https://call.example/x/Daily.1?a=b#k=q", "daily.1", "wss://call.example/x/", "k=q"),
      url("http://localhost:8080/room", "room", "ws://localhost:8080/", ""),
      url("wss://call.example:443/%72oom", "room", "wss://call.example/", ""),
      { url: "ftp://call.example/room", ...error("RoomUrlInvalid") },
      { url: "https://user@call.example/room", ...error("RoomUrlInvalid") },
      { url: "https://call.example/%c3", ...error("RoomNameInvalid") },
      { url: "https://call.example/a%20b", ...error("RoomNameInvalid") },
      { url: `https://call.example/${"a".repeat(65)}`, ...error("RoomNameInvalid") },
    ],
    invitation_parse: [
      { fragment: "", result: { open: true } },
      { fragment: `k=${base64url(k)}`, result: { k } },
      { fragment: `k=${base64url(k)}&h=${base64url(h)}`, result: { k, h } },
      { fragment: `r=${base64url(r)}&h=${base64url(h)}`, result: { r, h } },
      ...invalid.map((fragment) => ({ fragment, ...error("InvitationInvalid") })),
    ],
    invitation_format: [
      { fragment: "" },
      { k, fragment: `k=${base64url(k)}` },
      { k, h, fragment: `k=${base64url(k)}&h=${base64url(h)}` },
      { r, h, fragment: `r=${base64url(r)}&h=${base64url(h)}` },
    ],
    settings_body: [
      body({}, true),
      body({ invite, other: [] }, true),
      body({ max_members: 10_001 }, false),
      body({ max_members: 1 }, false),
      body({ barred: ["a", "a"] }, false),
      body({ relay: "none" }, false),
      body({ admission: undefined }, false),
      body({ invite: { ...invite, generation: 4_294_967_296 } }, false),
      { body: "null", ok: false },
    ],
    message_check: [
      message(alive),
      message({ ...alive, epoch: "18446744073709551616" }, "room.alive"),
      message(JSON.stringify(alive).replace('"18446744073709551615"', "9007199254740992"), "room.alive"),
      message({ ...alive, tip: id16 }, "room.alive"),
      message(pending("00000000000000a1")),
      message(pending("00000000000000A1"), "room.pending"),
      message(pending("0000000000000000"), "room.pending"),
      message({ t: "room.lost", key_id: "ż".repeat(127), left: false }),
      message({ t: "room.lost", key_id: "ż".repeat(128), left: false }, "room.lost"),
      message({ t: "room.data", topic: "😀".repeat(64), bytes: "" }),
      message({ t: "room.data", topic: "😀".repeat(65), bytes: "" }, "room.data"),
      message({ t: "room.data", topic: "", bytes: "AB==" }, "room.data"),
      message({ t: "room.chat", id: id16, text: "a".repeat(8_193) }, "room.chat"),
      message({ t: "room.knock", role: 2, proof: id32, version: 1 }, "room.knock"),
      message({ t: "room.sync?", have: [["a", 1]], settings_version: "5" }),
      message({ t: "room.sync?", have: [["a"]], settings_version: 5 }, "room.sync?"),
      message({ t: 5 }, null),
      message("[]", null),
    ],
    state_version: [
      { last: "9", now: 1_750_000_000_000, next: "1750000000000" },
      { last: "1750000000000", now: 1_750_000_000_000, next: "1750000000001" },
      { last: "9007199254740993", now: 5, next: "9007199254740994" },
    ],
    rtt_class: [
      { rtt_ms: 2, class: 2 },
      { rtt_ms: 2.01, class: 4 },
      { rtt_ms: 1_024, class: 1_024 },
      { rtt_ms: 60_000, class: 4_096 },
    ],
    goaway_frame: [goaway(0, "żegnaj"), goaway(5, "draining"), goaway(8, "x".repeat(64))],
  }
}

function linkLanes() {
  const block = (laneId: number, listed: number) => {
    const b = { lane_id: laneId, ufrag: iceText(4 + below(29)), pwd: iceText(22 + below(43)) }
    const candidates = times(1 + below(4), () => ({ index: below(listed), port: 1 + below(65_535) }))
    const head = [b.lane_id, b.ufrag.length, b.pwd.length, candidates.length].map((value) => uint(value, 1)).join("")
    const bytes = head + ascii(b.ufrag) + ascii(b.pwd) + candidates.map((c) => uint(c.index, 1) + uint(c.port, 2)).join("")
    return { block: { ...b, candidates }, bytes }
  }
  const frame = (body: string) => `01710000${uint(9, 1)}${ascii("link.lane")}${body}`
  const offer = (op: 1 | 2, own: number) => {
    const { block: b, bytes } = block(2 + below(200), own === 0 ? 4 : own)
    const addresses = times(own, () => ({
      family: 6,
      address: `20${hex(15)}`,
      port: below(65_536),
      typ: below(3),
      proto: below(2),
      priority: below(2 ** 32),
    }))
    const entries = addresses.map(
      (a) => `06${a.address}${little(a.port, 2)}${uint(a.typ, 1)}${uint(a.proto, 1)}${little(a.priority, 4)}`,
    )
    const message = { op: op === 1 ? "offer" : "answer", block: b, addresses }
    return { message, listed: 4, frame: frame(`${uint(op, 1)}00${bytes}${uint(own, 1)}${entries.join("")}`) }
  }
  const numbered = (type: "data" | "padding", length: number) => {
    const m = { type, lane_seq: below(2 ** 24), sent_us: below(2 ** 32), body: hex(length) }
    return { ...m, bytes: `${type === "data" ? "10" : "13"}${uint(m.lane_seq, 3)}${uint(m.sent_us, 4)}${m.body}` }
  }
  const report = (count: number) => {
    const entries = times(count, (i) => ({
      lane_id: 1 + 3 * i,
      highest: below(2 ** 24),
      received: below(2 ** 32),
      bytes: below(2 ** 32),
      min_delay_us: below(2 ** 32),
      count: below(65_536),
      spread: below(65_536),
    }))
    const head = { report_seq: below(65_536), now_us: below(2 ** 32) }
    const rows = entries.map(
      (e) =>
        `${uint(e.lane_id, 1)}${uint(e.highest, 3)}${uint(e.received, 4)}${uint(e.bytes, 4)}${uint(e.min_delay_us, 4)}${uint(e.count, 2)}${uint(e.spread, 2)}`,
    )
    return {
      report: { ...head, entries },
      bytes: `11${uint(count, 1)}${uint(head.report_seq, 2)}${uint(head.now_us, 4)}${rows.join("")}`,
    }
  }
  const nack = (count: number) => {
    const n = { lane_id: 1 + below(255), lane_seqs: times(count, () => below(2 ** 24)) }
    return { ...n, bytes: `12${uint(n.lane_id, 1)}${uint(count, 1)}00${n.lane_seqs.map((seq) => uint(seq, 3)).join("")}` }
  }
  const good = block(3, 4)
  const bad = (name: string, bytes: string) => ({ name, bytes, listed: 4, result: { error: "LaneBlockInvalid" } })
  const invalid = (name: string, bytes: string) => ({ name, bytes, result: { error: "LaneFrameInvalid" } })
  const badFrame = (name: string, body: string) => ({
    name,
    listed: 4,
    frame: frame(body),
    result: { error: "LaneBlockInvalid" },
  })
  return {
    lane_block: times(4, (i) => block(i + 1, 12)),
    lane_block_decode: [
      { name: "right", bytes: good.bytes, listed: 4, result: good.block },
      bad("cut", good.bytes.slice(0, -2)),
      bad("trailing", `${good.bytes}00`),
      bad("lane 0", `00${good.bytes.slice(2)}`),
      bad("index", `03041601${ascii(`abcd${"p".repeat(22)}`)}040001`),
      bad("port 0", `03041601${ascii(`abcd${"p".repeat(22)}`)}000000`),
      bad("minus in ufrag", `03041601${ascii(`ab-d${"p".repeat(22)}`)}000001`),
    ],
    link_lane_frame: [
      offer(1, 0),
      offer(2, 3),
      { message: { op: "refuse", lane_id: 9, reason: 2 }, listed: 4, frame: frame("040902") },
    ],
    link_lane_decode: [
      { name: "close", listed: 4, frame: frame("0307"), result: { op: "close", lane_id: 7 } },
      badFrame("reason 4", "040704"),
      badFrame("flags", `0101${good.bytes}00`),
      badFrame("op 5", "0507"),
      badFrame("trailing", "030700"),
    ],
    lane_message: [numbered("data", 9), numbered("data", 1_148), numbered("padding", 0), numbered("padding", 7)],
    lane_report: [report(1), report(9)],
    lane_nack: [nack(1), nack(64)],
    lane_decode: [
      { name: "padding of one packet", bytes: numbered("padding", 1_148).bytes, result: { type: "padding" } },
      invalid("longer than a packet", numbered("padding", 1_149).bytes),
      invalid("16 bytes of data", numbered("data", 8).bytes),
      invalid("report cut", report(2).bytes.slice(0, -2)),
      invalid("report n 0", "1100000000000000"),
      invalid("nack lane 0", "120001000000ff"),
      invalid("nack reserved", "120101010000ff"),
      invalid("empty", ""),
      { name: "type 0x14", bytes: "14", result: { type: "unknown" } },
    ],
    symbol_size: [1_000, 64].map((size) => ({ symbol_size: size, message_bytes: 135 + size })),
  }
}

function controlPlane() {
  const description = (count: number) => {
    const seed = hex(32)
    const { entity, signature } = signer(seed)
    const candidates = times(count, () => {
      const address = pick([`04${hex(4)}${"00".repeat(12)}`, `06fd${hex(15)}`, `00${hex(16)}`])
      return { addr: address + little(below(65_536), 2), typ: below(3), proto: below(2), priority: below(2 ** 32) }
    })
    const node = () => BigInt(`0x1${hex(7)}`).toString()
    const fields = {
      flags: below(16),
      ufrag: iceText(4 + below(29)),
      pwd: iceText(22 + below(43)),
      to_node: node(),
      attempt_id: node(),
    }
    const more = { issued_ms: String(1_750_000_000_000 + below(1_000_000)), dtls_fp: hex(32), candidates }
    const head = [fields.flags, fields.ufrag.length, fields.pwd.length, count].map((value) => uint(value, 1)).join("")
    const ids = [fields.to_node, fields.attempt_id, more.issued_ms].map((value) => little(BigInt(value), 8)).join("")
    const list = candidates.map((c) => `${c.addr}${uint(c.typ, 1)}${uint(c.proto, 1)}${little(c.priority, 4)}`).join("")
    const body = `${ascii("MSD1")}${head}${entity}${ids}${more.dtls_fp}${ascii(fields.ufrag)}${ascii(fields.pwd)}${list}`
    return { seed, fields: { ...fields, ...more }, bytes: body + signature("mesh/desc/v1", body) }
  }
  const attestation = (addrs: string[], life = 300_000) => {
    const observer_seed = hex(32)
    const { entity, signature } = signer(observer_seed)
    const issued = 1_750_000_000_000
    const fields = { subject: hex(32), issued_ms: String(issued), expires_ms: String(issued + life), addrs }
    const body = `${ascii("MAA1")}${entity}${fields.subject}${little(issued, 8)}${little(issued + life, 8)}${uint(addrs.length, 1)}${addrs.join("")}`
    return { observer_seed, fields, bytes: body + signature("mesh/addr/v1", body) }
  }
  const v4 = (first: string) => `04${first}000201${"00".repeat(12)}0000`
  const v6 = `062606${hex(14)}0000`
  const good = description(2).bytes
  const malformed = (name: string, bytes: string) => ({ name, bytes, error: "Malformed" })
  return {
    descriptions: [
      ...[0, 1, 5, 12].map(description),
      malformed("magic", `4d534432${good.slice(8)}`),
      malformed("flags", `${good.slice(0, 8)}10${good.slice(10)}`),
      malformed("cut", good.slice(0, -2)),
      malformed("trailing", `${good}00`),
      { name: "other fingerprint", bytes: `${good.slice(0, 128)}${hex(32)}${good.slice(192)}`, error: "BadSignature" },
    ],
    attestations: [
      attestation([v4("c0")]),
      attestation([v4("c0"), v4("c1"), v6], 1),
      malformed("descending", attestation([v4("c1"), v4("c0")]).bytes),
      malformed("twice", attestation([v4("c1"), v4("c1")]).bytes),
      malformed("life", attestation([v6], 300_001).bytes),
      malformed("port", attestation([`04${"01".repeat(4)}${"00".repeat(12)}0100`]).bytes),
      malformed("mDNS", attestation([`00${hex(16)}0000`]).bytes),
    ],
  }
}

async function write(format: string, sections: object): Promise<void> {
  const target = new URL(`../vectors/wire-${format}.json`, import.meta.url)
  await writeFile(target, `${JSON.stringify({ format: `${format}-vectors/1`, sections }, null, 1)}\n`)
}

async function main(): Promise<void> {
  await write("av-mesh", avMesh())
  await write("room", room())
  await write("link-lanes", linkLanes())
  await write("control-plane", controlPlane())
}

await main()
