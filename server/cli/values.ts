/** Values of the operator's commands, as people write them. White space around them never counts. */

import { fromHex, toHex } from "../../src/wire/bytes.ts"
import { parseNodeId } from "../../src/wire/node-id.ts"
import type { Bytes, NodeId } from "../../src/wire/types.ts"
import { CliError } from "./failure.ts"

export function nodeIdOf(text: string): NodeId {
  const id = parseNodeId(text.trim())
  if (id === undefined) throw new CliError("bad-node-id", `${text.trim()} is no node id: 16 hex digits, 0x… or a decimal number`)
  return id
}

/** @param prefix may stand before the digits, as in a tag */
export function hexOf(text: string, bytes: number, what: string, prefix = ""): Bytes {
  const trimmed = text.trim()
  const digits = prefix !== "" && trimmed.startsWith(prefix) ? trimmed.slice(prefix.length) : trimmed
  if (digits.length !== bytes * 2 || !/^[0-9a-f]*$/i.test(digits)) {
    throw new CliError(`bad-${what.replaceAll(" ", "-")}`, `a ${what} has ${bytes * 2} hex digits`)
  }
  return fromHex(digits.toLowerCase())
}

export function wholeNumber(text: string, least: number, most: number, what: string): number {
  const value = Number(text.trim())
  if (!/^\d{1,16}$/.test(text.trim()) || value < least || value > most) {
    throw new CliError("bad-number", `${what} is a whole number from ${least} to ${most}`)
  }
  return value
}

/** Each value once, in the order given. */
export function distinct<T>(texts: readonly string[] | undefined, read: (text: string) => T, key: (value: T) => string): T[] {
  const found = new Map<string, T>()
  for (const text of texts ?? []) {
    const value = read(text)
    found.set(key(value), value)
  }
  return [...found.values()]
}

export const distinctBytes = (texts: readonly string[] | undefined, read: (text: string) => Bytes): Bytes[] =>
  distinct(texts, read, toHex)
