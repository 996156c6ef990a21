/** `npm run conformance -- FILE…`: runs vector files through the product's own functions and counts what agrees. */
import { readFile } from "node:fs/promises"
import { Command } from "commander"
import { vectorFiles } from "./files.ts"
import { loadRunners } from "./load.ts"
import { readVectorFiles, runVectorFile, type VectorFile } from "./run.ts"

const program = new Command()
  .name("conformance")
  .description("Runs conformance vector files against this implementation.")
  .argument(
    "[files...]",
    "vector files, or folders of them. Default: our own, and the public ones beside the repository where there are any",
  )
  .option("--verbose", "print every failing case with its reason", false)
  .action(async (named: string[], options: { verbose: boolean }) => {
    const runners = await loadRunners()
    const total = { passed: 0, failed: 0, skipped: 0 }
    const withoutRunner: string[] = []
    const files = await vectorFiles(named).catch((error: Error) => fail(error.message))
    for (const [file, content] of await read(files)) {
      if (files.length > 1) console.log(`${file}:`)
      const table = runners[content.format.replace(/-vectors\/\d+$/, "")] ?? {}
      for (const section of await runVectorFile(content, table)) {
        total.skipped += section.skipped
        if (section.why !== undefined) console.log(`${section.name}: ${section.skipped} can not be answered: ${section.why}`)
        else if (section.skipped > 0) {
          withoutRunner.push(section.name)
          continue
        }
        total.passed += section.passed
        total.failed += section.failures.length
        console.log(`${section.name}: ${section.passed}/${section.passed + section.failures.length}`)
        const shown = options.verbose ? section.failures : section.failures.slice(0, 3)
        for (const failure of shown) console.error(`  ${section.name}[${failure.index}]: ${failure.reason}`)
      }
    }
    if (withoutRunner.length > 0) console.log(`no runner: ${withoutRunner.join(", ")}`)
    console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
    process.exitCode = total.failed > 0 || withoutRunner.length > 0 ? 1 : 0
  })

await program.parseAsync()

async function read(files: readonly string[]): Promise<[file: string, content: VectorFile][]> {
  const found: [string, VectorFile][] = []
  for (const file of files) {
    const text = await readFile(file, "utf8").catch((error: Error) => fail(`${file}: ${error.message}`))
    for (const content of parse(file, text)) found.push([file, content])
  }
  return found
}

function parse(file: string, text: string): VectorFile[] {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    return fail(`${file}: not JSON (${(error as Error).message})`)
  }
  return readVectorFiles(value) ?? fail(`${file}: no vector file (it needs the members "format" and "sections")`)
}

function fail(message: string): never {
  console.error(message)
  process.exit(1)
}
