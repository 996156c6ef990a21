/** The dyadic order of temporal layers: which layer stands at which place of a group. */

/** Numbers from one base frame to the next: 1, 2 or 4 for one, two or three layers. */
export function groupLength(layers: number): number {
  return 2 ** (layers - 1)
}

/** Layer at this distance from a base frame: 0 1 0 1 with two layers, 0 2 1 2 with three. */
export function layerAt(position: number, layers: number): number {
  const place = position % groupLength(layers)
  if (place <= 0) return 0
  let layer = layers - 1
  for (let p = place; p % 2 === 0; p /= 2) layer--
  return layer
}
