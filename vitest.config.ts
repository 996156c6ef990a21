import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** These load a native WebRTC library, which works in one thread of a process only. */
const NATIVE = ["src/node/**/*.test.ts", "server/peer/**/*.test.ts"]

/** What takes longest begins first: at the end there would be nothing left for the other processors. */
const LONG = [/\/sim\//, /\/pipeline\/memory\//, /\/group\/engine-history\./, /\/membership\/large-room\./]

class LongOnesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => LONG.some((pattern) => pattern.test(moduleId))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

export default defineConfig({
  test: {
    testTimeout: 60_000,
    sequence: { sequencer: LongOnesFirst },
    // Left to itself a machine of two cores would run one file at a time.
    maxWorkers: "100%",
    projects: [
      {
        extends: true,
        test: {
          name: "unit",
          include: [
            "src/**/*.test.ts",
            "server/**/*.test.ts",
            "conformance/**/*.test.ts",
            "sim/**/*.test.ts",
            "workers/**/*.test.ts",
            "examples/**/*.test.ts",
          ],
          exclude: ["**/node_modules/**", ...NATIVE],
          pool: "threads",
        },
      },
      { extends: true, test: { name: "native", include: NATIVE, pool: "forks" } },
    ],
  },
})
