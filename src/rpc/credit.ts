/** Both ends of a stream's flow control: one credit is one data frame (control-plane 4.7, D22). */
import { MAX_RPC_CREDIT } from "../wire/rpc-frame.ts"

/** Credit of a download when the caller asks for none in particular. */
export const DEFAULT_WINDOW = 32
/** Credit every upload begins with. */
export const UPLOAD_CREDIT = 16

/** What a producer may still send. */
export class SendCredit {
  #left: number

  constructor(initial: number) {
    this.#left = initial
  }

  get left(): number {
    return this.#left
  }

  /** Spends one credit; false when there is none. */
  spend(): boolean {
    if (this.#left === 0) return false
    this.#left -= 1
    return true
  }

  /** Takes a grant; false when more than 65 535 would be outstanding, which no honest receiver grants. */
  add(credits: number): boolean {
    if (this.#left + credits > MAX_RPC_CREDIT) return false
    this.#left += credits
    return true
  }
}

/** What a consumer has given out, and when it gives more. */
export class ReceiveWindow {
  readonly #window: number
  #outstanding: number
  #consumed = 0

  /**
   * @param window how many items may be on their way or unread
   * @param initial the credit the producer starts with without being told
   */
  constructor(window: number, initial: number) {
    this.#window = Math.max(window, initial)
    this.#outstanding = initial
  }

  /** The first grant, when the window is larger than what the producer starts with; 0 for none. */
  open(): number {
    return this.#give(this.#window - this.#outstanding)
  }

  /** A data frame came; false when it had no credit. */
  receive(): boolean {
    if (this.#outstanding === 0) return false
    this.#outstanding -= 1
    return true
  }

  /** The consumer took one item. Gives the credits to grant now; mostly 0, to send few grants. */
  consume(): number {
    this.#consumed += 1
    return this.#consumed >= Math.ceil(this.#window / 2) ? this.idle() : 0
  }

  /** The consumer waits and nothing is left to read: grants whatever was taken since. */
  idle(): number {
    const credits = this.#consumed
    this.#consumed = 0
    return this.#give(credits)
  }

  #give(credits: number): number {
    this.#outstanding += credits
    return credits
  }
}
