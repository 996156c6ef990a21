/** Numbers as people read them. */

/** `undefined` and NaN become a dash. */
export function number(value: number | undefined, digits = 0): string {
  return value === undefined || Number.isNaN(value) ? "–" : value.toLocaleString([], { maximumFractionDigits: digits })
}

export function milliseconds(value: number | undefined): string {
  return value === undefined || Number.isNaN(value) ? "–" : `${number(value)} ms`
}

/** @param bits per second */
export function bitrate(bits: number | undefined): string {
  if (bits === undefined || Number.isNaN(bits)) return "–"
  return bits >= 1_000_000 ? `${number(bits / 1_000_000, 2)} Mbit/s` : `${number(bits / 1_000)} kbit/s`
}

/** @param share 0..1 */
export function percent(share: number | undefined): string {
  return share === undefined || Number.isNaN(share) ? "–" : `${number(share * 100, 1)} %`
}

/** `undefined` unless something was counted: "InnerAead 3, LinkReplay 1". */
export function counts(values: Readonly<Record<string, number>>): string {
  const entries = Object.entries(values).filter(([, count]) => count > 0)
  return entries.map(([name, count]) => `${name} ${number(count)}`).join(", ")
}
