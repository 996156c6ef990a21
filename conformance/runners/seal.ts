/** Runs the sealing and key derivation sections of av-mesh vectors. */

import { sha256Sync } from "../../src/crypto/index.ts"
import {
  DedupRing,
  deriveInnerNonce,
  deriveRootSecret,
  deriveStreamDek,
  deriveStreamId,
  openChunk,
  sealChunk,
  sealInner,
} from "../../src/seal/inner/index.ts"
import {
  deriveLinkKey,
  deriveOuterNonce,
  deriveReferenceKex,
  deriveTransitKey,
  encodeKeepAlive,
  kexAuthMessage,
  kexTranscript,
  openOuter,
  ReplayWindow,
  sealOuter,
} from "../../src/seal/outer/index.ts"
import { fromHex, toHex } from "../../src/wire/bytes.ts"
import { decodeChunk, encodeChunk } from "../../src/wire/chunk.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { Bytes, ChunkHeader, SealProfile } from "../../src/wire/types.ts"
import type { CaseRunner, RunnerTable } from "../types.ts"

/** Bytes in a case: hex, a hash with a length, or a formula for the content. */
type Blob = string | { hex: string } | { len: number; sha256: string }
type Content = string | { hex: string } | { len: number; mul: number; add: number }

interface HeaderCase {
  stream_id: string
  epoch: string
  chunk_seq: string
  codec_id: number
  layer: { spatial: number; temporal: number; quality: number }
}
interface SealCase extends HeaderCase {
  plaintext: Content
  epoch_dek: string
  transit_key: string
  link_id: string
  link_seq: string
  inner_nonce: string
  outer_nonce: string
  inner_ciphertext: Blob
  wire: Blob
  open: Record<string, string>
}
interface HopsCase extends HeaderCase {
  plaintext: Content
  epoch_dek: string
  inner_ciphertext: Blob
  hops: { transit_key: string; link_id: string; link_seq: string; wire: Blob; inner_same: boolean }[]
}

function expect(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual).slice(0, 80)} is not ${String(expected).slice(0, 80)}`)
}

function expectBytes(actual: Bytes, expected: Blob, what: string): void {
  if (typeof expected === "object" && "sha256" in expected) {
    expect(actual.length, expected.len, `${what} length`)
    expect(toHex(sha256Sync(actual)), expected.sha256, what)
  } else expect(toHex(actual), typeof expected === "string" ? expected : expected.hex, what)
}

function content(value: Content): Bytes {
  if (typeof value === "string") return fromHex(value)
  if ("hex" in value) return fromHex(value.hex)
  return Uint8Array.from({ length: value.len }, (_, i) => (value.mul * i + value.add) & 0xff)
}

function headerOf(c: HeaderCase): ChunkHeader {
  return {
    streamId: fromHex(c.stream_id),
    epoch: BigInt(c.epoch),
    chunkSeq: BigInt(c.chunk_seq),
    codecId: c.codec_id,
    layer: c.layer,
  }
}

/** `ok` when the plaintext came back, else the name of the error. */
async function outcome(run: () => Promise<Bytes>, plaintext: Bytes): Promise<string> {
  try {
    const opened = await run()
    return toHex(opened) === toHex(plaintext) ? "ok" : "other plaintext"
  } catch (error) {
    if (isAvError(error)) return error.code
    throw error
  }
}

/** Where the header fields lie, for the cases that change one of them. */
const FLIPS: Record<string, number> = {
  flip_stream_id: 0,
  flip_epoch: 39,
  flip_chunk_seq: 47,
  flip_codec: 48,
  flip_spatial: 49,
  flip_temporal: 50,
  flip_quality: 51,
  flip_first_ct: 52,
}

function flipped(bytes: Bytes, at: number): Bytes {
  const out = bytes.slice()
  out[at] = (out[at] ?? 0) ^ 1
  return out
}

function changedWire(name: string, wire: Bytes): Bytes {
  const at = FLIPS[name]
  if (at !== undefined) return flipped(wire, at)
  if (name === "flip_last") return flipped(wire, wire.length - 1)
  if (name === "truncated") return wire.slice(0, -1)
  if (name === "header_plus_15") return wire.slice(0, 67)
  return wire
}

function sealRunner(profile: SealProfile): CaseRunner {
  return async (c: SealCase) => {
    const header = headerOf(c)
    const plaintext = content(c.plaintext)
    const [dek, transitKey, linkId, linkSeq] = [
      fromHex(c.epoch_dek),
      fromHex(c.transit_key),
      fromHex(c.link_id),
      BigInt(c.link_seq),
    ]
    expect(toHex(deriveInnerNonce(header.streamId, header.epoch, header.chunkSeq)), c.inner_nonce, "inner nonce")
    expect(toHex(deriveOuterNonce(linkId, linkSeq)), c.outer_nonce, "outer nonce")
    const inner = await sealInner(plaintext, dek, header, profile)
    expectBytes(inner.innerCiphertext, c.inner_ciphertext, "inner ciphertext")
    const wire = encodeChunk(await sealOuter(inner, transitKey, linkId, linkSeq, profile))
    expectBytes(wire, c.wire, "wire")
    const whole = await sealChunk(plaintext, dek, header, transitKey, linkId, linkSeq, profile)
    expect(toHex(encodeChunk(whole)), toHex(wire), "sealChunk")
    for (const [name, expected] of Object.entries(c.open)) {
      const key = name === "wrong_transit_key" ? flipped(transitKey, 0) : transitKey
      const id = name === "wrong_link_id" ? flipped(linkId, linkId.length - 1) : linkId
      const seq = name === "wrong_link_seq" ? linkSeq ^ 1n : linkSeq
      const contentKey = name === "wrong_dek" ? flipped(dek, 0) : dek
      const chunk = decodeChunk(changedWire(name, wire))
      expect(await outcome(() => openChunk(chunk, key, id, seq, contentKey, profile), plaintext), expected, `open ${name}`)
    }
  }
}

function hopsRunner(profile: SealProfile): CaseRunner {
  return async (c: HopsCase) => {
    const dek = fromHex(c.epoch_dek)
    let inner = await sealInner(content(c.plaintext), dek, headerOf(c), profile)
    expectBytes(inner.innerCiphertext, c.inner_ciphertext, "inner ciphertext")
    const first = toHex(inner.innerCiphertext)
    for (const hop of c.hops) {
      const [transitKey, linkId, linkSeq] = [fromHex(hop.transit_key), fromHex(hop.link_id), BigInt(hop.link_seq)]
      const sealed = await sealOuter(inner, transitKey, linkId, linkSeq, profile)
      expectBytes(encodeChunk(sealed), hop.wire, "wire")
      inner = await openOuter(decodeChunk(encodeChunk(sealed)), transitKey, linkId, linkSeq, profile)
      expect(toHex(inner.innerCiphertext) === first, hop.inner_same, "inner unchanged")
    }
  }
}

function bytesOf(value: string | number[]): Bytes {
  return typeof value === "string" ? fromHex(value) : Uint8Array.from(value)
}

export const runners: RunnerTable = {
  "av-mesh": {
    inner_nonce: (c) =>
      expect(toHex(deriveInnerNonce(fromHex(c.stream_id), BigInt(c.epoch), BigInt(c.chunk_seq))), c.nonce, "nonce"),
    outer_nonce: (c) => expect(toHex(deriveOuterNonce(fromHex(c.link_id), BigInt(c.link_seq))), c.nonce, "nonce"),
    seal_profile0: sealRunner(0),
    seal_profile1: sealRunner(1),
    hops_profile0: hopsRunner(0),
    hops_profile1: hopsRunner(1),
    stream_id: (c) => {
      const id = deriveStreamId({
        sealProfile: c.seal_profile,
        roomId: fromHex(c.room_id),
        publisherKeyId: c.publisher_key_id,
        trackLabel: c.track_label,
        subStreamPath: bytesOf(c.sub_stream_path),
        instance: fromHex(c.instance),
      })
      expect(toHex(id), c.stream_id, "stream id")
    },
    transit_key: async (c) => {
      const key = await deriveTransitKey(
        fromHex(c.session_key),
        fromHex(c.stream_id),
        c.sender_key_id,
        c.receiver_key_id,
        fromHex(c.sub_nonce),
      )
      expect(toHex(key), c.transit_key, "transit key")
    },
    link_key: async (c) => {
      const [kex1, kex2, initiator, responder] = [fromHex(c.kex1), fromHex(c.kex2_body), c.initiator_key_id, c.responder_key_id]
      const key = await deriveLinkKey(fromHex(c.x25519_shared), fromHex(c.mlkem768_shared), kex1, kex2, initiator, responder)
      expect(toHex(key), c.session_key, "session key")
      const transcript = kexTranscript(kex1, kex2)
      expect(
        toHex(kexAuthMessage("responder", transcript, initiator, responder)),
        c.auth_message_responder,
        "responder's message",
      )
      expect(
        toHex(kexAuthMessage("initiator", transcript, initiator, responder)),
        c.auth_message_initiator,
        "initiator's message",
      )
    },
    reference_kex: async (c) => {
      const key = await deriveReferenceKex({
        x25519Shared: fromHex(c.x25519_shared),
        mlkemShared: fromHex(c.mlkem768_shared),
        ephemeralX25519: fromHex(c.eph_x25519_pub),
        responderX25519: fromHex(c.responder_x25519_pub),
        mlkemCiphertext: fromHex(c.mlkem_ciphertext),
        responderMlkem: fromHex(c.responder_mlkem_pub),
      })
      expect(toHex(key), c.session_key, "session key")
    },
    root_secret: async (c) => expect(toHex(await deriveRootSecret(fromHex(c.exporter_secret))), c.root_secret, "root secret"),
    stream_dek: async (c) =>
      expect(
        toHex(await deriveStreamDek(fromHex(c.root_secret), fromHex(c.stream_id), BigInt(c.epoch))),
        c.stream_dek,
        "stream dek",
      ),
    link_keep_alive: async (c) => {
      const frame = await encodeKeepAlive(fromHex(c.transit_key), fromHex(c.link_id), BigInt(c.link_seq), fromHex(c.stream_id))
      expect(toHex(frame), c.frame, "frame")
    },
    replay_window: (c: { width: number; seqs: string[]; outcomes: string[] }) => {
      const window = new ReplayWindow(c.width)
      for (const [i, seq] of c.seqs.entries()) expect(window.admit(BigInt(seq)), c.outcomes[i], `step ${i}, number ${seq}`)
    },
    replay_window_bad_width: (c) => {
      try {
        new ReplayWindow(c.width)
      } catch (error) {
        if (isAvError(error)) return expect(error.code, c.result, "error")
        throw error
      }
      expect("ok", c.result, "width")
    },
    dedup_ring: (c: { capacity: number; ops: [number | string, number | string, boolean][] }) => {
      const ring = new DedupRing(c.capacity)
      for (const [i, [epoch, seq, fresh]] of c.ops.entries()) expect(ring.observe(BigInt(epoch), BigInt(seq)), fresh, `step ${i}`)
    },
  },
}
