/** The paths that are measured. */

export interface Scenario {
  name: string
  /** 0..1, and the mean run of losses in packets. */
  loss: number
  burst: number
  rttMs: number
  /** Added to the way of the media, one way, ms. */
  jitterMs: number
  /** Bit/s of the sender's uplink; Infinity: none. */
  capacity: number
  queueMs: number
  /** Upper bound of the video encoder, bit/s. */
  bitrate: number
  /** `halve`: half the capacity in the second third of the time. `bulk`: a competing transfer in the second third. */
  event: "none" | "halve" | "bulk"
}

interface Choice {
  /** Percent. */
  loss: number[]
  burst: number[]
  rtt: number[]
  jitter: number
  /** Mbit/s; 0: none. */
  capacity: number[]
  queue: number
  /** kbit/s; undefined: 1,200, or above the capacity. */
  bitrate: number | undefined
  event: Scenario["event"]
}

const DEFAULTS: Choice = {
  loss: [0],
  burst: [1],
  rtt: [50],
  jitter: 0,
  capacity: [0],
  queue: 200,
  bitrate: undefined,
  event: "none",
}

/** Named sets of paths; `--suite`. */
export const SUITES: Record<string, Partial<Choice>[]> = {
  loss: [{ loss: [0, 1, 2, 5, 10] }],
  burst: [{ loss: [2, 5, 10], burst: [4] }],
  rtt: [{ loss: [0, 5], rtt: [20, 100] }],
  bottleneck: [{ capacity: [1, 3, 10] }],
  change: [{ capacity: [3], event: "halve" }],
  bulk: [{ capacity: [3], event: "bulk" }],
}

/** Every combination of a choice. */
export function scenariosOf(partial: Partial<Choice>): Scenario[] {
  const choice = { ...DEFAULTS, ...partial }
  const { queue, jitter, event } = choice
  const scenarios: Scenario[] = []
  for (const capacity of choice.capacity) {
    for (const rtt of choice.rtt) {
      for (const burst of choice.burst) {
        for (const loss of choice.loss) {
          // With a bottleneck the encoder must want more than it can have.
          const bitrate = choice.bitrate ?? (capacity > 0 ? capacity * 1_500 : 1_200)
          scenarios.push({
            name: nameOf(capacity, rtt, loss, burst, jitter, event),
            loss: loss / 100,
            burst,
            rttMs: rtt,
            jitterMs: jitter,
            capacity: capacity > 0 ? capacity * 1e6 : Number.POSITIVE_INFINITY,
            queueMs: queue,
            bitrate: bitrate * 1_000,
            event,
          })
        }
      }
    }
  }
  return scenarios
}

function nameOf(capacity: number, rtt: number, loss: number, burst: number, jitter: number, event: Scenario["event"]): string {
  return [
    `rtt ${rtt}`,
    ...(loss > 0 ? [`loss ${loss} %${burst > 1 ? ` in runs of ${burst}` : ""}`] : ["no loss"]),
    ...(jitter > 0 ? [`jitter ${jitter}`] : []),
    ...(capacity > 0 ? [`${capacity} Mbit/s`] : []),
    ...(event === "halve" ? ["halved for a third"] : event === "bulk" ? ["bulk transfer for a third"] : []),
  ].join(", ")
}
