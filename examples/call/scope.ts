/** Listeners, timers and tracks of one view, closed as a whole when the view goes. */
export class Scope {
  readonly #cleanups: (() => void)[] = []
  #closed = false

  get closed(): boolean {
    return this.#closed
  }

  /** Runs `cleanup` on close, or at once when the scope is closed already. */
  add(cleanup: () => void): void {
    if (this.#closed) cleanup()
    else this.#cleanups.push(cleanup)
  }

  listen(target: EventTarget, type: string, handler: (event: Event) => void): void {
    target.addEventListener(type, handler)
    this.add(() => target.removeEventListener(type, handler))
  }

  every(milliseconds: number, work: () => void): void {
    const timer = setInterval(work, milliseconds)
    this.add(() => clearInterval(timer))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    for (const cleanup of this.#cleanups.splice(0).reverse()) cleanup()
  }
}
