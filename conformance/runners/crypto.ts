/** Runs the sections on primitives, identities, session proofs, invitations and leaf bindings. */
import {
  certifiedGroupId,
  certifiedSubnetId,
  checkInvitationProof,
  ed25519PublicKey,
  ed25519Verify,
  epochTip,
  formatRoomCode,
  invitationProof,
  inviteKey,
  linkBind,
  ML_KEM_PUBLIC_LENGTH,
  mlDsaPublicKey,
  mlDsaVerify,
  mlKemDecapsulate,
  mlKemKeygenSync,
  mlsExporter,
  nodeIdOf,
  openRoomSecret,
  type ProofRole,
  peerKeyIdOf,
  portableEd25519Verify,
  ROOM_CODE_BYTES,
  ROOM_CODE_LABEL,
  relayKey,
  requireRoomId,
  ringPosition,
  roomChannel,
  roomId,
  sha256Sync,
  signLabelled,
  verifyLabelled,
  welcomeProof,
} from "../../src/crypto/index.ts"
import { verifyLeafBinding } from "../../src/group/index.ts"
import { signerFromSeeds } from "../../src/identity/index.ts"
import { fromHex, toHex } from "../../src/wire/bytes.ts"
import { AvError, isAvError } from "../../src/wire/errors.ts"
import { decodeHello, encodeHello, HELLO_LABEL, helloTranscript } from "../../src/wire/hello.ts"
import { welcomeCanonicalBytes } from "../../src/wire/key-records.ts"
import type { Bytes } from "../../src/wire/types.ts"
import type { RunnerTable } from "../types.ts"

function expect(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual).slice(0, 80)} is not ${String(expected).slice(0, 80)}`)
}

function expectHex(actual: Bytes, expected: string, what: string): void {
  expect(toHex(actual), expected, what)
}

/** `ok`, or the name of the typed error. */
async function verdict(run: () => unknown): Promise<string> {
  try {
    await run()
    return "ok"
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
}

/** A case says `"ok"`, an error's name, or `{ error }`. */
function expectedVerdict(result: string | { error: string } | object): string {
  if (typeof result === "string") return result
  return "error" in result && typeof result.error === "string" ? result.error : "ok"
}

interface HelloCase {
  seed_a: string
  seed_b: string
  nonce_a: string
  nonce_b: string
  fp_a: string
  fp_b: string
  pq_a: string
  pq_b: string
  wall_ms: string
  hello_a: string
  transcript_a: string
  auth_a: string
  auth_b: string
}

async function hello(c: HelloCase): Promise<void> {
  const [a, b] = [await signerFromSeeds(fromHex(c.seed_a)), await signerFromSeeds(fromHex(c.seed_b))]
  const fields = {
    namespaceKey: false,
    entityId: a.entityId,
    nonce: fromHex(c.nonce_a),
    pqHash: fromHex(c.pq_a),
    wallMs: BigInt(c.wall_ms),
  }
  expectHex(encodeHello(fields), c.hello_a, "hello_a")
  expectHex(encodeHello(decodeHello(fromHex(c.hello_a))), c.hello_a, "hello_a read back")
  const sideA = { entityId: a.entityId, nonce: fields.nonce, fingerprint: fromHex(c.fp_a), pqHash: fields.pqHash }
  const sideB = { entityId: b.entityId, nonce: fromHex(c.nonce_b), fingerprint: fromHex(c.fp_b), pqHash: fromHex(c.pq_b) }
  const transcriptA = helloTranscript(sideA, sideB)
  const transcriptB = helloTranscript(sideB, sideA)
  expectHex(transcriptA, c.transcript_a, "transcript_a")
  expectHex(await signLabelled(HELLO_LABEL, transcriptA, a), c.auth_a, "auth_a")
  expectHex(await signLabelled(HELLO_LABEL, transcriptB, b), c.auth_b, "auth_b")
  expect(await verifyLabelled(HELLO_LABEL, transcriptB, b.entityId, fromHex(c.auth_b)), true, "auth_b verifies")
  expect(await verifyLabelled(HELLO_LABEL, transcriptA, b.entityId, fromHex(c.auth_b)), false, "roles cannot be swapped")
}

function proofKey(role: number, k: Bytes, room: string): Bytes {
  return role <= 2 ? inviteKey(k, room) : relayKey(k, room)
}

export const runners: RunnerTable = {
  "mls-0x004d": {
    ml_dsa_65_verify: async (c) => {
      const [pk, message, signature, context] = [fromHex(c.pk), fromHex(c.msg), fromHex(c.sig), fromHex(c.context ?? "")]
      if (c.seed !== undefined) expectHex(mlDsaPublicKey(fromHex(c.seed)), c.pk, "public key")
      const expected = c.valid ?? true
      expect(await mlDsaVerify(pk, message, signature, context), expected, "signature")
      const changed = signature.slice()
      changed[40] = (changed[40] ?? 0) ^ 1
      expect(await mlDsaVerify(pk, message, changed, context), false, "changed signature")
    },
    ml_kem_768_decapsulate: async (c) => {
      const seed = fromHex(c.seed)
      expectHex(mlKemKeygenSync(seed).publicKey.slice(0, ML_KEM_PUBLIC_LENGTH), c.pk, "public key")
      expectHex(await mlKemDecapsulate(seed, fromHex(c.ct)), c.ss, "shared secret")
      if (c.implicit_reject_ct === undefined) return
      expectHex(await mlKemDecapsulate(seed, fromHex(c.implicit_reject_ct)), c.implicit_reject_ss, "implicit rejection")
    },
    ed25519_verify: async (c) => {
      const [pk, message, signature] = [fromHex(c.pk), fromHex(c.msg), fromHex(c.sig)]
      const expected = c.valid ?? true
      expect(await ed25519Verify(pk, message, signature), expected, "native")
      expect(portableEd25519Verify(pk, message, signature), expected, "portable")
      if (c.pkcs8 !== undefined) expectHex(ed25519PublicKey(fromHex(c.pkcs8).slice(16)), c.pk, "public key")
    },
  },
  "control-plane": {
    identity: (c) => {
      const entityId = ed25519PublicKey(fromHex(c.seed))
      expectHex(entityId, c.entity_id, "entity id")
      expect(nodeIdOf(entityId), c.node_id, "node id")
      expect(peerKeyIdOf(entityId, fromHex(c.pq_hash)), c.peer_key_id, "key id")
    },
    derived_ids: (c) => {
      expectHex(certifiedSubnetId(fromHex(c.authority)), c.subnet, "subnet")
      expectHex(certifiedGroupId(fromHex(c.authority)), c.group, "group")
    },
    strict_verify: async (c) => {
      const [publicKey, message, signature] = [fromHex(c.public_key), fromHex(c.message), fromHex(c.signature)]
      expect(await ed25519Verify(publicKey, message, signature), c.valid, c.why)
      expect(portableEd25519Verify(publicKey, message, signature), c.valid, `${c.why} (portable)`)
    },
    hello,
  },
  room: {
    invitation_keys: (c) => {
      if (c.open) expectHex(openRoomSecret(c.name), c.k, "k of an open room")
      expectHex(inviteKey(fromHex(c.k), c.name), c.invite_key, "invite key")
      expectHex(relayKey(fromHex(c.k), c.name), c.relay_key, "relay key")
    },
    link_bind: (c) => expectHex(linkBind(fromHex(c.session_key)), c.bind, "bind"),
    invitation_proof: (c) => {
      const proof = invitationProof(fromHex(c.key), c.role as ProofRole, fromHex(c.bind), c.prover_key_id, c.verifier_key_id)
      expectHex(proof, c.proof, "proof")
    },
    invitation_proof_check: (c) => {
      const key = proofKey(c.role, fromHex(c.k), c.room)
      const valid = checkInvitationProof(
        fromHex(c.proof),
        key,
        c.role as ProofRole,
        fromHex(c.bind),
        c.prover_key_id,
        c.verifier_key_id,
      )
      expect(valid, c.valid, c.name)
    },
    welcome_proof: (c) => {
      const canonical = welcomeCanonicalBytes({
        inviterKeyId: c.inviter_key_id,
        joinerKeyId: c.joiner_key_id,
        keyPackageRef: fromHex(c.key_package_ref),
        welcomeHash: sha256Sync(fromHex(c.welcome)),
      })
      expectHex(canonical, c.canonical, "canonical")
      expectHex(welcomeProof(fromHex(c.invite_key), canonical), c.proof, "proof")
    },
    room_id: (c) => expectHex(roomId(c.name, fromHex(c.instance), fromHex(c.root)), c.room_id, "room id"),
    room_id_check: async (c) => {
      const check = () => requireRoomId(fromHex(c.group_id), c.name, fromHex(c.head.instance), fromHex(c.head.root))
      expect(await verdict(check), expectedVerdict(c.result), c.why)
    },
    epoch_tip: (c) => expectHex(epochTip(fromHex(c.epoch_authenticator)), c.tip, "tip"),
    room_channel: (c) => {
      const channel = roomChannel(c.name, fromHex(c.root))
      expect(channel.host, c.host, "host")
      expect(channel.publish, c.publish, "publish")
      expect(channel.relay, c.relay, "relay")
    },
    room_code: (c) => {
      const exported =
        c.exporter_secret === undefined
          ? fromHex(c.exported)
          : mlsExporter(fromHex(c.exporter_secret), ROOM_CODE_LABEL, fromHex(c.room_id), ROOM_CODE_BYTES)
      expectHex(exported, c.exported, "exported")
      expect(formatRoomCode(exported), c.code, "code")
    },
    ring_position: (c) => expectHex(ringPosition(fromHex(c.room_id), c.key_id), c.position, "position"),
    leaf_binding_verify: async (c) => {
      const keys = { entityId: fromHex(c.entity_id), mlDsa65: fromHex(c.ml_dsa_65) }
      const verify = async () => {
        const { keyId } = await verifyLeafBinding(fromHex(c.record), keys, Number(c.now))
        if (keyId !== c.key_id) throw new AvError("LeafIdentityUnverified", { key_id: c.key_id })
      }
      expect(await verdict(verify), expectedVerdict(c.result), c.why)
    },
  },
}
