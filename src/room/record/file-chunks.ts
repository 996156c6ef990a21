/** A file that grows at its end while single places further in front are written again: whole chunks go to the browser as blobs. */
import { AvError } from "../../wire/errors.ts"

const CHUNK_BYTES = 1_048_576

export class FileChunks {
  /** Full ones. */
  readonly #chunks: Blob[] = []
  #tail = new Uint8Array(CHUNK_BYTES)
  #tailLength = 0

  get length(): number {
    return this.#chunks.length * CHUNK_BYTES + this.#tailLength
  }

  /** @throws AvError `UsageError` when it would leave a hole */
  write(position: number, data: Uint8Array<ArrayBuffer>): void {
    if (position > this.length) throw new AvError("UsageError", { why: "hole in a file", position, length: this.length })
    let [at, from] = [position, 0]
    while (from < data.length) {
      const [chunk, inside] = [Math.floor(at / CHUNK_BYTES), at % CHUNK_BYTES]
      const piece = data.subarray(from, from + CHUNK_BYTES - inside)
      if (chunk < this.#chunks.length) this.#patch(chunk, inside, piece)
      else this.#writeTail(inside, piece)
      at += piece.length
      from += piece.length
    }
  }

  parts(): Blob[] {
    return [...this.#chunks, new Blob([this.#tail.subarray(0, this.#tailLength)])]
  }

  #patch(chunk: number, at: number, data: Uint8Array<ArrayBuffer>): void {
    const old = this.#chunks[chunk]!
    this.#chunks[chunk] = new Blob([old.slice(0, at), data, old.slice(at + data.length)])
  }

  #writeTail(at: number, data: Uint8Array<ArrayBuffer>): void {
    this.#tail.set(data, at)
    this.#tailLength = Math.max(this.#tailLength, at + data.length)
    if (this.#tailLength < CHUNK_BYTES) return
    this.#chunks.push(new Blob([this.#tail]))
    this.#tail = new Uint8Array(CHUNK_BYTES)
    this.#tailLength = 0
  }
}
