/** Experiments on loss: runs of losses, lanes with the window of their association, voice. Tables of docs/networks.md. */
import { TestEncoder } from "../../src/pipeline/mesh/hop/test-encoder.ts"
import { HopSim } from "../../src/pipeline/mesh/hop/test-hop.ts"
import { type Cell, M, mean, percent, SEEDS, table } from "./doubts-table.ts"

export async function bursts(): Promise<void> {
  const rows: Cell[][] = []
  const kinds = [
    ["independent", {}],
    ["runs of 4 packets", { burst: 4 }],
    ["runs of 8 packets", { burst: 8 }],
    ["outages of 20 ms", { burstMs: 20 }],
    ["outages of 60 ms", { burstMs: 60 }],
  ] as const
  for (const loss of [0.02, 0.05, 0.1]) {
    for (const [name, kind] of kinds) {
      const runs = await Promise.all(
        SEEDS.map(async (seed) => {
          const sim = new HopSim({ seed, loss, ...kind, lanes: 4, openAfterMs: 500 })
          await sim.run(35_000)
          const { rtxSent, sent, repairPct, lanesOpen, lossRun } = sim.stats()
          const shares = [100, 150, 250].map((ms) => sim.within(ms, 4_000, 34_500))
          return { shares, rtx: rtxSent / sent, repairPct, lanesOpen, lossRun }
        }),
      )
      const share = (index: number) => percent(mean(runs.map(({ shares }) => shares[index]!)))
      const worst = percent(Math.min(...runs.map(({ shares }) => shares[1]!)))
      const [rtx, repair] = [mean(runs.map((run) => 100 * run.rtx)), mean(runs.map((run) => run.repairPct))]
      const [lanes, run] = [mean(runs.map((each) => each.lanesOpen)), mean(runs.map((each) => each.lossRun))]
      const tail = [rtx.toFixed(1), repair.toFixed(0), lanes.toFixed(1), run.toFixed(1)]
      rows.push([`${100 * loss} %`, name, share(0), share(1), share(2), worst, ...tail])
    }
  }
  const head = [
    "loss",
    "kind",
    "≤ 100 ms, %",
    "≤ 150 ms, %",
    "≤ 250 ms, %",
    "worst seed, ≤ 150",
    "resent, %",
    "repair, %",
    "lanes",
    "run seen",
  ]
  table("Burst loss: 30 fps, 5 symbols a frame (1.2 Mbit/s), rtt 50, 4 lanes and more when asked for, 35 s, 5 seeds", head, rows)
}

export async function associations(): Promise<void> {
  const rows: Cell[][] = []
  for (const [loss, burst] of [
    [0.02, 1],
    [0.02, 4],
    [0.05, 1],
    [0.05, 4],
    [0.1, 1],
    [0.1, 4],
  ] as const) {
    const runs = await Promise.all(
      SEEDS.map(async (seed) => {
        const encoder = new TestEncoder(1.2 * M)
        const { frame } = encoder
        const sim = new HopSim({ seed, loss, burst, lanes: 2, openAfterMs: 700, voice: true, associations: true, frame })
        await sim.run(40_000)
        const { sent, rtxSent } = sim.stats()
        const shares = [100, 140, 250].map((ms) => sim.within(ms, 6_000, 39_500))
        const stops = sim.ends.reduce((sum, { timeouts }) => sum + timeouts, 0)
        return { shares, sent: sent / 40, rtx: (100 * rtxSent) / sent, stops, keyframes: encoder.keyframes }
      }),
    )
    const share = (index: number) => percent(mean(runs.map(({ shares }) => shares[index]!)))
    const worst = percent(Math.min(...runs.map(({ shares }) => shares[1]!)))
    const of = (pick: (run: (typeof runs)[number]) => number) => mean(runs.map(pick)).toFixed(1)
    const counts = [of((run) => run.sent), of((run) => run.rtx), of((run) => run.stops), of((run) => run.keyframes)]
    rows.push([`${100 * loss} %`, burst === 1 ? "independent" : "runs of 4", share(0), share(1), share(2), worst, ...counts])
  }
  const head = [
    "loss",
    "kind",
    "≤ 100 ms, %",
    "≤ 140 ms, %",
    "≤ 250 ms, %",
    "worst seed, ≤ 140",
    "messages a second",
    "resent, %",
    "stops of a lane",
    "keyframes",
  ]
  const what = "an encoder of at most 1.2 Mbit/s that follows the link, rtt 50, 2 lanes and more when asked for, 40 s, 5 seeds"
  table(`Lanes that are associations: ${what}`, head, rows)
}

export async function voice(): Promise<void> {
  const rows: Cell[][] = []
  for (const [loss, burst] of [
    [0.005, 1],
    [0.02, 1],
    [0.05, 1],
    [0.1, 1],
    [0.05, 4],
    [0.1, 4],
  ] as const) {
    const runs = await Promise.all(
      SEEDS.map(async (seed) => {
        const sim = new HopSim({ seed, loss, burst, lanes: 4, openAfterMs: 500, voice: true })
        await sim.run(40_000)
        const first = 150
        const came = [...sim.voice].filter(([id]) => id >= first && id < sim.voiceSent - 10)
        const delays = came.map(([, delay]) => delay).sort((a, b) => a - b)
        return { missing: 1 - came.length / (sim.voiceSent - 10 - first), p99: delays[Math.floor(0.99 * delays.length)]! }
      }),
    )
    const missing = 100 * mean(runs.map((run) => run.missing))
    const rule = loss < 0.01 ? loss : burst === 1 ? loss ** 2 : undefined
    const p99 = mean(runs.map((run) => run.p99)).toFixed(0)
    rows.push([
      `${100 * loss} %${burst > 1 ? ` in runs of ${burst}` : ""}`,
      missing.toFixed(2),
      rule === undefined ? "" : (100 * rule).toFixed(2),
      p99,
    ])
  }
  table("Voice sent twice from 1 % loss on, beside 1.2 Mbit/s, rtt 50", ["loss", "missing, %", "by the rule, %", "p99, ms"], rows)
}
