/** How far something is, on stderr: one line that changes on a terminal, elsewhere a line for each tenth. */
import { sizeOf } from "./flags.ts"

const SHOW_EVERY_MS = 200
const STEP = 0.1

export class Progress {
  readonly #what: string
  readonly #quiet: boolean
  readonly #terminal = process.stderr.isTTY === true
  #shownAt = Number.NEGATIVE_INFINITY
  #shownShare = 0
  #newest = ""
  #shown = ""

  /** @param what stands before the figures */
  constructor(what: string, quiet: boolean) {
    this.#what = what
    this.#quiet = quiet
  }

  show(bytes: number, totalBytes: number, more = ""): void {
    if (this.#quiet) return
    const share = totalBytes === 0 ? 1 : bytes / totalBytes
    this.#newest = `${this.#what}: ${Math.floor(share * 100)} % of ${sizeOf(totalBytes)}${more}`
    const due = this.#terminal
      ? performance.now() - this.#shownAt >= SHOW_EVERY_MS
      : share - this.#shownShare >= STEP && share < 1
    if (!due) return
    this.#shownShare = share
    this.#write()
  }

  /** The last word, whenever that was; what comes next begins on a line of its own. */
  end(): void {
    if (this.#newest !== this.#shown) this.#write()
    if (this.#terminal && this.#shown !== "") process.stderr.write("\n")
  }

  #write(): void {
    process.stderr.write(this.#terminal ? `\r\u001b[2K${this.#newest}` : `${this.#newest}\n`)
    this.#shown = this.#newest
    this.#shownAt = performance.now()
  }
}
