/** `holomesh conformance`: vector files, answered by this build. */
import type { Command } from "commander"
import { CliError, EXIT } from "./failure.ts"

const AFTER_HELP = `
Each case is put to the functions that the package itself uses. Files have the members "format" and "sections", or are
of the flat form of the control plane, or one public case each; a folder stands for all files below it.

Exit status: 0 everything agrees, 1 something does not, or a section has no runner here, 2 no vector file.`

export function addConformanceCommand(parent: Command): void {
  parent
    .command("conformance")
    .description("run conformance vector files against this build")
    .argument("<files...>", "vector files, or folders of them")
    .option("--verbose", "print every case that fails, with its reason")
    .option("--json", "one line of JSON for each section, and one with the sums")
    .addHelpText("after", AFTER_HELP)
    .action(async (named: string[], flags: { verbose?: boolean; json?: boolean }) => {
      // The runners reach into every part of the protocol: loaded for this command alone.
      const [{ agreed, answerFiles, linesOf, summary, VectorFileError }, { vectorFiles }] = await Promise.all([
        import("../../conformance/answer.ts"),
        import("../../conformance/files.ts"),
      ])
      const files = await vectorFiles(named.map((path) => path.trim())).catch((error: Error) => {
        throw new CliError("no-vectors", error.message)
      })
      const say = (lines: readonly string[]) => {
        for (const line of lines) process.stdout.write(`${line}\n`)
      }
      let before = ""
      const totals = await answerFiles(files, (section) => {
        const { file, name, passed, failures, skipped, why, unknown } = section
        if (flags.json) {
          say([JSON.stringify({ file, section: name, passed, failed: failures.length, skipped, unknown, why, failures })])
          return
        }
        if (files.length > 1 && file !== before) say([`${file}:`])
        before = file
        const { out, error } = linesOf(section, flags.verbose === true)
        say([...out, ...error])
      }).catch((error: unknown) => {
        throw error instanceof VectorFileError ? new CliError("bad-vectors", error.message) : error
      })
      const { withoutRunner, ...counts } = totals
      say(flags.json ? [JSON.stringify({ ...counts, without_runner: withoutRunner })] : summary(totals))
      process.exitCode = agreed(totals) ? 0 : EXIT.generic
    })
}
