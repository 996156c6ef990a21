/** What befell receivers that waited long for a lost parent, or took turns between parents: for reading, and kept only when asked for. */

/** Remembered of each receiver, ms. */
const MEMORY_MS = 60_000
/** Told of what came before a loss, ms. */
const BEFORE_MS = 5_000

interface Note {
  at: number
  text: string
}

export class Diary {
  readonly #most: number
  readonly #notes = new Map<number, Note[]>()
  readonly #slowest: { ms: number; text: string }[] = []
  readonly #flaps: string[] = []

  /** `most`: so many stories of each kind; 0 keeps nothing. */
  constructor(most: number) {
    this.#most = most
  }

  get isKept(): boolean {
    return this.#most > 0
  }

  note(peer: number, at: number, text: string): void {
    if (this.#most === 0) return
    const notes = this.#notes.get(peer) ?? []
    notes.push({ at, text })
    while (notes[0] !== undefined && at - notes[0].at > MEMORY_MS) notes.shift()
    this.#notes.set(peer, notes)
  }

  /** A loss at `from` was made good at `to`. */
  healed(peer: number, from: number, to: number): void {
    const ms = to - from
    if (this.#most === 0 || (this.#slowest.length === this.#most && ms <= this.#slowest.at(-1)!.ms)) return
    const title = `receiver ${peer} waited ${Math.round(ms)} ms from ${Math.round(from)}`
    this.#slowest.push({ ms, text: this.#told(title, peer, from, from - BEFORE_MS) })
    this.#slowest.sort((a, b) => b.ms - a.ms)
    this.#slowest.length = Math.min(this.#slowest.length, this.#most)
  }

  /** It asks a parent again that it left by choice at `left`. */
  flapped(peer: number, left: number, now: number): void {
    if (this.#flaps.length >= this.#most) return
    const title = `receiver ${peer} came back ${Math.round(now - left)} ms after ${Math.round(left)}`
    this.#flaps.push(this.#told(title, peer, left, left - BEFORE_MS))
  }

  get text(): string {
    return [...this.#slowest.map(({ text }) => text), ...this.#flaps].join("\n")
  }

  #told(title: string, peer: number, zero: number, from: number): string {
    const notes = (this.#notes.get(peer) ?? []).filter(({ at }) => at >= from)
    return [title, ...notes.map(({ at, text }) => `${Math.round(at - zero)}: ${text}`)].join("\n    ")
  }
}
