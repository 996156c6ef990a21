/** Runs the fountain sections of av-mesh vectors and the repair symbols of an independent RFC 6330 implementation. */
import {
  encodeOti,
  encodePayloadId,
  fecQuality,
  fountainDecode,
  fountainEncode,
  liveFountainConfig,
  retentionPriority,
} from "../../src/fountain/index.ts"
import { initFountainFromPackage } from "../../src/fountain/node.ts"
import { paddedSize } from "../../src/fountain/systematic-sizes.ts"
import { toHex } from "../../src/wire/bytes.ts"
import type { RunnerTable } from "../types.ts"

interface RepairCase {
  F: number
  T: number
  K: number
  Kprime?: number
  data: string
  repair: Record<string, string>
}

function expect(actual: unknown, expected: unknown, what: string): void {
  if (actual !== expected) throw new Error(`${what}: ${String(actual).slice(0, 80)} is not ${String(expected).slice(0, 80)}`)
}

/** Source bytes as a case states them: `d[i]=(7*i+3)&255`. */
function sourceOf(c: RepairCase): Uint8Array {
  const formula = /^d\[i\]=\((\d+)\*i\+(\d+)\)&255$/.exec(c.data.replaceAll(" ", ""))
  if (formula === null) throw new Error(`unknown data: ${c.data}`)
  const [factor, summand] = [Number(formula[1]), Number(formula[2])]
  return Uint8Array.from({ length: c.F }, (_, i) => (factor * i + summand) & 255)
}

async function repairSymbols(c: RepairCase): Promise<void> {
  await initFountainFromPackage()
  if (c.Kprime !== undefined) expect(paddedSize(c.K), c.Kprime, "K'")
  const source = sourceOf(c)
  const ids = Object.keys(c.repair).map(Number)
  const config = { nSource: c.K, kRepair: Math.max(...ids) - c.K + 1, symbolSize: c.T, minViableSymbols: 0 }
  const { symbols, symbolHashes } = fountainEncode(source, config)
  for (const id of ids) expect(toHex(symbols[id]?.bytes ?? new Uint8Array(0)), c.repair[String(id)], `symbol ${id}`)
  // The same symbols must also decode: as many source symbols as possible are left out.
  const lost = Math.min(c.K, Math.max(0, config.kRepair - 2))
  const decoded = fountainDecode(symbols.slice(lost), symbolHashes, c.F, config)
  expect(toHex(decoded), toHex(source), "decoded")
}

export const runners: RunnerTable = {
  raptorq: { repair_symbols: repairSymbols },
  "av-mesh": {
    oti: (c: { n_source: number; symbol_size: number; oti: string; payload_ids: { symbol_id: number; bytes: string }[] }) => {
      expect(toHex(encodeOti(c.n_source, c.symbol_size)), c.oti, "oti")
      for (const { symbol_id, bytes } of c.payload_ids)
        expect(toHex(encodePayloadId(symbol_id)), bytes, `payload id ${symbol_id}`)
    },
    retention_priority: ([quality, symbolId, nSource, priority]: [number, number, number, number]) =>
      expect(retentionPriority(quality, symbolId, nSource), priority, "priority"),
    fec_quality: (c) => expect(fecQuality(c.n_source, c.symbol_id), c.quality, "quality"),
    live_fountain: (c) => {
      const config = liveFountainConfig(c.len)
      expect(config.nSource, c.n_source, "n_source")
      expect(config.symbolSize, c.symbol_size, "symbol_size")
      expect(config.kRepair, c.k_repair, "k_repair")
      expect(config.minViableSymbols, c.min_viable_symbols, "min_viable_symbols")
    },
  },
}
