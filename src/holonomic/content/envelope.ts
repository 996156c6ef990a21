/** What a producer says around its content: its keys, how long it consents, who may revoke, and the application's own words. */
import { peerKeyIdOf, pqHashOf } from "../../crypto/index.ts"
import { ByteReader, ByteWriter, utf8Decode } from "../../wire/bytes.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"
import { utf8 } from "../checks.ts"
import type { DecayThresholds } from "../retention/decay.ts"
import type { PeerKeys } from "../trust/verified.ts"

const ENVELOPE_VERSION = 1
/** Others than the producer who may consent and revoke. */
const MAX_AUTHORITIES = 32
/** Bytes of a class name or of a peer id. */
const MAX_NAME = 255
const MAX_APPLICATION_BYTES = 8_192
const MAX_KEY = 4_096

export interface ContentEnvelope {
  /** The producer's; empty keys verify nothing. */
  producer: PeerKeys
  className: string
  /** For classes that not everybody knows. */
  thresholds?: DecayThresholds
  /** Subjects and owners: their consent and their revocations count as the producer's own. */
  authorities: readonly PeerKeyId[]
  /** Who folded it; on aggregates. */
  aggregator?: PeerKeys
  /** Not read here. */
  application: Bytes
}

/** @throws AvError `UsageError`, `IllFormedString`, `IntegerOutOfRange` */
export function encodeEnvelope(envelope: ContentEnvelope): Bytes {
  const { producer, className, thresholds, authorities, aggregator, application } = envelope
  if (authorities.length > MAX_AUTHORITIES) throw new AvError("UsageError", { why: "authorities", got: authorities.length })
  if (application.length > MAX_APPLICATION_BYTES) throw new AvError("UsageError", { why: "application", got: application.length })
  const out = new ByteWriter(4_096).u8(ENVELOPE_VERSION).lp32(producer.ed25519).lp32(producer.mlDsa65).lp32(utf8(className))
  out.u8(thresholds === undefined ? 0 : 1)
  if (thresholds !== undefined) {
    const { full, t2, t3, t4, envelopeOnly } = thresholds
    for (const days of [full, t2, t3, t4, envelopeOnly]) out.u32be(days)
  }
  out.u8(authorities.length)
  for (const id of authorities) out.lp32(utf8(id))
  out.u8(aggregator === undefined ? 0 : 1)
  if (aggregator !== undefined) out.lp32(aggregator.ed25519).lp32(aggregator.mlDsa65)
  return out.lp32(application).finish()
}

/** @throws AvError `Malformed` */
export function decodeEnvelope(bytes: Bytes): ContentEnvelope {
  const reader = new ByteReader(bytes, "Malformed")
  const bounded = (max: number) => {
    const value = reader.lp32()
    return value.length > max ? reader.fail("too long", { got: value.length, max }) : value.slice()
  }
  const flag = () => {
    const value = reader.u8()
    return value > 1 ? reader.fail("flag") : value === 1
  }
  if (reader.u8() !== ENVELOPE_VERSION) reader.fail("version")
  const producer = { ed25519: bounded(MAX_KEY), mlDsa65: bounded(MAX_KEY) }
  const className = utf8Decode(bounded(MAX_NAME))
  const thresholds = flag() ? readThresholds(reader) : undefined
  const count = reader.u8()
  if (count > MAX_AUTHORITIES) reader.fail("authorities", { got: count })
  const authorities = Array.from({ length: count }, () => utf8Decode(bounded(MAX_NAME)))
  const aggregator = flag() ? { ed25519: bounded(MAX_KEY), mlDsa65: bounded(MAX_KEY) } : undefined
  const application = bounded(MAX_APPLICATION_BYTES)
  reader.end()
  return {
    producer,
    className,
    ...(thresholds && { thresholds }),
    authorities,
    ...(aggregator && { aggregator }),
    application,
  }
}

/** The id that the producer's keys commit to; undefined when they are no keys. */
export function producerOf({ producer }: ContentEnvelope): PeerKeyId | undefined {
  if (producer.ed25519.length !== 32 || producer.mlDsa65.length === 0) return undefined
  return peerKeyIdOf(producer.ed25519, pqHashOf(producer.mlDsa65))
}

function readThresholds(reader: ByteReader): DecayThresholds {
  const [full, t2, t3, t4, envelopeOnly] = Array.from({ length: 5 }, () => reader.u32be()) as [
    number,
    number,
    number,
    number,
    number,
  ]
  return { full, t2, t3, t4, envelopeOnly }
}
