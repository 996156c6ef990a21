/** Second copies of audio that wait for their time (LL-17). */

/** More than this many never wait. */
const MAX_WAITING = 64

export class AudioRepeats<T extends { sealer: object }> {
  #waiting: { at: number; audio: T }[] = []

  add(audio: T, at: number): void {
    if (this.#waiting.length < MAX_WAITING) this.#waiting.push({ at, audio })
  }

  /** Those whose time has come. */
  due(now: number): T[] {
    if (this.#waiting.length === 0) return []
    const due = this.#waiting.filter(({ at }) => at <= now)
    this.#waiting = this.#waiting.filter(({ at }) => at > now)
    return due.map(({ audio }) => audio)
  }

  /** Without a subscription, all of them. */
  forget(sealer?: object): void {
    this.#waiting = this.#waiting.filter(({ audio }) => sealer !== undefined && audio.sealer !== sealer)
  }
}
