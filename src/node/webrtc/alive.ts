/** Counts what the library still runs in threads of its own: a thread that ends before them takes the process with it. */
export class Alive {
  readonly #waiting = new Set<() => void>()
  #count = 0

  /** Something began; the returned function says that it ended, once. */
  begin(): () => void {
    this.#count++
    let over = false
    return () => {
      if (over) return
      over = true
      this.#count--
      if (this.#count > 0) return
      // The library lets go of it when this callback has returned.
      setImmediate(() => {
        if (this.#count > 0) return
        for (const resolve of this.#waiting) resolve()
        this.#waiting.clear()
      })
    }
  }

  /** Resolves when nothing runs. */
  idle(): Promise<void> {
    if (this.#count === 0) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.add(resolve))
  }
}
