/** Which symbols of each frame to ask of which parent (D-29): two parents share the work, and overlap where packets get lost. */
import type { SymbolRange } from "./types.ts"

/** One above the largest symbol id: ranges end here, so that frames larger than usual are still whole. */
export const SYMBOL_END = 0x1_0000

/** Everything. */
export const ALL_SYMBOLS: SymbolRange = /* @__PURE__ */ Object.freeze([0, SYMBOL_END] as const)

/**
 * The first and the second half of a usual frame of `nSource + kRepair` symbols. `loss` (0..1) of the worse path widens both over the
 * middle: each then repeats about twice as many symbols of the other as get lost. From a loss of a quarter on both carry everything.
 */
export function stripeRanges(nSource: number, kRepair: number, loss = 0): readonly [first: SymbolRange, second: SymbolRange] {
  const symbols = Math.max(1, nSource + kRepair)
  const middle = Math.ceil(symbols / 2)
  const overlap = Math.ceil(symbols * Math.min(1, Math.max(0, loss)) * 2)
  if (overlap >= middle) return [ALL_SYMBOLS, ALL_SYMBOLS]
  return [
    [0, middle + overlap],
    [Math.max(0, middle - overlap), SYMBOL_END],
  ]
}

/** True when both ask for the same. */
export function sameRange(a: SymbolRange | undefined, b: SymbolRange | undefined): boolean {
  const [x, y] = [a ?? ALL_SYMBOLS, b ?? ALL_SYMBOLS]
  return x[0] === y[0] && x[1] === y[1]
}
