/** Ed25519 signatures that name the kind of object they belong to (control-plane 0.4, D02). */
import type { Bytes } from "../wire/types.ts"
import { ed25519Verify } from "./ed25519.ts"
import { ascii, concat } from "./layout.ts"

/** Every label in use. One object, one label: a signature can never be replayed as another kind of object. */
type SignatureLabel =
  | "mesh/hello/v1"
  | "mesh/ann/v1"
  | "mesh/floor/v1"
  | "mesh/member/v1"
  | "mesh/token/v2"
  | "mesh/desc/v1"
  | "mesh/addr/v1"
  | "mesh/lanes/v1"
  | "mesh/room/v1"
  | "mesh/order/v1"

/** Whatever can make an Ed25519 signature; an `IdentitySigner` is one. */
export interface Ed25519Signer {
  signEd25519(message: Bytes): Promise<Bytes>
}

/** The bytes that are signed: `label ‖ 0x00 ‖ body`. */
export function labelledMessage(label: SignatureLabel, body: Bytes): Bytes {
  return concat(ascii(label), Uint8Array.of(0), body)
}

export async function signLabelled(label: SignatureLabel, body: Bytes, signer: Ed25519Signer): Promise<Bytes> {
  return signer.signEd25519(labelledMessage(label, body))
}

/** Strict verification; never throws. */
export async function verifyLabelled(label: SignatureLabel, body: Bytes, publicKey: Bytes, signature: Bytes): Promise<boolean> {
  return ed25519Verify(publicKey, labelledMessage(label, body), signature)
}
