/** Every shipped vector that is bytes, damaged: each bit flipped in turn, cut at every length, lengthened. Decoders stay total. */
import { readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { decodeAnnouncement } from "../src/capability/index.ts"
import { decodeChain, decodeMembership, decodeToken } from "../src/token/index.ts"
import { decodeAttestation } from "../src/wire/attestation.ts"
import { fromHex } from "../src/wire/bytes.ts"
import { decodeDescription } from "../src/wire/description.ts"
import { isAvError } from "../src/wire/errors.ts"
import { decodeFloorRecord } from "../src/wire/floor-record.ts"
import { decodeMembershipCert } from "../src/wire/membership-cert.ts"
import { decodeRpc } from "../src/wire/rpc-frame.ts"
import type { Bytes } from "../src/wire/types.ts"

const FOLDER = new URL("./vectors/", import.meta.url)
/** Longer ones would cost seconds; their decoders are those of the shorter ones. */
const LONGEST = 400

/** Of each kind. */
const MOST = 4

const DECODERS: Readonly<Record<string, { member: string; decode: (bytes: Bytes) => unknown }>> = {
  announcements: { member: "payload", decode: decodeAnnouncement },
  certs: { member: "bytes", decode: decodeMembershipCert },
  floors: { member: "bytes", decode: decodeFloorRecord },
  tokens: { member: "bytes", decode: decodeToken },
  chains: { member: "bytes", decode: decodeChain },
  rpc_frames: { member: "bytes", decode: decodeRpc },
  membership_frames: { member: "bytes", decode: decodeMembership },
  descriptions: { member: "bytes", decode: decodeDescription },
  attestations: { member: "bytes", decode: decodeAttestation },
}

function samples(section: string, member: string): Bytes[] {
  const found = new Set<string>()
  for (const name of readdirSync(FOLDER).filter((file) => file.endsWith(".json"))) {
    const file = JSON.parse(readFileSync(new URL(name, FOLDER), "utf8")) as Record<string, unknown>
    const sections = (file.sections ?? file) as Record<string, Record<string, unknown>[] | undefined>
    for (const each of sections[section] ?? []) {
      const hex = each[member]
      if (typeof hex === "string" && /^([0-9a-f]{2})+$/.test(hex) && hex.length <= 2 * LONGEST) found.add(hex)
    }
  }
  return [...found].slice(0, MOST).map((hex) => fromHex(hex))
}

describe.each(Object.entries(DECODERS))("%s", (section, { member, decode }) => {
  const corpus = samples(section, member)

  it("is there", () => expect(corpus.length).toBeGreaterThan(0))

  it("gives a value or a typed error for everything near it", () => {
    const tries = (bytes: Bytes) => {
      try {
        decode(bytes)
        return true
      } catch (error) {
        if (!isAvError(error)) throw error
        return false
      }
    }
    let accepted = 0
    for (const sample of corpus) {
      if (tries(sample.slice())) accepted++
      for (let bit = 0; bit < sample.length * 8; bit++) {
        const copy = sample.slice()
        copy[bit >> 3] = (copy[bit >> 3] as number) ^ (1 << (bit & 7))
        tries(copy)
      }
      for (let length = 0; length < sample.length; length++) tries(sample.slice(0, length))
      for (const extra of [1, 2, 64]) tries(Uint8Array.from([...sample, ...new Uint8Array(extra)]))
    }
    expect(accepted).toBeGreaterThan(0)
  })
})
