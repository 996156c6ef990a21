/** Test helper: what is to happen, by time, in a binary heap: rooms of hundreds have many thousands of messages under way. */

/** Something that happens at a time; of equal times the one that was planned first. */
export interface Due {
  at: number
  seq: number
  run: () => void | Promise<void>
}

const earlier = (a: Due, b: Due) => a.at < b.at || (a.at === b.at && a.seq < b.seq)

export function push(heap: Due[], item: Due): void {
  let at = heap.push(item) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!earlier(item, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = item
}

export function pop(heap: Due[]): void {
  const item = heap.pop()
  if (item === undefined || heap.length === 0) return
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child + 1 < heap.length && earlier(heap[child + 1]!, heap[child]!)) child++
    if (child >= heap.length || !earlier(heap[child]!, item)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = item
}
