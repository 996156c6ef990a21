/** A self-signed X.509 certificate (RFC 5280) for DTLS: Node makes keys, but has nothing that writes certificates. */
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto"

const SEQUENCE = 0x30
const SET = 0x31
const INTEGER = 0x02
const BIT_STRING = 0x03
const UTF8_STRING = 0x0c
const UTC_TIME = 0x17
const VERSION = 0xa0
/** 1.2.840.10045.4.3.2, ECDSA with SHA-256, as an encoded OBJECT IDENTIFIER. */
const ECDSA_SHA256 = Buffer.from("06082a8648ce3d040302", "hex")
/** 2.5.4.3, the common name. */
const COMMON_NAME = Buffer.from("0603550403", "hex")
const DAY_MS = 86_400_000
/** Links do not last longer; browsers use the same. */
const VALID_DAYS = 30

/** One certificate with its key, as PEM (RFC 7468). */
export interface PemCertificate {
  certificate: string
  key: string
  /** SHA-256 of the certificate, 32 bytes. */
  fingerprint: Uint8Array
  /** End of its validity, Unix ms. */
  expires: number
}

/** ECDSA over P-256, as WebRTC has it by default. Nobody checks the name; what counts is the fingerprint. */
export function makeCertificate(now = Date.now()): PemCertificate {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, COMMON_NAME, der(UTF8_STRING, Buffer.from("WebRTC")))))
  const expires = now + VALID_DAYS * DAY_MS
  const algorithm = der(SEQUENCE, ECDSA_SHA256)
  const body = der(
    SEQUENCE,
    der(VERSION, der(INTEGER, Buffer.of(2))),
    der(INTEGER, serialNumber()),
    algorithm,
    name,
    // From yesterday on: clocks differ.
    der(SEQUENCE, utcTime(now - DAY_MS), utcTime(expires)),
    name,
    publicKey.export({ type: "spki", format: "der" }),
  )
  const signature = sign("sha256", body, privateKey)
  const certificate = der(SEQUENCE, body, algorithm, der(BIT_STRING, Buffer.of(0), signature))
  return {
    certificate: pem(certificate),
    key: String(privateKey.export({ type: "pkcs8", format: "pem" })),
    fingerprint: new Uint8Array(createHash("sha256").update(certificate).digest()),
    expires,
  }
}

function der(tag: number, ...parts: Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...size), content])
}

/** Positive and in its shortest form, as DER wants it. */
function serialNumber(): Buffer {
  const bytes = randomBytes(8)
  bytes.writeUInt8((bytes.readUInt8(0) & 0x7f) | 0x40, 0)
  return bytes
}

function utcTime(at: number): Buffer {
  const digits = new Date(at).toISOString().replace(/\D/g, "")
  return der(UTC_TIME, Buffer.from(`${digits.slice(2, 14)}Z`))
}

function pem(bytes: Buffer): string {
  const lines = bytes.toString("base64").match(/.{1,64}/g) ?? []
  return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`
}
