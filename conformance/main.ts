/** `npm run conformance -- FILE…`: runs vector files through the product's own functions and counts what agrees. */
import { Command } from "commander"
import { agreed, answerFiles, linesOf, summary, VectorFileError } from "./answer.ts"
import { vectorFiles } from "./files.ts"

const program = new Command()
  .name("conformance")
  .description("Runs conformance vector files against this implementation.")
  .argument(
    "[files...]",
    "vector files, or folders of them. Default: our own, and the public ones beside the repository where there are any",
  )
  .option("--verbose", "print every failing case with its reason", false)
  .action(async (named: string[], options: { verbose: boolean }) => {
    const files = await vectorFiles(named).catch((error: Error) => fail(error.message))
    let before = ""
    const totals = await answerFiles(files, (section) => {
      if (files.length > 1 && section.file !== before) console.log(`${section.file}:`)
      before = section.file
      const { out, error } = linesOf(section, options.verbose)
      for (const line of out) console.log(line)
      for (const line of error) console.error(line)
    }).catch((error: unknown) => {
      if (error instanceof VectorFileError) return fail(error.message)
      throw error
    })
    for (const line of summary(totals)) console.log(line)
    process.exitCode = agreed(totals) ? 0 : 1
  })

await program.parseAsync()

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
