/** Comparisons whose running time does not depend on the content (control-plane 1.4). */
import type { Bytes } from "../wire/types.ts"

/** True when both hold the same bytes. Lengths are public and checked first; every byte of both is read otherwise. */
export function ctEqual(a: Bytes, b: Bytes): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number)
  return difference === 0
}

/** True when every byte is zero. */
export function isZero(bytes: Bytes): boolean {
  let any = 0
  for (let i = 0; i < bytes.length; i++) any |= bytes[i] as number
  return any === 0
}
