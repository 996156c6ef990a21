/** Waiting for an answer that may never come: from a worker that has ended, from a connection that was closed meanwhile. */

/** The wait is looked at this often, ms. */
const STEP_MS = 500

/**
 * Waits for `answer`, and asks `look` every 500 ms: what it returns counts as the answer, and what it throws ends the wait as well.
 * Undefined waits on. It is told the time waited, ms, counted in steps: a machine that slept, or stood still, has not waited meanwhile.
 */
export async function patiently<T>(answer: Promise<T>, look: (waitedMs: number) => T | undefined): Promise<T> {
  let timer: ReturnType<typeof setInterval> | undefined
  const otherwise = new Promise<T>((resolve, reject) => {
    let waitedMs = 0
    timer = setInterval(() => {
      waitedMs += STEP_MS
      try {
        const instead = look(waitedMs)
        if (instead !== undefined) resolve(instead)
      } catch (error) {
        reject(error)
      }
    }, STEP_MS)
  })
  try {
    return await Promise.race([answer, otherwise])
  } finally {
    clearInterval(timer)
  }
}
