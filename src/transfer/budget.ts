/** Bounds what is under way: so many jobs, and so many bytes of them, in the order they were asked for. */

interface Waiter {
  bytes: number
  go: () => void
}

export class Budget {
  readonly #maxJobs: number
  readonly #maxBytes: number
  #jobs = 0
  #bytes = 0
  #waiting: Waiter[] = []

  constructor(maxJobs: number, maxBytes: number) {
    this.#maxJobs = maxJobs
    this.#maxBytes = maxBytes
  }

  /** Resolves when there is room; call the result when the job is over. A job larger than the budget counts as the whole of it. */
  async take(bytes: number): Promise<() => void> {
    const reserved = Math.min(Math.max(1, bytes), this.#maxBytes)
    if (!this.#fits(reserved) || this.#waiting.length > 0) {
      await new Promise<void>((go) => this.#waiting.push({ bytes: reserved, go }))
    } else this.#reserve(reserved)
    let over = false
    return () => {
      if (over) return
      over = true
      this.#jobs--
      this.#bytes -= reserved
      this.#next()
    }
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined && this.#fits(first.bytes); first = this.#waiting[0]) {
      this.#waiting.shift()
      this.#reserve(first.bytes)
      first.go()
    }
  }

  #fits(bytes: number): boolean {
    return this.#jobs < this.#maxJobs && this.#bytes + bytes <= this.#maxBytes
  }

  #reserve(bytes: number): void {
    this.#jobs++
    this.#bytes += bytes
  }
}
