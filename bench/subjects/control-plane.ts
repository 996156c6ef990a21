/** Announcements, gates, signature checks and the watch over who is alive. */

import { emptyAnnouncement } from "../../src/capability/announcement.ts"
import {
  CapabilityIndex,
  callerGate,
  decodeAnnouncement,
  encodeAnnouncement,
  Gossip,
  IndexEntry,
  mayExecute,
  requireGenuine,
  signAnnouncement,
} from "../../src/capability/index.ts"
import { ed25519Verify, portableEd25519Verify } from "../../src/crypto/ed25519.ts"
import { secureRandom } from "../../src/crypto/random.ts"
import { PinTable } from "../../src/identity/index.ts"
import { type IdentitySigner, signerFromSeeds } from "../../src/identity/signer.ts"
import { Presence } from "../../src/membership/presence.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { type Effort, microseconds, round } from "../measure.ts"
import type { BenchRow, Subject } from "../subject.ts"

const NOW = 1_760_000_000_000
/** As many as one neighbour may make us check at once. */
const ANNOUNCEMENTS = 200
const GATES = 1_000
const PEERS = 5_000
/** What stands before a public key of this kind in its DER form. */
const SPKI_HEAD = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00]

const person = (): Promise<IdentitySigner> => signerFromSeeds(secureRandom(32))

async function announced(signer: IdentitySigner, allowed: number): Promise<Bytes> {
  const announcement = {
    ...emptyAnnouncement(signer),
    issuedMs: BigInt(NOW),
    ttlSeconds: 300,
    tags: ["nat:cone", "nrpc:echo"],
    allowedGroups: Array.from({ length: allowed }, (_, i) => new Uint8Array(32).fill(i + 1)),
  }
  return encodeAnnouncement({ ...(await signAnnouncement(announcement, signer)), hopCount: 1 })
}

async function verified(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  const [self, neighbour, ...strangers] = await Promise.all(Array.from({ length: ANNOUNCEMENTS + 2 }, person))
  if (self === undefined || neighbour === undefined) throw new Error("nobody is there")
  for (const allowed of [0, 64]) {
    const payloads = await Promise.all(strangers.map((signer) => announced(signer, allowed)))
    const alone = await microseconds(effort, {
      operations: ANNOUNCEMENTS,
      run: async () => {
        for (const payload of payloads) await requireGenuine(decodeAnnouncement(payload))
      },
    })
    let gossip: Gossip | undefined
    const received = await microseconds(effort, {
      operations: ANNOUNCEMENTS,
      prepare: async () => {
        gossip = new Gossip({ signer: self, pins: new PinTable(), now: NOW })
        gossip.sessionOpened(neighbour.nodeId, NOW)
        await gossip.run(NOW)
      },
      run: async () => {
        for (const payload of payloads) await gossip?.receiveAnnouncement(payload, neighbour.nodeId, NOW)
      },
    })
    // One is our own entry.
    if (gossip?.index.size !== ANNOUNCEMENTS + 1) throw new Error(`${gossip?.index.size} of the announcements were taken`)
    rows.push({
      allow_list: allowed,
      payload_bytes: payloads[0]?.length ?? 0,
      verify_us: round(alone),
      receive_us: round(received),
      received_per_second: round(1e6 / received),
    })
  }
  return rows
}

async function gates(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  const people = await Promise.all(Array.from({ length: 256 }, person))
  const [target, caller] = people
  if (target === undefined || caller === undefined) throw new Error("nobody is there")
  const groups = Array.from({ length: 64 }, (_, i) => new Uint8Array(32).fill(i + 1))
  const policies = {
    "no list": {},
    "64 nodes, the last": {
      allowedNodes: [...people.slice(2, 65).map(({ nodeId }) => nodeId), caller.nodeId],
    },
    "64 groups, of 8 claimed": { allowedGroups: groups },
    "64 groups, refused": { allowedGroups: groups.map((id) => id.map((byte) => byte ^ 0x80)) },
  }
  for (const [policy, lists] of Object.entries(policies)) {
    const index = new CapabilityIndex()
    for (const signer of people) {
      const isCaller = signer === caller
      const announcement = {
        ...emptyAnnouncement(signer),
        issuedMs: BigInt(NOW),
        tags: ["nrpc:echo", ...(isCaller ? groups.slice(0, 8).map((id) => `group:${hex(id)}`) : [])],
        ...lists,
      }
      index.put(
        new IndexEntry({
          announcement,
          own: signer === target,
          expiresAt: NOW + 300_000,
          acceptedAt: NOW,
          hopCount: 0,
          certs: [],
          skewSeconds: 60,
        }),
      )
    }
    const callee = await microseconds(effort, {
      operations: GATES,
      run: async () => {
        for (let i = 0; i < GATES; i++) mayExecute(index, target.nodeId, "nrpc:echo", caller.nodeId, NOW)
      },
    })
    const options = { self: caller.nodeId, filterUnhealthy: false, isUnhealthy: () => false }
    const callers = await microseconds(effort, {
      operations: 1,
      run: async () => void callerGate(index, "echo", options, NOW),
    })
    rows.push({ policy, check_us: round(callee), checks_per_second: round(1e6 / callee), choose_among_256_us: round(callers) })
  }
  return rows
}

const hex = (bytes: Bytes) => [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")

async function liveness(effort: Effort): Promise<BenchRow[]> {
  const presence = new Presence("me")
  const members = Array.from({ length: PEERS }, (_, i) => ({
    keyId: `peer-${i}`,
    leafIndex: i,
    leafKey: new Uint8Array(32),
    verified: true,
  }))
  const wanted = members.map(({ keyId }) => keyId)
  presence.setMembers(members, new Set(), NOW)
  for (const { keyId } of members) presence.neighbour(keyId)
  const heartbeat = await microseconds(effort, {
    operations: PEERS,
    run: async () => {
      for (const { keyId } of members) presence.heard(keyId, NOW + 1)
    },
  })
  const scan = await microseconds(effort, { operations: 1, run: async () => void presence.silent(NOW + 2, wanted) })
  return [
    {
      peers: PEERS,
      heartbeat_ns: round(heartbeat * 1_000),
      scan_us: round(scan),
      scan_per_peer_ns: round((scan * 1_000) / PEERS),
    },
  ]
}

async function ed25519(effort: Effort): Promise<BenchRow[]> {
  const rows: BenchRow[] = []
  const signer = await person()
  const message = secureRandom(300)
  const signature = await signer.signEd25519(message)
  const ways: Record<string, () => Promise<boolean> | boolean> = {
    "the product's": () => ed25519Verify(signer.entityId, message, signature),
    "in script": () => portableEd25519Verify(signer.entityId, message, signature),
  }
  // Of Node only, and without an import that a browser would have to find.
  const crypto = globalThis.process?.getBuiltinModule?.("node:crypto")
  if (crypto !== undefined) {
    const spki = Uint8Array.from([...SPKI_HEAD, ...signer.entityId])
    const key = crypto.createPublicKey({ key: Buffer.from(spki), format: "der", type: "spki" })
    ways["node:crypto"] = () => crypto.verify(null, message, key, signature)
  }
  for (const [way, verify] of Object.entries(ways)) {
    const us = await microseconds(effort, {
      operations: 8,
      run: async () => {
        for (let i = 0; i < 8; i++) if (!(await verify())) throw new Error(`${way} refused a good signature`)
      },
    })
    rows.push({ way, verify_us: round(us), per_second: round(1e6 / us) })
  }
  return rows
}

export const announcements: Subject = {
  name: "announcements",
  title: "Announcements",
  note: "200 forwarded announcements of as many strangers, one after the other: decoded and their signatures checked; and taken in by a node, with every check of the receiving order and the index.",
  run: verified,
}
export const gateChecks: Subject = {
  name: "gates",
  title: "Gates",
  note: "One verdict of the callee's gate among 256 known nodes; and the caller's gate, which asks about all 256, each with that policy.",
  run: gates,
}
export const livenessScan: Subject = {
  name: "liveness",
  title: "Who is alive",
  note: "The bookkeeping for one sign of life, and one pass over 5,000 neighbours that looks for silent ones.",
  run: liveness,
}
export const ed25519Ways: Subject = {
  name: "ed25519",
  title: "One Ed25519 signature check",
  note: "The strict check of the product (WebCrypto after the checks of points and scalars), the same in script, and the bare primitive of Node.",
  run: ed25519,
}
