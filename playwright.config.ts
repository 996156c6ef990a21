import { defineConfig } from "@playwright/test"

/** Browser tests. One at a time: each starts several browser processes that encode and decode video. */
export default defineConfig({
  testDir: "e2e",
  testMatch: "**/*.spec.ts",
  workers: 1,
  fullyParallel: false,
  retries: 0,
  timeout: 120_000,
  reporter: [["list"]],
  outputDir: "test-results",
})
