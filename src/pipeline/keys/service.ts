/** What the keys worker runs: the identity, the groups of its rooms, and the port that brings content keys to the mesh worker. */
import { type ProxyMarked, proxy } from "comlink"
import { type HybridSignature, hybridVerify } from "../../crypto/hybrid.ts"
import { type EpochSecret, MlsRoomGroup, type PeerKeys, type PublishingGroup, type ShelvedPackage } from "../../group/index.ts"
import { type LoadedIdentity, type LoadIdentityOptions, loadIdentity } from "../../identity/index.ts"
import { MemoryStore, openIndexedDbStore, type Store } from "../../store/index.ts"
import { AvError } from "../../wire/errors.ts"
import type { Bytes } from "../../wire/types.ts"
import type { MeshKeysMessage } from "../mesh/types.ts"
import type { KeysApi, KeysOptions, PublicIdentity } from "./types.ts"

/** A page joins one room, or two while a room moves; more is a leak. */
const MAX_GROUPS = 16

/** The port as far as it is used here, so that tests need no worker. */
type KeysPort = Pick<MessagePort, "postMessage" | "close">

export class KeysService implements KeysApi {
  readonly #load: (options: LoadIdentityOptions) => Promise<LoadedIdentity>
  readonly #groups = new Set<MlsRoomGroup>()
  #identity: Promise<LoadedIdentity> | undefined
  #loaded: LoadedIdentity | undefined
  #packages: Store<ShelvedPackage> | undefined
  #mesh: KeysPort | undefined
  #closed = false

  /** @param load where the identity comes from; tests pass their own */
  constructor(load: (options: LoadIdentityOptions) => Promise<LoadedIdentity> = loadIdentity) {
    this.#load = load
  }

  async start(options: KeysOptions = {}): Promise<PublicIdentity> {
    this.#open()
    this.#identity ??= this.#load({ persistent: options.persistent ?? true })
    const loaded = await this.#identity
    if (this.#closed) loaded.release()
    this.#open()
    this.#packages ??= await openPackages(loaded.persistent)
    this.#loaded = loaded
    const { entityId, mlDsaPublicKey, pqHash, keyId, nodeId } = loaded.signer
    return { entityId, mlDsaPublicKey, pqHash, keyId, nodeId, persistent: loaded.persistent }
  }

  setMeshPort(port: KeysPort): void {
    this.#open()
    this.#mesh?.close()
    this.#mesh = port
  }

  signEd25519(message: Bytes): Promise<Bytes> {
    return this.#ready().signer.signEd25519(message)
  }

  signHybrid(message: Bytes): Promise<HybridSignature> {
    return this.#ready().signer.signHybrid(message)
  }

  verifyHybrid(keys: PeerKeys, message: Bytes, signature: HybridSignature): Promise<boolean> {
    this.#open()
    return hybridVerify({ ed25519: keys.entityId, mlDsa65: keys.mlDsa65 }, message, signature)
  }

  createGroup(): PublishingGroup & ProxyMarked {
    const { signer } = this.#ready()
    for (const group of this.#groups) if (this.#groups.size >= MAX_GROUPS && !group.active) this.#groups.delete(group)
    if (this.#groups.size >= MAX_GROUPS) throw new AvError("LimitExceeded", { what: "groups", limit: MAX_GROUPS })
    const group = new MlsRoomGroup({
      identity: signer,
      ...(this.#packages === undefined ? {} : { packages: this.#packages }),
      sink: { epoch: (secret) => this.#post(secret), erase: () => this.#mesh?.postMessage({ type: "erase" }) },
    })
    this.#groups.add(group)
    return proxy(group)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await Promise.all([...this.#groups].map((group) => group.reset()))
    this.#groups.clear()
    this.#loaded?.release()
    this.#packages?.close()
    this.#mesh?.close()
  }

  #post({ epoch, rootSecret, members, sealNow }: EpochSecret): void {
    const message: MeshKeysMessage = { type: "epoch", epoch, rootSecret: rootSecret.slice(), members, sealNow }
    rootSecret.fill(0)
    // By transfer: the mesh worker then holds the only copy.
    this.#mesh?.postMessage(message, [message.rootSecret.buffer])
  }

  #open(): void {
    if (this.#closed) throw new AvError("HandleClosedError")
  }

  #ready(): LoadedIdentity {
    this.#open()
    if (this.#loaded === undefined) throw new AvError("UsageError", { why: "keys worker is not started" })
    return this.#loaded
  }
}

/** Published packages outlive the page only when the identity does. Broken storage is no error: a call needs none of them. */
async function openPackages(persistent: boolean): Promise<Store<ShelvedPackage>> {
  if (!persistent) return new MemoryStore()
  try {
    return await openIndexedDbStore<ShelvedPackage>("key-packages")
  } catch {
    return new MemoryStore()
  }
}
