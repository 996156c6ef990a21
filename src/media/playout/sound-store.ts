/** Two channels of sound in a ring of fixed size, addressed by positions that count samples and never wrap. */

export class SoundStore {
  readonly capacity: number
  readonly left: Float32Array
  readonly right: Float32Array
  /** The next position written. */
  end = 0
  /** Positions before this hold nothing that belongs to what follows. */
  begin = 0

  constructor(capacity: number) {
    this.capacity = capacity
    this.left = new Float32Array(capacity)
    this.right = new Float32Array(capacity)
  }

  /** What comes next has nothing to do with what was before. */
  cut(): void {
    this.begin = this.end
  }

  append(left: Float32Array, right: Float32Array): void {
    const at = this.end % this.capacity
    const head = Math.min(left.length, this.capacity - at)
    this.left.set(left.subarray(0, head), at)
    this.right.set(right.subarray(0, head), at)
    this.left.set(left.subarray(head), 0)
    this.right.set(right.subarray(head), 0)
    this.end += left.length
    this.begin = Math.max(this.begin, this.end - this.capacity)
  }

  /** Copies `target.length` samples of one channel from `position` on. */
  copy(source: Float32Array, position: number, target: Float32Array): void {
    const at = position % this.capacity
    const head = Math.min(target.length, this.capacity - at)
    target.set(source.subarray(at, at + head))
    target.set(source.subarray(0, target.length - head), head)
  }

  /** Fades from what is stored at `from` to what is stored at `to`, over the samples at `to`: a seam when reading jumps. */
  blend(from: number, to: number, length: number): void {
    for (const channel of [this.left, this.right]) {
      const before = new Float32Array(length)
      this.copy(channel, from, before)
      this.blendIn(channel, to, before)
    }
  }

  /** Fades from `before` to what is stored at `to`. */
  blendIn(channel: Float32Array, to: number, before: Float32Array): void {
    for (let i = 0; i < before.length; i++) {
      const at = (to + i) % this.capacity
      const share = (i + 1) / (before.length + 1)
      channel[at] = before[i]! * (1 - share) + channel[at]! * share
    }
  }
}
