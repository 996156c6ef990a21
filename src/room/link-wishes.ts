/** Which direct links the streams of this page need, and who waits for one to come up (RM-20). No clock and no timer in here. */
import { AvError } from "../wire/errors.ts"
import type { Milliseconds, PeerKeyId } from "../wire/types.ts"

/** A link that did not come up in this time is not waited for any longer, ms; it is still tried while a stream needs it. */
const PATIENCE_MS = 15_000
/** A link that was asked for is wanted for so long; a stream that uses it by then keeps it, ms. */
const WANTED_MS = 30_000
/** Members that links are asked for at once. */
const MAX_WISHES = 64

interface Wish {
  until: Milliseconds
  waiting: { resolve: () => void; reject: (error: AvError) => void; giveUpAt: Milliseconds }[]
}

interface LinkUse {
  /** A link to each of these is needed. */
  call: PeerKeyId[]
  /** Links to these are in use and must stay. */
  keep: PeerKeyId[]
}

export class LinkWishes {
  readonly #wishes = new Map<PeerKeyId, Wish>()
  /** Streams that members take from this page, each with the newest request for it. */
  readonly #children = new Map<PeerKeyId, Map<string, string>>()
  #told = ""

  /** Resolves when a direct link to the member is there; rejects with `LinkFailed` after 15 s. */
  want(keyId: PeerKeyId, now: Milliseconds): Promise<void> {
    let wish = this.#wishes.get(keyId)
    if (wish === undefined) {
      if (this.#wishes.size >= MAX_WISHES) {
        return Promise.reject(new AvError("LimitExceeded", { what: "links wanted", max: MAX_WISHES }))
      }
      wish = { until: 0, waiting: [] }
      this.#wishes.set(keyId, wish)
    }
    wish.until = now + WANTED_MS
    const { waiting } = wish
    return new Promise((resolve, reject) => waiting.push({ resolve, reject, giveUpAt: now + PATIENCE_MS }))
  }

  /** A direct link came up. */
  opened(keyId: PeerKeyId): void {
    for (const { resolve } of this.#wishes.get(keyId)?.waiting.splice(0) ?? []) resolve()
  }

  /** A member began to take a stream from this page, or left it; the end of an older request says nothing. */
  child(keyId: PeerKeyId, streamKey: string, request: string, takes: boolean): void {
    const streams = this.#children.get(keyId) ?? new Map<string, string>()
    if (takes) streams.set(streamKey, request)
    else if (streams.get(streamKey) === request) streams.delete(streamKey)
    if (streams.size > 0) this.#children.set(keyId, streams)
    else this.#children.delete(keyId)
  }

  /** Its last link is gone, and with it what it took: it asks anew. */
  lost(keyId: PeerKeyId): void {
    this.#children.delete(keyId)
  }

  /** The member left. */
  forget(keyId: PeerKeyId): void {
    this.#children.delete(keyId)
    this.#end(keyId, this.#wishes.get(keyId)?.waiting ?? [])
    this.#wishes.delete(keyId)
  }

  /**
   * Time goes by. `parents`: whom streams are asked of now; `partners`: whom calls or transfers run with. Returns what is needed when it is
   * not what was returned last.
   */
  tick(parents: Iterable<PeerKeyId>, now: Milliseconds, partners: Iterable<PeerKeyId> = []): LinkUse | undefined {
    for (const [keyId, wish] of this.#wishes) {
      const late = wish.waiting.filter(({ giveUpAt }) => now >= giveUpAt)
      wish.waiting = wish.waiting.filter(({ giveUpAt }) => now < giveUpAt)
      this.#end(keyId, late)
      if (now >= wish.until) this.#wishes.delete(keyId)
    }
    const use = {
      call: [...new Set([...parents, ...this.#wishes.keys()])].sort(),
      keep: [...new Set([...this.#children.keys(), ...partners])].sort(),
    }
    const told = JSON.stringify(use)
    if (told === this.#told) return undefined
    this.#told = told
    return use
  }

  close(): void {
    for (const keyId of [...this.#wishes.keys()]) this.forget(keyId)
  }

  #end(keyId: PeerKeyId, waiting: Wish["waiting"]): void {
    for (const { reject } of waiting) reject(new AvError("LinkFailed", { key_id: keyId }))
  }
}
