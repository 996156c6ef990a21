import { describe, expect, it } from "vitest"
import { fromHex, toHex, utf8Encode } from "../wire/bytes.ts"
import { certifiedGroupId, certifiedSubnetId, nodeIdOf, peerKeyIdOf, pqHashOf } from "./ids.ts"
import { mlsExporter } from "./mls-labels.ts"
import {
  checkInvitationProof,
  formatRoomCode,
  invitationProof,
  inviteKey,
  linkBind,
  openRoomSecret,
  relayKey,
  requireRoomId,
  roomId,
} from "./room-keys.ts"

const SECRET = new Uint8Array(32).fill(1)
const BIND = linkBind(new Uint8Array(32).fill(2))

describe("names from keys (control-plane C.1)", () => {
  const entity = fromHex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")

  it("ID-R2: known answers", () => {
    expect(nodeIdOf(entity)).toBe("652f03ba688dde03")
    expect(nodeIdOf(fromHex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))).toBe("047e8b2117aa69b3")
    expect(peerKeyIdOf(entity)).toBe("mk15378414728c2590da636c06390ad2553a5406aa0a44d878099bc9e1f5422852f")
    expect(toHex(certifiedSubnetId(entity))).toBe("0842253a812b92012fd0f18161956519")
    expect(toHex(certifiedGroupId(entity))).toBe("87f7beacf1186cc31d34a06a3d01a464f6440b06b837d4e106eb2b5ff08ff7a1")
  })

  it("the key id commits to both keys", () => {
    expect(peerKeyIdOf(entity, pqHashOf(utf8Encode("a key")))).not.toBe(peerKeyIdOf(entity))
    expect(() => nodeIdOf(entity.slice(1))).toThrow(expect.objectContaining({ code: "KeyInvalid" }))
    expect(() => peerKeyIdOf(entity, new Uint8Array(31))).toThrow(expect.objectContaining({ code: "KeyInvalid" }))
  })
})

describe("invitations", () => {
  it("a proof is worth nothing with another role, session, direction or name", () => {
    const key = inviteKey(SECRET, "room")
    const proof = invitationProof(key, 1, BIND, "alice", "bob")
    const check = (over: { key?: Uint8Array; role?: 1 | 2; bind?: Uint8Array; from?: string; to?: string }) =>
      checkInvitationProof(proof, over.key ?? key, over.role ?? 1, over.bind ?? BIND, over.from ?? "alice", over.to ?? "bob")
    expect(check({})).toBe(true)
    expect(check({ role: 2 })).toBe(false)
    expect(check({ bind: linkBind(new Uint8Array(32)) })).toBe(false)
    expect(check({ from: "bob", to: "alice" })).toBe(false)
    expect(check({ key: inviteKey(SECRET, "other") })).toBe(false)
    expect(check({ key: relayKey(SECRET, "room") })).toBe(false)
    expect(checkInvitationProof(proof.slice(1), key, 1, BIND, "alice", "bob")).toBe(false)
  })

  it("the relay key does not open the member's door, and an open room is known by its name", () => {
    const relay = relayKey(SECRET, "room")
    expect(toHex(inviteKey(relay, "room"))).not.toBe(toHex(inviteKey(SECRET, "room")))
    expect(toHex(openRoomSecret("a"))).not.toBe(toHex(openRoomSecret("b")))
    expect(() => inviteKey(new Uint8Array(31), "room")).toThrow(expect.objectContaining({ code: "KeyInvalid" }))
  })
})

describe("rooms", () => {
  it("the room id names name, instance and root", () => {
    const [instance, root] = [new Uint8Array(16), new Uint8Array(32)]
    const id = roomId("room", instance, root)
    expect(() => requireRoomId(id, "room", instance, root)).not.toThrow()
    const mismatch = expect.objectContaining({ code: "RoomIdMismatch" })
    expect(() => requireRoomId(id, "rooms", instance, root)).toThrow(mismatch)
    expect(() =>
      requireRoomId(
        id,
        "room",
        instance.map(() => 1),
        root,
      ),
    ).toThrow(mismatch)
    expect(() =>
      requireRoomId(
        id,
        "room",
        instance,
        root.map(() => 1),
      ),
    ).toThrow(mismatch)
  })

  it("writes the code people compare", () => {
    expect(formatRoomCode(new Uint8Array(5))).toBe("0000-0000")
    expect(formatRoomCode(new Uint8Array(5).fill(0xff))).toBe("ZZZZ-ZZZZ")
    expect(formatRoomCode(fromHex("0000000001"))).toBe("0000-0001")
  })

  it("exports as RFC 9420 says (av-mesh 2.6)", () => {
    const root = mlsExporter(new Uint8Array(32).fill(0x44), "ciris-realtime-av-epoch-dek-seed-v1", new Uint8Array(0), 32)
    expect(toHex(root)).toBe("cd896e2c547c92775af62f018188f2f7d7be28a020b852f7e0a740981c517177")
    // Contexts of 64 bytes and more have a two-byte length.
    expect(mlsExporter(new Uint8Array(32), "x", new Uint8Array(200), 16)).toHaveLength(16)
  })
})
