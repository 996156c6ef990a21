/** Sealing and opening the frames of one routed session (control-plane 1.6). */
import { aeadOpen, aeadSeal, importAeadKey } from "../crypto/aead.ts"
import { wipe } from "../crypto/layout.ts"
import { ReplayWindow } from "../seal/outer/index.ts"
import { AvError } from "../wire/errors.ts"
import { encodeRoutedFrame, ROUTED_TTL, type RoutedFrame, routedAssociatedData, routedNonce } from "../wire/routed.ts"
import type { Bytes, NodeId } from "../wire/types.ts"
import type { RoutedKeys } from "./routed-handshake.ts"

const WINDOW = 1_024
/** Frames under one key; a new handshake is due before. */
const MAX_FRAMES = 0x1_0000_0000n

export class RoutedCipher {
  readonly #self: NodeId
  readonly #peer: NodeId
  readonly #sendKey: CryptoKey
  readonly #receiveKey: CryptoKey
  readonly #window = new ReplayWindow(WINDOW)
  #counter = 0n

  private constructor(self: NodeId, peer: NodeId, sendKey: CryptoKey, receiveKey: CryptoKey) {
    this.#self = self
    this.#peer = peer
    this.#sendKey = sendKey
    this.#receiveKey = receiveKey
  }

  /** Imports the keys and erases the raw ones. */
  static async create(self: NodeId, peer: NodeId, keys: RoutedKeys): Promise<RoutedCipher> {
    const cipher = new RoutedCipher(self, peer, await importAeadKey(keys.sendKey), await importAeadKey(keys.receiveKey))
    wipe(keys.sendKey, keys.receiveKey)
    return cipher
  }

  /** A ROUTED payload that carries one control frame. `SessionClosed` when the key is used up. */
  async seal(frame: Bytes): Promise<Bytes> {
    if (this.#counter >= MAX_FRAMES) throw new AvError("SessionClosed", { why: "routed key used up" })
    const counter = this.#counter++
    const address = { src: this.#self, dst: this.#peer }
    const associated = routedAssociatedData(address.src, address.dst, counter)
    const ciphertext = await aeadSeal(this.#sendKey, routedNonce(counter), associated, frame)
    return encodeRoutedFrame({ ...address, ttl: ROUTED_TTL, counter, ciphertext })
  }

  /** The control frame inside. `RoutedReplay` for a repeated or too old counter, `RoutedAuthFailed` when it does not open. */
  async open(routed: RoutedFrame): Promise<Bytes> {
    const { counter } = routed
    const outcome = this.#window.check(counter)
    if (outcome !== "Fresh") throw new AvError("RoutedReplay", { outcome })
    const associated = routedAssociatedData(this.#peer, this.#self, counter)
    const frame = await aeadOpen(this.#receiveKey, routedNonce(counter), associated, routed.ciphertext)
    if (frame === null) throw new AvError("RoutedAuthFailed", { why: "frame" })
    // Only an authentic frame moves the window; two copies may have been opened at the same time.
    if (this.#window.admit(counter) !== "Fresh") throw new AvError("RoutedReplay", { outcome: "Duplicate" })
    return frame
  }
}
