/** Reads the signed description of a fold from the bytes that its record keeps. Verifies nothing. */
import { ML_DSA_SIGNATURE_LENGTH } from "../../crypto/index.ts"
import { ByteReader, toBase64, utf8Decode } from "../../wire/bytes.ts"
import type { Bytes } from "../../wire/types.ts"
import { separator } from "../separators.ts"
import type { SignedAggregationMeta } from "./gate.ts"
import type { AggregationMeta, AggregationMetaVersion } from "./meta.ts"

/** Bytes of a text in it. */
const MAX_TEXT = 1_024

/** @throws AvError `MalformedInput` */
export function decodeAggregationMeta(bytes: Bytes): SignedAggregationMeta {
  const reader = new ByteReader(bytes, "MalformedInput")
  reader.expect(separator("aggregation"), "separator")
  const version = versionOf(reader)
  const text = () => {
    const value = reader.lp32()
    return value.length > MAX_TEXT ? reader.fail("too long", { got: value.length }) : utf8Decode(value, "MalformedInput")
  }
  const [contentId, corpusKind, tier, aggregationAlgorithmId] = [text(), text(), reader.u32be(), text()]
  const sourceCount = reader.u32be()
  const memberCommitment = reader.bytes(32).slice()
  const noiseFloorDescriptor = text()
  const nEff = version >= 2 ? reader.u32be() : 0
  const maxSourceMultiplicity = version >= 3 ? reader.u32be() : 0
  const massCommitment = version >= 3 ? reader.bytes(32).slice() : new Uint8Array(32)
  const signature = (length: number) => {
    if (reader.u16be() !== length) reader.fail("signature length")
    return toBase64(reader.bytes(length))
  }
  const [signatureEd25519Base64, signatureMlDsa65Base64] = [signature(64), signature(ML_DSA_SIGNATURE_LENGTH)]
  reader.end()
  const meta: AggregationMeta = {
    version,
    contentId,
    corpusKind,
    tier,
    aggregationAlgorithmId,
    sourceCount,
    memberCommitment,
    noiseFloorDescriptor,
    nEff,
    maxSourceMultiplicity,
    massCommitment,
  }
  return { meta, signatureEd25519Base64, signatureMlDsa65Base64 }
}

function versionOf(reader: ByteReader): AggregationMetaVersion {
  const version = reader.u32be()
  return version === 1 || version === 2 || version === 3 ? version : reader.fail("version", { version })
}
