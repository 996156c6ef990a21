/** The virtual clock: a heap of events by time, equal times in the order they were planned. Nothing here knows real time. */

/** Called for events planned with `plan`: the kind that was given, and its numbers. */
type Handler = (kind: number, a: number, b: number, c: number, d: number) => void

const FIRST_CAPACITY = 1_024

export class Clock {
  /** Virtual time in ms. */
  now = 0
  /** Events run so far. */
  ran = 0
  readonly #handle: Handler
  #size = 0
  #planned = 0
  #at = new Float64Array(FIRST_CAPACITY)
  #order = new Float64Array(FIRST_CAPACITY)
  #slot = new Int32Array(FIRST_CAPACITY)
  /** Per slot: kind, a, b, c, d. */
  #payload = new Int32Array(FIRST_CAPACITY * 5)
  #free: number[] = []
  #used = 0

  constructor(handle: Handler) {
    this.#handle = handle
  }

  get waiting(): number {
    return this.#size
  }

  /** Plans an event `delay` ms from now (never into the past). */
  plan(delay: number, kind: number, a = 0, b = 0, c = 0, d = 0): void {
    if (this.#size === this.#at.length) this.#grow()
    const slot = this.#free.pop() ?? this.#used++
    const base = slot * 5
    this.#payload[base] = kind
    this.#payload[base + 1] = a
    this.#payload[base + 2] = b
    this.#payload[base + 3] = c
    this.#payload[base + 4] = d
    this.#rise(this.now + Math.max(0, delay), this.#planned++, slot)
  }

  /** Runs everything up to and including `until`, then stands there. */
  run(until: number): void {
    while (this.#size > 0 && this.#at[0]! <= until) {
      const slot = this.#slot[0]!
      this.now = this.#at[0]!
      this.#removeFirst()
      this.#free.push(slot)
      this.ran++
      const base = slot * 5
      const p = this.#payload
      this.#handle(p[base]!, p[base + 1]!, p[base + 2]!, p[base + 3]!, p[base + 4]!)
    }
    this.now = Math.max(this.now, until)
  }

  #before(at: number, order: number, place: number): boolean {
    return at < this.#at[place]! || (at === this.#at[place]! && order < this.#order[place]!)
  }

  #put(place: number, at: number, order: number, slot: number): void {
    this.#at[place] = at
    this.#order[place] = order
    this.#slot[place] = slot
  }

  #rise(at: number, order: number, slot: number): void {
    let place = this.#size++
    while (place > 0) {
      const above = (place - 1) >> 1
      if (!this.#before(at, order, above)) break
      this.#put(place, this.#at[above]!, this.#order[above]!, this.#slot[above]!)
      place = above
    }
    this.#put(place, at, order, slot)
  }

  #removeFirst(): void {
    const last = --this.#size
    if (last === 0) return
    const [at, order, slot] = [this.#at[last]!, this.#order[last]!, this.#slot[last]!]
    let place = 0
    for (;;) {
      let below = 2 * place + 1
      if (below >= last) break
      if (below + 1 < last && this.#before(this.#at[below + 1]!, this.#order[below + 1]!, below)) below++
      if (this.#before(at, order, below)) break
      this.#put(place, this.#at[below]!, this.#order[below]!, this.#slot[below]!)
      place = below
    }
    this.#put(place, at, order, slot)
  }

  #grow(): void {
    const capacity = this.#at.length * 2
    this.#at = widened(new Float64Array(capacity), this.#at)
    this.#order = widened(new Float64Array(capacity), this.#order)
    this.#slot = widened(new Int32Array(capacity), this.#slot)
    this.#payload = widened(new Int32Array(capacity * 5), this.#payload)
  }
}

function widened<T extends Float64Array | Int32Array>(into: T, from: T): T {
  into.set(from as never)
  return into
}
