/** Which channels exist here and who may use them (control-plane 5.2, D25). */
import { canonicalChannelName } from "../wire/channel-name.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, U64 } from "../wire/types.ts"
import { channelHash } from "./channel-hash.ts"

/** Entries of one registry; applications register, not strangers, but a bug must not eat the memory. */
const MAX_CHANNELS = 65_536

export interface ChannelConfig {
  /** Canonical; `register` writes it in this form. */
  name: string
  /** `subnet-local`: only for peers of our own subnet. */
  visibility: "global" | "subnet-local"
  /**
   * Tags a publisher's announcement must have. ADVISORY: every peer can declare any tag, so this is matchmaking and no access
   * boundary. The boundary is `requireToken` with `tokenRoots`.
   */
  publishCaps?: readonly string[]
  /** Tags a subscriber's announcement must have. ADVISORY, see {@link publishCaps}. */
  subscribeCaps?: readonly string[]
  /** Publishers and subscribers need a token chain. Without roots nobody is let in. */
  requireToken: boolean
  /** Entity ids whose tokens count. Naming one makes tokens required. */
  tokenRoots: readonly Bytes[]
  /** Queue groups anybody may join (`open`); others need a token of their own (D32). */
  queueGroups?: Readonly<Record<string, "open">>
  /** Messages per second that one publisher may send. */
  maxRatePps?: number
  priority: number
  reliable: boolean
}

/** True when a token chain is asked for, also with roots but without the flag. */
export function tokenRequired(config: Pick<ChannelConfig, "requireToken" | "tokenRoots">): boolean {
  return config.requireToken || config.tokenRoots.length > 0
}

/** `nobody-authorized`: tokens are required and no root can issue one. Worth a warning to whoever registered it. */
type RegistrationWarning = "nobody-authorized"

export class ChannelRegistry {
  readonly #exact = new Map<string, ChannelConfig>()
  readonly #prefixes = new Map<string, ChannelConfig>()
  readonly #hashes = new Map<U64, string>()

  /**
   * Registers a channel, or with a final `/` every channel below that prefix. An entry of that name is replaced.
   * @throws AvError the errors of channel names, `HashCollision`, `LimitExceeded`.
   */
  register(config: Partial<ChannelConfig> & { name: string }): RegistrationWarning | undefined {
    const prefix = config.name.endsWith("/")
    const name = canonicalChannelName(prefix ? config.name.slice(0, -1) : config.name)
    const table = prefix ? this.#prefixes : this.#exact
    if (!table.has(name) && this.#exact.size + this.#prefixes.size >= MAX_CHANNELS) {
      throw new AvError("LimitExceeded", { what: "channels", max: MAX_CHANNELS })
    }
    if (!prefix) this.#requireOwnHash(name)
    const full: ChannelConfig = { ...DEFAULTS, ...config, name: prefix ? `${name}/` : name }
    table.set(name, full)
    return tokenRequired(full) && full.tokenRoots.length === 0 ? "nobody-authorized" : undefined
  }

  /** For automatic registrations: never touches an entry that an operator made. True when it registered. */
  registerIfAbsent(config: Partial<ChannelConfig> & { name: string }): boolean {
    const prefix = config.name.endsWith("/")
    const name = canonicalChannelName(prefix ? config.name.slice(0, -1) : config.name)
    if ((prefix ? this.#prefixes : this.#exact).has(name)) return false
    this.register(config)
    return true
  }

  unregister(name: string): void {
    const prefix = name.endsWith("/")
    const canonical = canonicalChannelName(prefix ? name.slice(0, -1) : name)
    if (prefix) this.#prefixes.delete(canonical)
    else if (this.#exact.delete(canonical)) this.#hashes.delete(channelHash(canonical))
  }

  /** The rules for a canonical name: its own entry, else the longest prefix of whole segments. */
  lookup(name: string): ChannelConfig | undefined {
    const exact = this.#exact.get(name)
    if (exact !== undefined) return exact
    for (let end = name.lastIndexOf("/"); end > 0; end = name.lastIndexOf("/", end - 1)) {
      const config = this.#prefixes.get(name.slice(0, end))
      if (config !== undefined) return config
    }
    return undefined
  }

  /** Tokens name channels by hash: two names under one hash would share their tokens. */
  #requireOwnHash(name: string): void {
    const hash = channelHash(name)
    const known = this.#hashes.get(hash)
    if (known !== undefined && known !== name) throw new AvError("HashCollision", { name, known })
    this.#hashes.set(hash, name)
  }
}

const DEFAULTS = {
  visibility: "global",
  requireToken: false,
  tokenRoots: [],
  priority: 0,
  reliable: true,
} as const
