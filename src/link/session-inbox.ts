/** What came for a session and is to be done for it: one thing at a time and in order, although checking a signature takes a while. */

/** Things waiting; an honest peer never causes that many. */
export const MAX_INBOX = 512

interface InboxHooks<Item> {
  /** Undefined: it is done already. */
  work(item: Item): Promise<void> | undefined
  failed(error: unknown): void
  /** Nothing is done any more. */
  isOver(): boolean
}

export class SessionInbox<Item> {
  readonly #hooks: InboxHooks<Item>
  readonly #items: Item[] = []
  #pumping = false

  constructor(hooks: InboxHooks<Item>) {
    this.#hooks = hooks
  }

  /** False when there is no room for it. */
  push(item: Item): boolean {
    if (this.#items.length >= MAX_INBOX) return false
    this.#items.push(item)
    if (!this.#pumping) void this.#pump()
    return true
  }

  clear(): void {
    this.#items.length = 0
  }

  async #pump(): Promise<void> {
    this.#pumping = true
    for (;;) {
      const item = this.#items.shift()
      if (item === undefined || this.#hooks.isOver()) break
      try {
        // What is done at once must not wait for another turn: the frames after it would arrive in between.
        const work = this.#hooks.work(item)
        if (work !== undefined) await work
      } catch (error) {
        this.#hooks.failed(error)
      }
    }
    this.#pumping = false
  }
}
