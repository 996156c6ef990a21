/** Who may use each service, as the application said when it began to serve: a second lock behind the signed policy. */
import type { Participant } from "../types.ts"
import type { RpcAllow, Who } from "./types.ts"

export class AllowLists {
  readonly #lists = new Map<string, RpcAllow>()

  set(service: string, allow: RpcAllow | undefined): void {
    if (allow === undefined) this.#lists.delete(service)
    else this.#lists.set(service, typeof allow === "function" ? allow : [...allow])
  }

  delete(service: string): void {
    this.#lists.delete(service)
  }

  /** A function that throws admits nobody. */
  admits(service: string, caller: Participant): boolean {
    const allow = this.#lists.get(service)
    if (allow === undefined) return true
    if (typeof allow !== "function") return allow.some((who) => idOf(who) === caller.id)
    try {
      return allow(caller) === true
    } catch {
      return false
    }
  }
}

export function idOf(who: Who): string {
  return typeof who === "string" ? who : who.id
}
