import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** These load a native WebRTC library, which works in one thread of a process only. */
const NATIVE = ["src/node/**/*.test.ts", "server/peer/**/*.test.ts"]

/** Nothing here puts something of its own in the place of a global for longer than a test, or needs modules that nobody used: a thread loads
 * them once. */
const PURE_FOLDERS = "alm,capability,crypto,group,holonomic,identity,membership,relay,rendezvous,rpc,seal,token,transfer,wire"
const PURE = [`src/{${PURE_FOLDERS}}/**/*.test.ts`, "conformance/**/*.test.ts"]

/** What takes longest begins first: at the end there would be nothing left for the other processors. */
const LONG = [/\/sim\//, /\/server\/peer\//, /\/pipeline\/memory\//, /\/group\/engine-history\./, /\/membership\/large-room\./]

/** A thread is only kept while the next file is of its project, so files of one project follow each other. */
class LongOnesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId, project }: TestSpecification) => {
      const isPure = project.name === "pure"
      return LONG.some((pattern) => pattern.test(moduleId)) ? (isPure ? 1 : 0) : isPure ? 2 : 3
    }
    const sorted = await super.sort(files)
    return [0, 1, 2, 3].flatMap((wanted) => sorted.filter((file) => rank(file) === wanted))
  }
}

export default defineConfig({
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // As for browser tests: real threads and sockets on a busy machine. What needed it is printed ("retry x1").
    retry: 1,
    // What is waited for comes at once on a machine that has nothing else to do, and late on one that has.
    expect: { poll: { timeout: 20_000 } },
    sequence: { sequencer: LongOnesFirst },
    // Left to itself a machine of two cores would run one file at a time.
    maxWorkers: "100%",
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: ["{src,server,sim,workers,examples}/**/*.test.ts"],
          exclude: ["**/node_modules/**", ...NATIVE, ...PURE],
          pool: "threads",
        },
      },
      { extends: true, test: { name: "pure", include: PURE, pool: "threads", isolate: false } },
      { extends: true, test: { name: "native", include: NATIVE, pool: "forks" } },
    ],
  },
})
