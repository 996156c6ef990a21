/** The JSON form of a signed relay capacity, the body of `av.capacity` (av-mesh 8.5, D-20). */

import { toHex } from "./bytes.ts"
import {
  byteListField,
  type Field,
  f32Field,
  intField,
  keyIdField,
  listOf,
  streamPathField,
  u64Field,
  utf8Field,
} from "./json-field.ts"
import { type Decoded, objectOf, optional, required } from "./json-shape.ts"
import type { ReceiverLayerPolicy } from "./types.ts"

const u8 = /* @__PURE__ */ intField(0, 0xff)
const u16 = /* @__PURE__ */ intField(0, 0xffff)
/** binary32, finite and not below zero; minus zero is allowed and kept. */
const megabits: Field<number> = {
  read(value) {
    const number = f32Field.read(value)
    return number !== undefined && number >= 0 ? number : undefined
  },
  write: (value) => value,
}

/** `{ max_spatial, max_temporal, max_quality }`, three u8. */
export const policyField: Field<ReceiverLayerPolicy> = /* @__PURE__ */ objectOf({
  maxSpatial: required("max_spatial", u8),
  maxTemporal: required("max_temporal", u8),
  maxQuality: required("max_quality", u8),
})

const commitmentShape = {
  subStreamPath: required("sub_stream_path", streamPathField),
  uplinkBudgetMbps: required("uplink_budget_mbps", megabits),
  maxSubscribers: required("max_subscribers", u16),
}
/** A promise for one sub-stream. */
type SubStreamCommitmentJson = Decoded<typeof commitmentShape>

const commitmentList = /* @__PURE__ */ listOf(objectOf(commitmentShape), 256)
/** At most 256, no path twice (D-20). */
const commitmentsField: Field<SubStreamCommitmentJson[]> = {
  read(value) {
    const list = commitmentList.read(value)
    const distinct = new Set(list?.map((commitment) => toHex(commitment.subStreamPath)))
    return list !== undefined && distinct.size === list.length ? list : undefined
  },
  write: (value) => commitmentList.write(value),
}

const capacityShape = {
  uplinkMbps: required("uplink_mbps", megabits),
  maxStreams: required("max_streams", u16),
  maxSubscribersPerStream: required("max_subscribers_per_stream", u16),
  measuredAtUnixMs: required("measured_at_unix_ms", u64Field),
  maxLayerSupported: required("max_layer_supported", policyField),
  /** Missing means none. */
  subStreamCommitments: optional("sub_stream_commitments", commitmentsField),
}

/** Members of `av.capacity`. The signature texts stay base64, because the signed object is verified from its parts. */
export const signedCapacityShape = {
  advertiserKeyId: required("advertiser_key_id", keyIdField),
  capacity: required("capacity", objectOf(capacityShape)),
  streamId: required("stream_id", byteListField(32, 32)),
  epoch: required("epoch", u64Field),
  signatureEd25519Base64: required("signature_ed25519_base64", utf8Field(0, 128)),
  signatureMlDsa65Base64: required("signature_ml_dsa_65_base64", utf8Field(0, 8192)),
}
/** A signed relay capacity as it travels. */
export type SignedCapacityJson = Decoded<typeof signedCapacityShape>
