/** Runs the sections of control-plane vectors that are signed layouts: descriptions and address attestations. */
import { deepStrictEqual, strictEqual } from "node:assert"
import { ed25519PublicKey, ed25519Sign } from "../../src/crypto/ed25519.ts"
import { signLabelled, verifyLabelled } from "../../src/crypto/labelled.ts"
import {
  type AddressAttestation,
  ATTESTATION_LABEL,
  type Bytes,
  CANDIDATE_PROTOCOLS,
  CANDIDATE_TYPES,
  type CandidateEntry,
  DESCRIPTION_LABEL,
  decodeAddressBlock,
  decodeAttestation,
  decodeDescription,
  encodeUnsignedAttestation,
  encodeUnsignedDescription,
  isAvError,
  joinAttestation,
  joinDescription,
  nodeIdFromU64,
  type SessionDescription,
  toHex,
} from "../../src/wire/index.ts"
import type { RunnerTable } from "../types.ts"
import { expectHex, hex } from "./wire-check.ts"

interface FailingCase {
  bytes: string
  error?: string
  any_error?: boolean
}
interface DescriptionCase extends FailingCase {
  seed?: string
  fields?: {
    flags: number
    ufrag: string
    pwd: string
    to_node: string
    attempt_id: string
    issued_ms: string
    dtls_fp: string
    candidates: { addr: string; typ: number; proto: number; priority: number }[]
  }
}
interface AttestationCase extends FailingCase {
  observer_seed?: string
  fields?: { subject: string; issued_ms: string; expires_ms: string; addrs: string[] }
}

/** The name of the error the bytes meet, or undefined when they decode and verify. */
async function failureOf(verify: () => Promise<boolean>): Promise<string | undefined> {
  try {
    return (await verify()) ? undefined : "BadSignature"
  } catch (error) {
    if (!isAvError(error)) throw error
    return error.name
  }
}

async function expectFailure(c: FailingCase, verify: () => Promise<boolean>): Promise<void> {
  const failure = await failureOf(verify)
  if (c.any_error === true) return strictEqual(failure !== undefined, true)
  strictEqual(failure, c.error)
}

const signerOf = (seed: Bytes) => ({ signEd25519: (message: Bytes) => ed25519Sign(seed, message) })

function candidateOf(json: { addr: string; typ: number; proto: number; priority: number }): CandidateEntry {
  const type = CANDIDATE_TYPES[json.typ]
  const protocol = CANDIDATE_PROTOCOLS[json.proto]
  if (type === undefined || protocol === undefined) throw new Error("candidate of the case")
  return { address: decodeAddressBlock(hex(json.addr)), type, protocol, priority: json.priority }
}

async function verifyDescription(bytes: Bytes): Promise<boolean> {
  const { description, signedBytes, signature } = decodeDescription(bytes)
  return verifyLabelled(DESCRIPTION_LABEL, signedBytes, description.fromEntity, signature)
}

async function descriptionCase(c: DescriptionCase): Promise<void> {
  await expectFailure(c, () => verifyDescription(hex(c.bytes)))
  if (c.fields === undefined || c.seed === undefined) return
  const seed = hex(c.seed)
  const description: SessionDescription = {
    answer: (c.fields.flags & 1) !== 0,
    iceRestart: (c.fields.flags & 2) !== 0,
    trickle: (c.fields.flags & 4) !== 0,
    endOfCandidates: (c.fields.flags & 8) !== 0,
    fromEntity: ed25519PublicKey(seed),
    toNode: nodeIdFromU64(BigInt(c.fields.to_node)),
    attemptId: BigInt(c.fields.attempt_id),
    issuedMs: BigInt(c.fields.issued_ms),
    dtlsFingerprint: hex(c.fields.dtls_fp),
    ufrag: c.fields.ufrag,
    pwd: c.fields.pwd,
    candidates: c.fields.candidates.map(candidateOf),
  }
  const unsigned = encodeUnsignedDescription(description)
  expectHex(joinDescription(unsigned, await signLabelled(DESCRIPTION_LABEL, unsigned, signerOf(seed))), c.bytes)
  deepStrictEqual(decodeDescription(hex(c.bytes)).description, description)
}

async function verifyAttestation(bytes: Bytes): Promise<boolean> {
  const { attestation, signedBytes, signature } = decodeAttestation(bytes)
  return verifyLabelled(ATTESTATION_LABEL, signedBytes, attestation.observer, signature)
}

async function attestationCase(c: AttestationCase): Promise<void> {
  await expectFailure(c, () => verifyAttestation(hex(c.bytes)))
  if (c.fields === undefined || c.observer_seed === undefined) return
  const seed = hex(c.observer_seed)
  const attestation: AddressAttestation = {
    observer: ed25519PublicKey(seed),
    subject: hex(c.fields.subject),
    issuedMs: BigInt(c.fields.issued_ms),
    expiresMs: BigInt(c.fields.expires_ms),
    addresses: c.fields.addrs.map((address) => decodeAddressBlock(hex(address))),
  }
  const unsigned = encodeUnsignedAttestation(attestation)
  expectHex(joinAttestation(unsigned, await signLabelled(ATTESTATION_LABEL, unsigned, signerOf(seed))), c.bytes)
  strictEqual(toHex(decodeAttestation(hex(c.bytes)).attestation.subject), c.fields.subject)
}

export const runners: RunnerTable = {
  "control-plane": { descriptions: descriptionCase, attestations: attestationCase },
}
