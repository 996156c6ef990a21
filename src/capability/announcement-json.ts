/** The operator's form of an announcement: one line of JSON, for files and the command line (control-plane 2.3). Never signed. */
import { type AddressBlock, addressFromText, addressToText, decodeAddressBlock, encodeAddressBlock } from "../wire/address.ts"
import { compareUtf8, fromHex, toHex } from "../wire/bytes.ts"
import type { DcborValue } from "../wire/dcbor.ts"
import { AvError } from "../wire/errors.ts"
import { isJsonObject, type JsonObject, type JsonValue, parseJson } from "../wire/json-text.ts"
import { nodeIdToU64, parseNodeId } from "../wire/node-id.ts"
import type { Bytes } from "../wire/types.ts"
import type { SignedAnnouncement } from "./announcement.ts"
import { encodeFieldMap } from "./announcement-codec.ts"
import { FIELD, type FieldMap, readFields, writeFields } from "./announcement-fields.ts"

/** A body of 12 288 bytes cannot need more, escapes included. */
const MAX_JSON = 131_072

/**
 * One line, members in fixed order, one line feed at the end.
 * @throws AvError `UsageError` for an announcement with extension fields, which this form cannot say.
 */
export function formatAnnouncementJson(signed: SignedAnnouncement): string {
  const a = signed.announcement
  if (a.extensions.size > 0) throw new AvError("UsageError", { why: "extension fields have no JSON form" })
  // Through the map, so that order and omissions are those of the body.
  const fields = readFields(writeFields(a))
  const members: [string, string][] = [
    ["node_id", quote(fields.nodeId)],
    ["entity_id", quote(toHex(fields.entityId))],
    ["version", quote(fields.version.toString())],
    ["issued_ms", quote(fields.issuedMs.toString())],
    ["ttl_s", String(fields.ttlSeconds)],
  ]
  addList(members, "tags", fields.tags)
  if (fields.metadata.size > 0) members.push(["metadata", formatMetadata(fields.metadata)])
  addList(members, "reflex", fields.reflex.map(formatAddress))
  if (fields.generation !== 0) members.push(["generation", String(fields.generation)])
  addList(members, "allowed_nodes", fields.allowedNodes)
  addList(members, "allowed_subnets", fields.allowedSubnets.map(toHex))
  addList(members, "allowed_groups", fields.allowedGroups.map(toHex))
  addList(members, "certs", fields.certs.map(toHex))
  if (fields.strictMembership) members.push(["flags", "1"])
  if (fields.pqHash.some((byte) => byte !== 0)) members.push(["pq_hash", quote(toHex(fields.pqHash))])
  members.push(["signature", quote(toHex(signed.signature))])
  return `{${members.map(([name, value]) => `"${name}":${value}`).join(",")}}\n`
}

/**
 * Rebuilds the body from the JSON form; the caller verifies the signature over it (`requireGenuine`).
 * @throws AvError `Malformed` for what is not JSON, `BadField` for unknown members and values of another kind, and the errors of
 * the body's fields.
 */
export function parseAnnouncementJson(text: string): SignedAnnouncement {
  if (text.length > MAX_JSON) throw new AvError("Malformed", { why: "too long", got: text.length })
  const json = parseJson(text, "Malformed")
  if (!isJsonObject(json)) throw new AvError("Malformed", { why: "not an object" })
  const map: FieldMap = new Map()
  for (const [name, value] of Object.entries(json)) {
    if (name === "signature") continue
    const member = Object.hasOwn(MEMBERS, name) ? MEMBERS[name] : undefined
    if (member === undefined) throw new AvError("BadField", { what: "unknown member" })
    map.set(member.field, member.read(value, name))
  }
  const announcement = readFields(map)
  const signature = hexOf(json.signature, "signature")
  if (signature.length !== 64) throw bad("signature")
  return { hopCount: 0, signature, body: encodeFieldMap(map), announcement }
}

interface MemberReader {
  field: number
  read(value: JsonValue, name: string): DcborValue
}

const MEMBERS: Record<string, MemberReader> = {
  node_id: { field: FIELD.nodeId, read: nodeOf },
  entity_id: { field: FIELD.entityId, read: hexOf },
  version: { field: FIELD.version, read: decimalOf },
  issued_ms: { field: FIELD.issuedMs, read: decimalOf },
  ttl_s: { field: FIELD.ttl, read: numberOf },
  tags: { field: FIELD.tags, read: listOf(textOf) },
  metadata: { field: FIELD.metadata, read: metadataOf },
  reflex: { field: FIELD.reflex, read: listOf(addressOf) },
  generation: { field: FIELD.generation, read: numberOf },
  allowed_nodes: { field: FIELD.allowedNodes, read: listOf(nodeOf) },
  allowed_subnets: { field: FIELD.allowedSubnets, read: listOf(hexOf) },
  allowed_groups: { field: FIELD.allowedGroups, read: listOf(hexOf) },
  certs: { field: FIELD.certs, read: listOf(hexOf) },
  flags: { field: FIELD.flags, read: numberOf },
  pq_hash: { field: FIELD.pqHash, read: hexOf },
}

function listOf(read: (value: JsonValue, name: string) => DcborValue): (value: JsonValue, name: string) => DcborValue {
  return (value, name) => {
    if (!Array.isArray(value)) throw bad(name)
    return value.map((item) => read(item, name))
  }
}

function textOf(value: JsonValue | undefined, name: string): string {
  if (typeof value !== "string") throw bad(name)
  return value
}

function numberOf(value: JsonValue, name: string): number {
  if (typeof value !== "number" || value < 0) throw bad(name)
  return value
}

function decimalOf(value: JsonValue, name: string): bigint {
  const text = textOf(value, name)
  if (!/^(?:0|[1-9][0-9]{0,19})$/.test(text) || BigInt(text) > 0xffffffffffffffffn) throw bad(name)
  return BigInt(text)
}

function nodeOf(value: JsonValue, name: string): bigint {
  const node = parseNodeId(textOf(value, name))
  if (node === undefined) throw bad(name)
  return nodeIdToU64(node)
}

function hexOf(value: JsonValue | undefined, name: string): Bytes {
  return fromHex(textOf(value, name), "BadField")
}

function metadataOf(value: JsonValue, name: string): DcborValue {
  if (!isJsonObject(value)) throw bad(name)
  return new Map(Object.entries(value as JsonObject).map(([key, text]) => [key, textOf(text, name)]))
}

function addressOf(value: JsonValue, name: string): Bytes {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(0|[1-9][0-9]{0,4})$/.exec(textOf(value, name))
  const [host, port] = [match?.[1] ?? match?.[2], Number(match?.[3])]
  const block = host === undefined || port > 0xffff ? undefined : addressFromText(host, port)
  // Brackets belong to IPv6 and to nothing else, so that one address has one spelling.
  if (block === undefined || (match?.[1] !== undefined) !== (block.family === 6)) throw bad(name)
  return encodeAddressBlock(block)
}

function formatAddress(block: AddressBlock): string {
  const { family, port } = decodeAddressBlock(encodeAddressBlock(block))
  return family === 6 ? `[${compressIpv6(addressToText(block))}]:${port}` : `${addressToText(block)}:${port}`
}

/** The text form of RFC 5952: the longest run of at least two zero groups becomes `::`, the first of equal ones. */
function compressIpv6(full: string): string {
  const runs = [...full.matchAll(/(?:^|:)0(?::0)+(?=:|$)/g)]
  const longest = runs.reduce<RegExpExecArray | undefined>((best, run) => {
    return best === undefined || groupsIn(run[0]) > groupsIn(best[0]) ? run : best
  }, undefined)
  if (longest === undefined) return full
  return `${full.slice(0, longest.index)}::${full.slice(longest.index + longest[0].length).replace(/^:/, "")}`
}

function groupsIn(run: string): number {
  return run.split("0").length - 1
}

function formatMetadata(metadata: ReadonlyMap<string, string>): string {
  const entries = [...metadata].sort(([a], [b]) => compareUtf8(a, b))
  return `{${entries.map(([key, value]) => `${quote(key)}:${quote(value)}`).join(",")}}`
}

function addList(members: [string, string][], name: string, items: readonly string[]): void {
  if (items.length > 0) members.push([name, `[${items.map(quote).join(",")}]`])
}

function quote(text: string): string {
  return JSON.stringify(text)
}

function bad(name: string): AvError {
  return new AvError("BadField", { what: name })
}
