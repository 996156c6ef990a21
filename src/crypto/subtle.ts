/** The platform's WebCrypto, and the small adaptations every primitive here needs. */
import type { Bytes } from "../wire/types.ts"

/** `crypto.subtle` of this thread. Pages need a secure context (https or localhost) for it to exist. */
export const subtle: SubtleCrypto = globalThis.crypto.subtle

/**
 * WebCrypto's types ask for views on a plain `ArrayBuffer`. All our buffers are that; shared memory is never handed to a primitive.
 */
export function view(bytes: Bytes): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>
}

/** Asks `SubtleCrypto.supports` (a recent addition). `undefined` where the browser cannot say. */
export function supports(operation: string, algorithm: string): boolean | undefined {
  const ask = (globalThis.SubtleCrypto as unknown as { supports?: (operation: string, algorithm: string) => boolean }).supports
  return typeof ask === "function" ? ask.call(globalThis.SubtleCrypto, operation, algorithm) : undefined
}

/** Runs `probe` once per thread and remembers the verdict. A probe that throws means "not available". */
export function probeOnce(probe: () => Promise<boolean>): () => Promise<boolean> {
  let verdict: Promise<boolean> | undefined
  return () => {
    verdict ??= probe().catch(() => false)
    return verdict
  }
}

/** The PKCS #8 wrapping (RFC 8410) of a raw 32-byte key: the only private import format every WebCrypto understands. */
export function pkcs8(kind: "Ed25519" | "X25519", raw: Bytes): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(48)
  out.set([
    0x30,
    0x2e,
    0x02,
    0x01,
    0x00,
    0x30,
    0x05,
    0x06,
    0x03,
    0x2b,
    0x65,
    kind === "Ed25519" ? 0x70 : 0x6e,
    0x04,
    0x22,
    0x04,
    0x20,
  ])
  out.set(raw, 16)
  return out
}
