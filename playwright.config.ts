import { defineConfig } from "@playwright/test"

/** Suites that measure sound, gaps and pictures a second while several browsers encode and decode: nothing may run beside them. */
const ALONE = /\/(call|devices|mesh[\w-]*|network|reconnect)\.spec\.ts$/

/**
 * Browser tests, one file at a time unless the command says otherwise. `npm test` runs the files of `together` two at a time: most of
 * them wait for keys, timers and files.
 */
export default defineConfig({
  testDir: "e2e",
  testMatch: "**/*.spec.ts",
  workers: 1,
  fullyParallel: false,
  // Real networks, codecs and clocks on machines that do other work: what fails once and then passes in fresh browsers is printed as
  // "flaky" in the summary, to be looked into, and does not fail the run. What fails twice does.
  retries: 1,
  timeout: 120_000,
  reporter: [["list"]],
  outputDir: "test-results",
  projects: [
    { name: "together", testIgnore: ALONE },
    { name: "alone", testMatch: ALONE },
  ],
})
