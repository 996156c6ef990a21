/** Tags: how they look, which a builder may set, and the membership they declare (control-plane 2.4). */
import { compareBytes, equalBytes, fromHex } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"
import { MAX_TAG_LENGTH } from "./announcement.ts"

/** What a node's own NAT classification may be called in its announcement. */
export type NatClass = "open" | "cone" | "symmetric" | "unknown"

/** Prefixes that belong to other systems; applications cannot announce them. */
const RESERVED_TAG_PREFIXES = ["causal:", "dataforts:", "fork-of:", "heat:", "scope:"] as const
/** Metadata that would steer a receiver: kept for one's own entry, removed from everybody else's. */
const RESERVED_METADATA_KEYS = ["intent", "colocate-with", "colocate-with-strict", "priority", "owner"] as const
/** Further metadata to strip, by prefix. */
const RESERVED_METADATA_PREFIXES: readonly string[] = []

const NAT_PREFIX = "nat:"

/** The subnet and groups an entry belongs to, by declaration or by proof. */
export interface Membership {
  /** 16 bytes; undefined for none. */
  subnet: Bytes | undefined
  /** 32 bytes each, ascending, without repetition. */
  groups: readonly Bytes[]
}

/** 1 to 192 characters of printable ASCII without the space. */
export function isTag(text: string): boolean {
  return text.length >= 1 && text.length <= MAX_TAG_LENGTH && /^[\x21-\x7e]+$/.test(text)
}

/** The tag under which a service is found. */
export function serviceTag(service: string): string {
  return `nrpc:${service}`
}

/**
 * The tags of a node's own announcement: the application's, without any `nat:` of its own making, then services and NAT class.
 * @throws AvError `BadField` for what is no tag, `ReservedPrefix` for a prefix of another system.
 */
export function buildTags(wished: Iterable<string>, services: Iterable<string>, nat: NatClass | undefined): string[] {
  const tags = new Set<string>()
  for (const tag of wished) {
    if (!isTag(tag)) throw new AvError("BadField", { what: "tag" })
    const reserved = RESERVED_TAG_PREFIXES.find((prefix) => tag.startsWith(prefix))
    if (reserved !== undefined) throw new AvError("ReservedPrefix", { prefix: reserved })
    if (!tag.startsWith(NAT_PREFIX)) tags.add(tag)
  }
  for (const service of services) tags.add(serviceTag(service))
  if (nat !== undefined) tags.add(NAT_PREFIX + nat)
  return [...tags]
}

/**
 * The membership that tags declare. Two different subnets are no subnet at all (D09), whatever the order of the tags; tags that
 * are not well formed mean nothing.
 */
export function parseMembership(tags: Iterable<string>): Membership & { collapsed: boolean } {
  const subnets: Bytes[] = []
  const groups: Bytes[] = []
  for (const tag of tags) {
    const match = /^(?:subnet:([0-9a-f]{32})|group:([0-9a-f]{64}))$/i.exec(tag)
    // The prefix itself is written in lower case; only the hex digits may be either.
    if (match === null || !/^(?:subnet|group):/.test(tag)) continue
    const [list, hex] = match[1] === undefined ? [groups, match[2]] : [subnets, match[1]]
    const id = fromHex(hex as string)
    if (!list.some((known) => equalBytes(known, id))) list.push(id)
  }
  const collapsed = subnets.length > 1
  return { subnet: collapsed ? undefined : subnets[0], groups: groups.sort(compareBytes), collapsed }
}

/** A copy without the keys that would steer this node by another's word. */
export function stripReservedMetadata(metadata: ReadonlyMap<string, string>): Map<string, string> {
  const out = new Map<string, string>()
  for (const [key, value] of metadata) if (!isReservedMetadata(key)) out.set(key, value)
  return out
}

function isReservedMetadata(key: string): boolean {
  return (RESERVED_METADATA_KEYS as readonly string[]).includes(key) || RESERVED_METADATA_PREFIXES.some((p) => key.startsWith(p))
}
