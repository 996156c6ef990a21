/**
 * Experiments on what was doubtful about lanes, rate control and repair: the real protocol cores in simulated networks with
 * seeds. Prints the tables of docs/networks.md; the same on every machine. `npm run bench:doubts [-- name …]`
 */
import { LanePolicy, laneCount } from "../../src/link/lane-policy.ts"
import { NackReceiver } from "../../src/link/nack.ts"
import { silentRate } from "../../src/link/rate-controller.ts"
import { ReportDigester } from "../../src/link/rate-digest.ts"
import { ReportBuilder } from "../../src/link/report-builder.ts"
import { Path } from "../../src/link/test-path.ts"
import { NodeUplink } from "../../src/link/uplink.ts"
import { HopSim } from "../../src/pipeline/mesh/hop/test-hop.ts"
import { associations, bursts, voice } from "./doubts-loss.ts"
import { type Cell, M, mbit, mean, percent, SEEDS, table } from "./doubts-table.ts"

function uplinks(): void {
  const rows: Cell[][] = []
  for (const [count, capacity] of [
    [2, 3],
    [4, 6],
    [8, 10],
  ] as const) {
    for (const kind of ["independent", "measured together", "known (95 %)"]) {
      const runs = SEEDS.map((seed) => {
        const path = new Path({ capacity: capacity * M, rttMs: 50, bufferMs: 200, seed })
        if (kind !== "independent") path.uplink = new NodeUplink(kind.startsWith("known") ? 0.95 * capacity * M : undefined)
        const flows = Array.from({ length: count }, (_, index) => path.flow({ startMs: 3_000 * index }))
        path.run(60_000)
        const shares = flows.map((flow) => (path.throughput(40_000, 60_000, flow) * count) / (capacity * M))
        return { shares, util: path.throughput(40_000, 60_000) / path.capacity, queue: path.queue95(40_000, 60_000) }
      })
      const [least, most] = [Math.min(...runs.flatMap((run) => run.shares)), Math.max(...runs.flatMap((run) => run.shares))]
      const [util, queue] = [mean(runs.map((run) => run.util)), mean(runs.map((run) => run.queue))]
      rows.push([`${count} in ${capacity} Mbit/s`, kind, least.toFixed(2), most.toFixed(2), percent(util), queue.toFixed(0)])
    }
  }
  const head = ["greedy links", "shares", "least / equal share", "most / equal share", "used, %", "queue p95, ms"]
  table("Own links in one uplink, started 3 s apart, 40-60 s, 5 seeds", head, rows)
}

async function probing(): Promise<void> {
  const rows: Cell[][] = []
  for (const rate of [0.7, 1, 1.5, 3]) {
    for (const extra of [0.25, 0.5]) {
      const runs = await Promise.all(
        SEEDS.map(async (seed) => {
          const sim = new HopSim({
            seed,
            symbols: 2,
            lanes: 2,
            startRate: 0.6 * M,
            bottleneck: { rate: rate * M, buffer: (rate * M * 0.2) / 8 },
          })
          await sim.run(6_000)
          const from = sim.now
          let answer: { fits: boolean; at: number } | undefined
          const { probe, rate: link } = sim.sender.sender
          probe.start(extra * link.target, link.target, sim.now, (fits) => {
            answer = { fits, at: sim.now }
          })
          let queue = 0
          for (let step = 0; step < 30; step++) {
            await sim.run(50)
            queue = Math.max(queue, link.queueNowMs)
          }
          const delays = sim.frames
            .filter((frame) => frame.madeAt >= from)
            .map(({ madeAt, completeAt }) => (completeAt ?? Number.POSITIVE_INFINITY) - madeAt)
          return {
            fits: answer?.fits === true ? 1 : 0,
            took: (answer?.at ?? sim.now) - from,
            queue,
            slowest: Math.max(...delays.slice(0, -3)),
          }
        }),
      )
      const of = (pick: (run: (typeof runs)[number]) => number) => mean(runs.map(pick)).toFixed(0)
      rows.push([
        rate,
        100 * extra,
        `${runs.filter((run) => run.fits === 1).length} of ${runs.length}`,
        of((r) => r.took),
        of((r) => r.queue),
        of((r) => r.slowest),
      ])
    }
  }
  const head = ["path, Mbit/s", "asked for, % of rate", "fits", "answer after, ms", "queue at most, ms", "slowest frame, ms"]
  table("Probing with padding beside 0.6 Mbit/s of video, rtt 50", head, rows)
}

async function laneDeath(): Promise<void> {
  const rows: Cell[][] = []
  for (const kind of ["dead", "blocked 2 s"]) {
    for (const lanes of [2, 3, 4]) {
      for (const loss of [0, 0.02]) {
        const runs = await Promise.all(
          SEEDS.map(async (seed) => {
            const sim = new HopSim({ seed, lanes, loss, openAfterMs: 500 })
            await sim.run(4_000)
            const from = sim.now
            const lane = sim.there.get(3)!
            if (kind === "dead") lane.dead = true
            else lane.blocked = true
            await sim.run(2_000)
            if (kind !== "dead") lane.release()
            await sim.run(4_000)
            const made = sim.frames.filter((frame) => frame.madeAt >= from && frame.madeAt < sim.now - 300)
            const late = made.filter(({ madeAt, completeAt }) => completeAt === undefined || completeAt - madeAt > 150)
            return {
              late: late.length,
              last: (late.at(-1)?.madeAt ?? from) - from,
              deaths: sim.stats().laneDeaths,
              queue: sim.stats().queueMs,
            }
          }),
        )
        const of = (pick: (run: (typeof runs)[number]) => number) => mean(runs.map(pick)).toFixed(1)
        rows.push([kind, lanes, `${100 * loss} %`, of((run) => run.late), of((run) => run.last), of((run) => run.deaths)])
      }
    }
  }
  const head = ["one lane", "of", "loss", "frames late or lost of 171", "last of them, ms after", "replaced"]
  table("A lane fails (1.2 Mbit/s, rtt 50, 5 seeds)", head, rows)
}

async function silence(): Promise<void> {
  const rows: Cell[][] = []
  for (const ms of [200, 500, 1_000, 2_000, 5_000]) {
    const runs = await Promise.all(
      SEEDS.map(async (seed) => {
        const sim = new HopSim({ seed, lanes: 3, bottleneck: { rate: 4 * M, buffer: 100_000 } })
        await sim.run(8_000)
        const before = sim.stats().rate
        sim.mute = true
        await sim.run(ms)
        const left = sim.stats().rate / before
        sim.mute = false
        let queue = 0
        let back = 0
        while (back < 20_000 && sim.sender.sender.rate.target < 0.85 * Math.min(before, 1.7 * M)) {
          await sim.run(50)
          back += 50
          queue = Math.max(queue, sim.sender.sender.rate.queueNowMs)
        }
        return { left, back, queue, told: sim.alarms.length }
      }),
    )
    const of = (pick: (run: (typeof runs)[number]) => number, digits = 0) => mean(runs.map(pick)).toFixed(digits)
    rows.push([
      ms,
      (silentRate(20 * M, 50, ms) / (20 * M)).toFixed(2),
      of((run) => run.left, 2),
      of((run) => run.back),
      of((run) => run.queue),
      of((run) => run.told),
    ])
  }
  const head = [
    "no reports for, ms",
    "rule: rate × (MIN aside)",
    "measured",
    "enough for the video again after, ms",
    "queue then at most, ms",
    "path-silent told",
  ]
  table("Silence of the reports (video of 1.7 Mbit/s with repair)", head, rows)
}

function hysteresis(): void {
  const rows: Cell[][] = []
  for (const [name, loss] of [
    ["steady 2 %", () => 0.02],
    ["1 % and 4 % in turn, 5 s each", (second: number) => (second % 10 < 5 ? 0.01 : 0.04)],
    ["1 % and 4 % in turn, 45 s each", (second: number) => (second % 90 < 45 ? 0.01 : 0.04)],
    ["4 %, then 0", (second: number) => (second < 60 ? 0.04 : 0)],
  ] as const) {
    const policy = new LanePolicy()
    let [open, added, removed] = [2, 0, 0]
    for (let second = 0; second < 300; second += 2) {
      const demand = { rate: 1.9 * M, loss: loss(second), rttMs: 55, cap: 6, open, laneLimited: false }
      const { action } = policy.evaluate(1_000 * second, demand)
      if (action === "add") [open, added] = [open + 1, added + 1]
      if (action === "remove") [open, removed] = [open - 1, removed + 1]
    }
    const most = laneCount({ rate: 1.9 * M, loss: 0.04, rttMs: 55, cap: 6, open: 2, laneLimited: false }).want
    rows.push([name, added, removed, open, most])
  }
  table("Lane count over 300 s, 1.9 Mbit/s, rtt 55", ["loss", "opened", "closed", "open at the end", "wanted at 4 %"], rows)
}

function drift(): void {
  const rows: Cell[][] = []
  for (const ppm of [0, 100, -100, 300, -300]) {
    const runs = SEEDS.slice(0, 3).map((seed) => {
      const path = new Path({ capacity: 3 * M, rttMs: 50, bufferMs: 200, seed })
      const flow = path.flow({ clockUs: 2 ** 32 - 30_000_000, clockPpm: ppm })
      const quiet = new Path({ capacity: 10 * M, rttMs: 50, bufferMs: 200, seed })
      const idle = quiet.flow({ wants: 1 * M, clockPpm: ppm })
      path.run(180_000)
      quiet.run(180_000)
      const used = path.throughput(60_000, 180_000) / path.capacity
      return { used, queue: path.queue95(60_000, 180_000), seen: idle.rate.queueMs, mode: flow.rate.mode }
    })
    const of = (pick: (run: (typeof runs)[number]) => number, digits = 1) => mean(runs.map(pick)).toFixed(digits)
    const modes = [...new Set(runs.map((run) => run.mode))].join(", ")
    rows.push([ppm, of((r) => 100 * r.used), of((r) => r.queue), of((r) => r.seen, 2), modes])
  }
  const head = ["receiver's clock, ppm", "used of 3 Mbit/s, %", "queue p95, ms", "queue seen on an empty path, ms", "mode"]
  table("Shortest delay of 60 s and drifting clocks, 180 s, u32 wrap in the run", head, rows)
}

/** 17 million messages: every counter of the lane wraps, some many times. */
function wraps(): void {
  const reports = new ReportBuilder()
  const digester = new ReportDigester()
  const nacks = new NackReceiver()
  const total = 2 ** 24 + 300_000
  let [got, lost, asked, wrong, digests, rx] = [0, 0, 0, 0, 0, 0]
  for (let index = 0; index < total; index++) {
    const now = index / 1.4
    const us = Math.floor(now * 1_000)
    if (index % 1_000 !== 500) {
      reports.receive(2, index % 2 ** 24, us % 2 ** 32, (us + 25_000) % 2 ** 32, 1_135)
      nacks.receive(2, index % 2 ** 24)
    }
    if (index % 70 !== 69) continue
    for (const { laneSeqs } of nacks.due(now, 50)) asked += laneSeqs.length
    const report = reports.build(us % 2 ** 32, now)!
    const result = digester.take(report, now)
    if (!("digest" in result)) wrong += 1
    else {
      digests += 1
      got += result.digest.got
      lost += result.digest.lost
      rx = result.digest.rx
      if (result.digest.q > 1) wrong += 1
    }
  }
  const sent = Math.floor(total / 70) * 70
  const dropped = Math.floor((sent + 499) / 1_000)
  table(
    "17.08 million messages on one lane, every thousandth lost",
    ["counter", "wraps", "expected", "counted"],
    [
      ["lane_seq (24 bit)", Math.floor(sent / 2 ** 24), sent - dropped, got],
      ["lost", "", dropped, lost],
      ["asked for again (twice each at most)", "", `${dropped} to ${2 * dropped}`, asked],
      ["bytes (32 bit)", Math.floor(((sent - dropped) * 1_135) / 2 ** 32), (sent - dropped) * (1_135 + 78), rx],
      ["report_seq (16 bit)", Math.floor(digests / 2 ** 16), Math.floor(total / 70), digests],
      [
        "sent_us, now_us (32 bit)",
        Math.floor(((total / 1.4) * 1_000) / 2 ** 32),
        "no queue seen",
        wrong === 0 ? "none" : `${wrong} times`,
      ],
    ],
  )
}

function busy(): void {
  const rows: Cell[][] = []
  for (const [capacity, wants] of [
    [10, 0.6],
    [10, 1.5],
    [3, Number.POSITIVE_INFINITY],
  ] as const) {
    for (const stalls of [
      { lengthMs: 60, everyMs: 500 },
      { lengthMs: 80, everyMs: 200 },
      { lengthMs: 40, everyMs: 60 },
    ]) {
      const cells = [true, false].map((unwatched) => {
        const runs = SEEDS.map((seed) => {
          const path = new Path({ capacity: capacity * M, rttMs: 50, bufferMs: 200, seed })
          const flow = path.flow({ wants: wants * M, unwatched, senderStalls: stalls, receiverStalls: stalls })
          path.run(30_000)
          return { target: mean(flow.targets.slice(8_000)), queue: path.queue95(8_000, 30_000) }
        })
        return [mbit(mean(runs.map((run) => run.target))), mean(runs.map((run) => run.queue)).toFixed(0)]
      })
      const what = Number.isFinite(wants) ? `${wants} in ${capacity}` : `all of ${capacity}`
      rows.push([what, `${stalls.lengthMs} ms every ${stalls.everyMs}`, ...cells[0]!, ...cells[1]!])
    }
  }
  const head = ["wanted, Mbit/s", "threads away", "target, not watched", "queue p95, ms", "target, watched", "queue p95, ms"]
  table("Both machines busy, rtt 50, 8-30 s, 5 seeds", head, rows)
}

function collapse(): void {
  const rows: Cell[][] = []
  for (const [from, to] of [
    [3, 1.5],
    [3, 0.7],
    [3, 0.5],
    [10, 2],
    [10, 1],
  ] as const) {
    for (const bufferMs of [100, 200]) {
      const runs = SEEDS.map((seed) => {
        const path = new Path({ capacity: from * M, rttMs: 50, bufferMs, seed })
        const flow = path.flow()
        path.run(12_000)
        path.capacity = to * M
        path.run(12_000)
        let full = 12_000
        for (let at = 12_050; at <= 40_000; at += 50) {
          path.run(at)
          if (flow.rate.queueNowMs > 60 || flow.rate.mode === "compete") full = at
        }
        return { full: full - 12_000, queue: path.queue95(25_000, 40_000), used: path.throughput(25_000, 40_000) / (to * M) }
      })
      const of = (pick: (run: (typeof runs)[number]) => number) => mean(runs.map(pick)).toFixed(0)
      rows.push([`${from} → ${to}`, bufferMs, of((run) => run.full), of((run) => run.queue), of((run) => 100 * run.used)])
    }
  }
  const head = [
    "capacity, Mbit/s",
    "buffer, ms at the first",
    "queue over 60 ms for, ms",
    "queue p95 13 s later, ms",
    "used then, %",
  ]
  table("The path becomes much narrower, rtt 50, 5 seeds", head, rows)
}

const EXPERIMENTS: Record<string, () => void | Promise<void>> = {
  bursts,
  associations,
  uplinks,
  probing,
  "lane-death": laneDeath,
  silence,
  hysteresis,
  drift,
  wraps,
  voice,
  busy,
  collapse,
}

const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in EXPERIMENTS))
if (unknown.length > 0)
  throw new Error(`no such experiment: ${unknown.join(", ")}; there are ${Object.keys(EXPERIMENTS).join(", ")}`)
for (const [name, run] of Object.entries(EXPERIMENTS)) if (names.length === 0 || names.includes(name)) await run()
