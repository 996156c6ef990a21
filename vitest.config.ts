import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: [
      "src/**/*.test.ts",
      "server/**/*.test.ts",
      "conformance/**/*.test.ts",
      "sim/**/*.test.ts",
      "workers/**/*.test.ts",
      "examples/**/*.test.ts",
    ],
    testTimeout: 60_000,
    pool: "threads",
  },
})
