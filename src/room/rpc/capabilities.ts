/** `room.capabilities`: what this page announces, and what the others did. */
import {
  type IndexEntry,
  mayExecute,
  type Policy as NodePolicy,
  OPEN_POLICY,
  type SelfFacts,
  serviceTag,
} from "../../capability/index.ts"
import { certifiedId, issueMembershipCert } from "../../identity/index.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import { canonicalServiceName } from "../../wire/service-name.ts"
import type { Bytes, NodeId } from "../../wire/types.ts"
import type { Participant } from "../types.ts"
import type { ControlPlane } from "./control-plane.ts"
import { nodeOf } from "./room-rpc.ts"
import type { CapabilityChange, CapabilityPolicy, PeerCapabilities, RoomCapabilities, Who } from "./types.ts"

const SERVICE_PREFIX = serviceTag("")
const SERVICE_BYTES = 128

export class CapabilityFace implements RoomCapabilities {
  readonly #plane: ControlPlane

  constructor(plane: ControlPlane) {
    this.#plane = plane
  }

  get node(): NodeId {
    return this.#plane.host.signer.nodeId
  }

  get entity(): Uint8Array {
    return this.#plane.host.signer.entityId.slice()
  }

  announce({ tags, metadata, policy, certificates }: CapabilityChange): void {
    if (this.#plane.closed) throw new AvError("RoomClosed")
    const change: Partial<Omit<SelfFacts, "tags">> = {
      ...(metadata === undefined ? {} : { metadata: new Map(Object.entries(metadata)) }),
      ...(policy === undefined ? {} : { policy: this.#policy(policy) }),
      ...(certificates === undefined ? {} : { certs: certificates.map((cert) => cert.slice()) }),
    }
    this.#plane.announce(change, tags)
  }

  of(who: Who): PeerCapabilities | undefined {
    const node = this.#nodeOf(who)
    const entry = node === undefined ? undefined : this.#plane.gossip.index.get(node, this.#plane.host.now())
    return entry === undefined ? undefined : shown(entry)
  }

  providers(service: string): readonly Participant[] {
    const { gossip, host } = this.#plane
    const nodes = gossip.index.findServiceNodes(canonicalServiceName(service), host.now(), { self: this.node })
    return nodes.flatMap((node) => this.#plane.participant(node) ?? [])
  }

  mayCall(who: Who, service: string): boolean {
    const node = this.#nodeOf(who)
    const { gossip, host } = this.#plane
    return node !== undefined && mayExecute(gossip.index, node, serviceTag(canonicalServiceName(service)), this.node, host.now())
  }

  onChange(listener: () => void): () => void {
    // Later, because the application may announce something from inside.
    return this.#plane.gossip.index.onChange(() => queueMicrotask(() => this.#plane.closed || listener()))
  }

  certify(who: Who | Uint8Array, kind: "subnet" | "group", ttlSeconds: number): Promise<Uint8Array> {
    if (!Number.isInteger(ttlSeconds) || ttlSeconds < 1) throw new AvError("UsageError", { why: "ttl" })
    const notBefore = BigInt(Math.floor(this.#plane.host.now() / 1000))
    const member = entityOf(this.#plane, who)
    return issueMembershipCert(this.#plane.host.signer, { kind, member, notBefore, notAfter: notBefore + BigInt(ttlSeconds) })
  }

  certifiedId(kind: "subnet" | "group", authority: Uint8Array = this.#plane.host.signer.entityId): Uint8Array {
    return certifiedId(kind, authority)
  }

  #policy({ participants = [], subnets = [], groups = [], strict = false }: CapabilityPolicy): NodePolicy {
    const allowedNodes = participants.map((who) => nodeOf(this.#plane, who))
    const copies = (list: readonly Uint8Array[]) => list.map((id) => id.slice())
    return { ...OPEN_POLICY, allowedNodes, allowedSubnets: copies(subnets), allowedGroups: copies(groups), strict }
  }

  #nodeOf(who: Who): NodeId | undefined {
    try {
      return nodeOf(this.#plane, who)
    } catch (error) {
      if (isAvError(error, "MemberNotFound")) return undefined
      throw error
    }
  }
}

/** The Ed25519 key of a member, or the key itself. @throws AvError `MemberNotFound` when it is not known here yet. */
export function entityOf(plane: ControlPlane, who: Who | Uint8Array): Bytes {
  if (who instanceof Uint8Array) {
    if (who.length !== 32) throw new AvError("UsageError", { why: "a key has 32 bytes" })
    return who.slice()
  }
  const node = nodeOf(plane, who)
  if (node === plane.host.signer.nodeId) return plane.host.signer.entityId
  const entity = plane.session(node)?.peer.entityId ?? plane.gossip.index.get(node, plane.host.now())?.announcement.entityId
  if (entity === undefined) throw new AvError("MemberNotFound", { node })
  return entity
}

function shown(entry: IndexEntry): PeerCapabilities {
  const tags = [...entry.tags].sort()
  return {
    node: entry.node,
    entity: entry.announcement.entityId.slice(),
    tags,
    services: tags.flatMap((tag) => serviceOf(tag) ?? []),
    metadata: new Map(entry.metadata),
    expiresAt: entry.expiresAt,
  }
}

function serviceOf(tag: string): string | undefined {
  if (!tag.startsWith(SERVICE_PREFIX) || tag.length > SERVICE_PREFIX.length + SERVICE_BYTES) return undefined
  return tag.slice(SERVICE_PREFIX.length)
}
