/** What an announcement says: the signed statement of a node about what it offers and who may use it (control-plane 2.3). */
import type { AddressBlock } from "../wire/address.ts"
import type { DcborValue } from "../wire/dcbor.ts"
import type { Bytes, NodeId, U64 } from "../wire/types.ts"

/** Longest body in bytes. */
export const MAX_BODY = 12_288
/** A copy that came this far is not passed on, and refused when it says more. */
export const MAX_HOPS = 16
export const MAX_TAGS = 256
export const MAX_TAG_LENGTH = 192
export const MAX_METADATA_ENTRIES = 64
/** Sum of the bytes of all metadata keys and values. */
export const MAX_METADATA_BYTES = 8_192
export const MAX_METADATA_KEY = 64
export const MAX_METADATA_VALUE = 4_096
export const MAX_REFLEX = 4
/** Entries of each of the three allow-lists; builders and readers refuse more. */
export const MAX_ALLOW_LIST = 64
export const MAX_CERTS = 8
/** One day, seconds. */
export const MAX_TTL_SECONDS = 86_400
/** Builders refuse later versions: a typing error must not lock a key out for good. */
export const MAX_BUILT_VERSION = 0x7fff_ffff_ffff_ffffn

/** Lists are sets: the encoder sorts them, and repeated elements are refused. */
export interface Announcement {
  nodeId: NodeId
  entityId: Bytes
  /** At least 1; a higher one replaces everything said before, the policy included. */
  version: U64
  /** Unix milliseconds of the origin's clock. */
  issuedMs: U64
  /** 1 to 86 400. */
  ttlSeconds: number
  /** Printable ASCII without spaces, 1 to 192 characters each. */
  tags: string[]
  metadata: Map<string, string>
  /** Addresses the node was seen at. Browsers leave it empty (D08). */
  reflex: AddressBlock[]
  /** The floor of the tokens this entity issued. */
  generation: number
  allowedNodes: NodeId[]
  /** 16 bytes each. */
  allowedSubnets: Bytes[]
  /** 32 bytes each. */
  allowedGroups: Bytes[]
  /** Membership certificates, 149 bytes each. */
  certs: Bytes[]
  /** Subnets and groups admit only what a certificate proves (D05). */
  strictMembership: boolean
  /** SHA-256 of the ML-DSA-65 public key, 32 zero bytes without one. */
  pqHash: Bytes
  /** Fields 64 to 255, which readers may ignore. */
  extensions: Map<number, DcborValue>
}

/** An announcement as it travels, taken apart. */
export interface SignedAnnouncement {
  /** How many nodes passed it on; 0 at the origin. Not covered by the signature. */
  hopCount: number
  signature: Bytes
  /** Exactly the bytes that were signed. */
  body: Bytes
  announcement: Announcement
}

/** The fields that are empty unless somebody says otherwise. */
export function emptyAnnouncement(origin: { nodeId: NodeId; entityId: Bytes }): Announcement {
  return {
    nodeId: origin.nodeId,
    entityId: origin.entityId,
    version: 1n,
    issuedMs: 0n,
    ttlSeconds: 300,
    tags: [],
    metadata: new Map(),
    reflex: [],
    generation: 0,
    allowedNodes: [],
    allowedSubnets: [],
    allowedGroups: [],
    certs: [],
    strictMembership: false,
    pqHash: new Uint8Array(32),
    extensions: new Map(),
  }
}
