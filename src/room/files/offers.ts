/** What a member shares, as a message to the room. Whoever wrote it may lie; it is bounded, and only shown. */
import { type BlobRef, decodeBlobRef, encodeBlobRef, MANIFEST_LIMITS } from "../../store/tree/manifest.ts"
import { treeId } from "../../transfer/index.ts"
import { fromBase64, isWellFormedText, toBase64, utf8Decode, utf8Encode } from "../../wire/bytes.ts"
import { AvError, isAvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"

export const OFFERS_TOPIC = "holomesh/files"
/** A message to the room. */
const MAX_BYTES = 32_768
const MAX_OFFERS = 64
const MAX_NAME = 255
const VERSION = 1

export interface OfferFacts {
  name: string
  files: number
  bytes: number
  /** Of the manifest. */
  ref: BlobRef
}

/** @throws AvError `LimitExceeded` when a message cannot hold so many. */
export function encodeOffers(offers: readonly OfferFacts[]): Bytes {
  const list = offers.map(({ name, files, bytes, ref }) => ({ name, files, bytes, ref: toBase64(encodeBlobRef(ref)) }))
  const message = utf8Encode(JSON.stringify({ v: VERSION, offers: list }))
  if (message.length > MAX_BYTES || offers.length > MAX_OFFERS) throw new AvError("LimitExceeded", { what: "shares" })
  return message
}

/** What is not understood is left out; undefined for what is no list at all. */
export function decodeOffers(message: Bytes): (OfferFacts & { id: string })[] | undefined {
  if (message.length > MAX_BYTES) return undefined
  try {
    const json: unknown = JSON.parse(utf8Decode(message, "Malformed"))
    if (!isRecord(json) || json.v !== VERSION || !Array.isArray(json.offers)) return undefined
    return json.offers.slice(0, MAX_OFFERS).flatMap(readOffer)
  } catch (error) {
    if (isAvError(error) || error instanceof SyntaxError) return undefined
    throw error
  }
}

function readOffer(value: unknown): (OfferFacts & { id: string })[] {
  if (!isRecord(value)) return []
  const { name, files, bytes, ref } = value
  if (typeof name !== "string" || name === "" || name.length > MAX_NAME || !isWellFormedText(name) || hasControl(name)) return []
  if (!isCount(files, MANIFEST_LIMITS.entries) || !isCount(bytes, Number.MAX_SAFE_INTEGER) || typeof ref !== "string") return []
  try {
    const decoded = decodeBlobRef(fromBase64(ref))
    return decoded.size > 0 ? [{ id: treeId(decoded), name, files, bytes, ref: decoded }] : []
  } catch (error) {
    if (isAvError(error)) return []
    throw error
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function isCount(value: unknown, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= most
}

function hasControl(text: string): boolean {
  return [...text].some((letter) => letter < " " || letter === "\x7f")
}
