/** Names for the plain values that travel through every layer. */

export type Bytes = Uint8Array
/** Unsigned 64-bit integers are always `bigint`: a `number` would lose bits above 2^53. */
export type U64 = bigint
/** `"mk1"` + 64 hex digits; commits to a peer's Ed25519 and ML-DSA-65 keys. Ordered by its UTF-8 bytes. */
export type PeerKeyId = string
/** 16 lower-case hex digits, never all zero. */
export type NodeId = string
/** Milliseconds since the Unix epoch, or of a monotonic clock; the parameter says which. */
export type Milliseconds = number

/** A function that fills and returns `length` random bytes. Injected so that protocol cores stay deterministic. */
export type RandomBytes = (length: number) => Bytes

export interface ChunkLayer {
  spatial: number
  temporal: number
  quality: number
}
export interface ReceiverLayerPolicy {
  maxSpatial: number
  maxTemporal: number
  maxQuality: number
}
export interface ChunkHeader {
  streamId: Bytes
  epoch: U64
  chunkSeq: U64
  codecId: number
  layer: ChunkLayer
}
export interface SealedAvChunk extends ChunkHeader {
  ciphertext: Bytes
}
export interface InnerSealed extends ChunkHeader {
  innerCiphertext: Bytes
}
/** 0: the reference's byte format; 1: hardened variant with the header as associated data and a key per stream. */
export type SealProfile = 0 | 1
