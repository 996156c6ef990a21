/** What the server makes of REFLEX_QUERY: where a client was seen, and what may be attested beside its socket (control-plane 6.4, 6.9). */
import { type AddressBlock, encodeAddressBlock } from "../wire/address.ts"
import { toHex } from "../wire/bytes.ts"
import type { RendezvousMessage } from "../wire/rendezvous-message.ts"
import type { Milliseconds } from "../wire/types.ts"
import { networkKey } from "./evidence.ts"
import type { Budget } from "./limits.ts"
import { rejectMessage } from "./messages.ts"
import type { StunObservers } from "./nat/stun-observers.ts"
import type { ProvenPeer, Session, Sessions } from "./server-sessions.ts"
import { FixedWindows } from "./windows.ts"

/** REFLEX_QUERY of one client. */
const QUERIES: Budget = [6, 60_000]
/** What a query showed is attested as long as an attestation lives, and until the next query of a browser has come (300 s, ± 10 %). */
const EXTRA_MS = 360_000

interface ReflexDeskOptions {
  /** Undefined: no STUN here, so nobody was seen anywhere but at the socket. */
  observers: StunObservers | undefined
  sessions: Pick<Sessions, "attestedToo">
  /** Attests another address of the socket's own family too: for fleets behind several (D34). */
  allowObservedMismatch: boolean
  drop(why: string): void
}

export class ReflexDesk {
  readonly #options: ReflexDeskOptions
  readonly #queries = new FixedWindows(QUERIES)

  constructor(options: ReflexDeskOptions) {
    this.#options = options
  }

  /** The answer; and whether there is more to attest than before. */
  query(
    session: Session,
    peer: ProvenPeer,
    { addresses, queryId }: Extract<RendezvousMessage, { kind: "reflex-query" }>,
    now: Milliseconds,
  ): { answer: RendezvousMessage; attest: boolean } {
    const { observers, drop } = this.#options
    const retryAfterMs = this.#queries.take(peer.nodeId, now)
    if (retryAfterMs > 0) {
      drop("reflex-budget")
      // The query's id stands where the attempt's would: the client waits for more than one answer.
      return {
        answer: rejectMessage({ target: undefined, attemptId: queryId, reason: "rate-limited", retryAfterMs }),
        attest: false,
      }
    }
    const findings = observers?.query(addresses, peer.nodeId, now) ?? { entries: [], fresh: [], conflicts: 0 }
    for (let i = 0; i < findings.conflicts; i++) drop("reflex_claim_conflict")
    const extra = findings.fresh.find((address) => this.#mayAttest(session, address))
    const before = session.extra && hostOf(session.extra.address)
    if (extra !== undefined) this.#options.sessions.attestedToo(session, { ...extra, port: 0 }, now + EXTRA_MS)
    const answer = { kind: "reflex-reply", queryId, entries: findings.entries } as const
    return { answer, attest: extra !== undefined && hostOf(extra) !== before }
  }

  /** What is attested beside the socket's address. */
  extraOf({ extra }: Session, now: Milliseconds): AddressBlock[] {
    return extra !== undefined && now < extra.until ? [extra.address] : []
  }

  #mayAttest({ visitor }: Session, address: AddressBlock): boolean {
    const own = visitor.slice(0, visitor.indexOf(":"))
    if ((own !== "4" && own !== "6") || networkKey(address) === visitor) return false
    return this.#options.allowObservedMismatch || own !== String(address.family)
  }
}

function hostOf(address: AddressBlock): string {
  return toHex(encodeAddressBlock({ ...address, port: 0 }))
}
