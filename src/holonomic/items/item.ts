/** Items of a room's memory: files and recordings, cut into contents that name each other. What strangers write is bounded here. */
import { sha256Sync } from "../../crypto/index.ts"
import { concatBytes, fromHex, toHex, utf8Decode, utf8Encode } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import { bytesField, intField, oneOf, textField } from "../../wire/json-field.ts"
import { type Decoded, optional, readShape, required, writeShape } from "../../wire/json-shape.ts"
import { isJsonObject, parseJson } from "../../wire/json-text.ts"
import type { Bytes, PeerKeyId } from "../../wire/types.ts"
import { utf8 } from "../checks.ts"
import { decodeEnvelope, producerOf } from "../content/envelope.ts"
import type { ContentRef, FountainManifest } from "../content/manifest.ts"

/** Bytes of one part; the last one is shorter. Each of its symbols travels in one frame and leaves room for other messages. */
export const PART_BYTES = 1_048_576
const MAX_PARTS = 1_024
/** Bytes of one item. */
export const MAX_ITEM_BYTES = MAX_PARTS * PART_BYTES
/** Characters of a name and of a media type. */
export const MAX_ITEM_NAME = 255
const MAX_TYPE = 127
const NONCE_BYTES = 16

export type ItemKind = "file" | "recording"

const headShape = {
  /** With the producer's id it makes the item's: nobody else can add parts to it. */
  nonce: required("nonce", bytesField(NONCE_BYTES)),
  part: required("part", intField(0, MAX_PARTS - 1)),
  parts: required("parts", intField(1, MAX_PARTS)),
  kind: required("kind", oneOf("file", "recording")),
  name: required("name", textField(MAX_ITEM_NAME, 1)),
  type: required("type", textField(MAX_TYPE)),
  /** Bytes of the whole. */
  size: required("size", intField(0, MAX_ITEM_BYTES)),
  /** Unix ms at which it was put here. */
  at: required("at", intField(0, Number.MAX_SAFE_INTEGER)),
  /** Of a recording. */
  durationMs: optional("duration_ms", intField(0, Number.MAX_SAFE_INTEGER)),
}

/** What each part says about itself and the whole, in the envelope of its manifest. */
export type ItemHead = Decoded<typeof headShape>

export interface ItemPart extends ItemHead {
  /** 32 hex digits. */
  item: string
  producer: PeerKeyId
}

/** Name of an item of this producer. */
export function itemId(producer: PeerKeyId, nonce: Bytes): string {
  return toHex(sha256Sync(concatBytes(utf8Encode("HOLOMESH-ITEM-v1"), nonce, utf8(producer))).subarray(0, 16))
}

export function partRef(item: string, part: number, kind: ItemKind): ContentRef {
  return { contentId: `${item}.${part}`, corpusKind: kind === "recording" ? "av_chunk" : "blob" }
}

export function encodeItemHead(head: ItemHead): Bytes {
  return utf8Encode(JSON.stringify(writeShape(headShape, head)))
}

/** What a manifest says about the item it is a part of; undefined for any other content, and for one that claims a place not its own. */
export function itemPartOf(manifest: FountainManifest): ItemPart | undefined {
  try {
    const envelope = decodeEnvelope(manifest.envelope)
    const json = parseJson(utf8Decode(envelope.application))
    const head = isJsonObject(json) ? readShape(headShape, json) : undefined
    const producer = producerOf(envelope)
    if (head === undefined || producer === undefined || head.part >= head.parts) return undefined
    const item = itemId(producer, head.nonce)
    const ref = partRef(item, head.part, head.kind)
    const own = ref.contentId === manifest.contentId && ref.corpusKind === manifest.corpusKind
    const fits = head.parts === partsOf(head.size) && manifest.originalContentLength === BigInt(partLength(head.size, head.part))
    return own && fits ? { ...head, item, producer } : undefined
  } catch (error) {
    if (isAvError(error)) return undefined
    throw error
  }
}

/** Parts of an item of that many bytes; an empty one has one. @throws AvError `PayloadTooLarge` */
export function partsOf(size: number): number {
  if (size > MAX_ITEM_BYTES) throw new AvError("PayloadTooLarge", { got: size, max: MAX_ITEM_BYTES })
  return Math.max(1, Math.ceil(size / PART_BYTES))
}

export function partLength(size: number, part: number): number {
  return Math.max(0, Math.min(PART_BYTES, size - part * PART_BYTES))
}

/** The parts of an item that agree with each other, by number. */
export interface KnownItem {
  head: ItemPart
  parts: Map<number, ItemPart>
}

/** Gathers parts into items, the newest first. Parts that contradict the first of their item are left out. */
export function gatherItems(parts: Iterable<ItemPart>): KnownItem[] {
  const items = new Map<string, KnownItem>()
  for (const part of parts) {
    const known = items.get(part.item)
    if (known === undefined) items.set(part.item, { head: part, parts: new Map([[part.part, part]]) })
    else if (sameItem(known.head, part)) known.parts.set(part.part, part)
  }
  return [...items.values()].sort((a, b) => b.head.at - a.head.at)
}

function sameItem(a: ItemPart, b: ItemPart): boolean {
  return a.parts === b.parts && a.size === b.size && a.name === b.name && a.type === b.type && a.kind === b.kind && a.at === b.at
}

/** True for what {@link itemId} gives. */
export function isItemId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text) && fromHex(text).length === 16
}
