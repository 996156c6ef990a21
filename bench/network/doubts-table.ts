/** What the experiments of doubts.ts share: seeds, units, tables. */

export const SEEDS = [1, 2, 3, 4, 5]
export const M = 1_000_000

export type Cell = string | number

export function table(title: string, head: string[], rows: Cell[][]): void {
  process.stdout.write(`\n**${title}**\n\n| ${head.join(" | ")} |\n|${" --: |".repeat(head.length)}\n`)
  for (const row of rows) process.stdout.write(`| ${row.join(" | ")} |\n`)
}

export const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
export const percent = (share: number) => (100 * share).toFixed(share > 0.9 ? 2 : 1)
export const mbit = (bps: number) => (bps / M).toFixed(2)
