/** Keys, proofs and names derived from an invitation or a group (room.md RM-2, RM-3, RM-4, RM-18, RM-20, RM-23). */
import { bytesToHex } from "@noble/hashes/utils.js"
import { AvError } from "../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import { ctEqual } from "./compare.ts"
import { hkdfExpandSync, hkdfSync, hmacSha256Sync, sha256Sync } from "./hash.ts"
import { ascii, concat, lp16, requireLength } from "./layout.ts"

const EMPTY: Bytes = new Uint8Array(0)
const CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

/** Who proves what (RM-3): 1 a newcomer, 2 a member answering it, 3 a keyless relay, 4 a member answering that. */
export type ProofRole = 1 | 2 | 3 | 4

/** The member secret of a room without an invitation: everybody who knows the name has it (RM-2). */
export function openRoomSecret(name: string): Bytes {
  return sha256Sync(concat(ascii("AVMESH-OPENROOM1"), lp16(name)))
}

/** The key behind the proofs of members and newcomers. */
export function inviteKey(memberSecret: Bytes, name: string): Bytes {
  requireLength(memberSecret, 32, "member secret")
  return hkdfSync(memberSecret, EMPTY, concat(ascii("AVMESH-INVITE-V1"), lp16(name)), 32)
}

/** The key behind the proofs of keyless relays; nothing leads from it to the member secret. */
export function relayKey(memberSecret: Bytes, name: string): Bytes {
  requireLength(memberSecret, 32, "member secret")
  return hkdfSync(memberSecret, EMPTY, concat(ascii("AVMESH-INVRELAY1"), lp16(name)), 32)
}

/** What ties a proof to one session: derived from the key of the session's first `av.kex` (RM-3). */
export function linkBind(sessionKey: Bytes): Bytes {
  requireLength(sessionKey, 32, "session key")
  return hkdfExpandSync(sessionKey, ascii("AVMESH-LINKBIND1"), 32)
}

/** The proof that `prover` holds `key`, good for this session and this verifier only. */
export function invitationProof(key: Bytes, role: ProofRole, bind: Bytes, prover: PeerKeyId, verifier: PeerKeyId): Bytes {
  requireLength(bind, 32, "bind")
  return hmacSha256Sync(key, concat(ascii("AVMESH-INVPROOF1"), Uint8Array.of(role), bind, lp16(prover), lp16(verifier)))
}

/** Constant-time check of {@link invitationProof}. */
export function checkInvitationProof(
  proof: Bytes,
  key: Bytes,
  role: ProofRole,
  bind: Bytes,
  prover: PeerKeyId,
  verifier: PeerKeyId,
): boolean {
  return ctEqual(proof, invitationProof(key, role, bind, prover, verifier))
}

/** The `proof` beside a Welcome; `canonical` are the envelope's signed bytes (D-18.5). */
export function welcomeProof(key: Bytes, canonical: Bytes): Bytes {
  return hmacSha256Sync(key, concat(ascii("AVMESH-WELPROOF1"), sha256Sync(canonical)))
}

/** The 32-byte room id, which is also the MLS group id (RM-4). */
export function roomId(name: string, instance: Bytes, root: Bytes): Bytes {
  requireLength(instance, 16, "instance")
  requireLength(root, 32, "root")
  return sha256Sync(concat(ascii("AVMESH-ROOMID-V1"), lp16(name), instance, root))
}

/** `RoomIdMismatch` unless a group's id is the one that name, instance and root give (RM-4). */
export function requireRoomId(groupId: Bytes, name: string, instance: Bytes, root: Bytes): void {
  if (!ctEqual(groupId, roomId(name, instance, root))) throw new AvError("RoomIdMismatch")
}

/** The mesh that keeps a room's memory. It outlives the group, because name and root do (holonomic D34). */
export function roomMemoryId(name: string, root: Bytes): string {
  requireLength(root, 32, "root")
  return `m-${bytesToHex(sha256Sync(concat(ascii("AVMESH-ROOMMEMO1"), lp16(name), root)).subarray(0, 16))}`
}

/** What `room.alive` shows of an epoch (room.md 2). */
export function epochTip(epochAuthenticator: Bytes): Bytes {
  return sha256Sync(concat(ascii("AVMESH-EPOCHTIP1"), epochAuthenticator))
}

/** The channel whose tokens make hosts; with `/media` and `/relay` the rights to publish and to relay (RM-18). */
export function roomChannel(name: string, root: Bytes): { host: string; publish: string; relay: string } {
  requireLength(root, 32, "root")
  const host = `room/${bytesToHex(sha256Sync(concat(ascii("AVMESH-ROOMCHAN1"), lp16(name), root)).slice(0, 16))}`
  return { host, publish: `${host}/media`, relay: `${host}/relay` }
}

/** A member's place on the ring of neighbours (RM-20). */
export function ringPosition(room: Bytes, keyId: PeerKeyId): Bytes {
  return sha256Sync(concat(room, lp16(keyId)))
}

/** The label of the exporter behind the code that people compare, and its length in bytes (RM-23). */
export const ROOM_CODE_LABEL = "holomesh room code"
export const ROOM_CODE_BYTES = 5

/** Five exported bytes as the code people compare: Crockford base 32, two groups of four. */
export function formatRoomCode(exported: Bytes): string {
  requireLength(exported, ROOM_CODE_BYTES, "room code")
  let bits = 0n
  for (const byte of exported) bits = (bits << 8n) | BigInt(byte)
  const digits = Array.from({ length: 8 }, (_, i) => CROCKFORD[Number((bits >> BigInt(35 - 5 * i)) & 31n)])
  return `${digits.slice(0, 4).join("")}-${digits.slice(4).join("")}`
}
