/** The benchmarks of bench/subjects in a dedicated worker, where the product does this work too. */
import { initFountain } from "../../src/fountain/index.ts"
import { fountainWasm } from "../../src/pipeline/mesh/fountain-wasm.ts"
import type { Effort } from "../measure.ts"
import { choose, type Result, runSubjects } from "../subject.ts"
import { subjects as everywhere } from "../subjects/index.ts"
import { opfsLog } from "./opfs-log.ts"

const subjects = [...everywhere, opfsLog]

export interface WorkerTask {
  effort: Effort
  only: string[] | undefined
}

export type WorkerAnswer = { done: Result } | { finished: true } | { failed: string }

const answer = (message: WorkerAnswer) => globalThis.postMessage(message)

globalThis.onmessage = async ({ data }: MessageEvent<WorkerTask>) => {
  try {
    await initFountain(fountainWasm())
    await runSubjects(choose(subjects, data.only), data.effort, (done) => answer({ done }))
    answer({ finished: true })
  } catch (error) {
    answer({ failed: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) })
  }
}
