import { defineConfig } from "@playwright/test"

/** Suites whose subject is a figure or a time limit (lost sound, gaps, shares of pictures, who counts as gone) that a busy machine changes:
 * nothing may run beside them. */
const ALONE = /\/(call|mesh[\w-]*|network|quality|reconnect)\.spec\.ts$/

/** Suites of which nearly nobody films anything: they wait for timers, answers and files, and leave the processor to others. */
const WAITING =
  /\/(attacks|capacity|conformance|large-room|lobby|log|memory-tabs|nat|network\/path|node-peer|storage|third-party)\.spec\.ts$/

/**
 * Browser tests, one file at a time unless the command says otherwise. `npm test` runs the files of `together` two at a time, and one of
 * `waiting` beside them.
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
  // What is waited for comes at once on a machine that has nothing else to do, and late on one that has.
  expect: { timeout: 20_000 },
  reporter: [["list"]],
  outputDir: "test-results",
  projects: [
    { name: "waiting", testMatch: WAITING, workers: 1 },
    { name: "together", testIgnore: [ALONE, WAITING], workers: 2 },
    { name: "alone", testMatch: ALONE },
  ],
})
