/** `npm run bench`: the benchmarks of bench/subjects in Node. */
import { Command } from "commander"
import { initFountainFromPackage } from "../../src/fountain/node.ts"
import { FULL, QUICK } from "../measure.ts"
import { describeMachine, printResult, type Report, toMarkdown, typedCommand, writeDocument, writeJson } from "../report.ts"
import { choose, runSubjects } from "../subject.ts"
import { subjects as everywhere } from "../subjects/index.ts"
import { appendLog } from "./log.ts"
import { rpcNodes } from "./rpc-nodes.ts"

const subjects = [...everywhere, rpcNodes, appendLog]

const program = new Command("npm run bench --")
  .option("--quick", "short measurements, to try the command out")
  .option("--only <names...>", `of ${subjects.map(({ name }) => name).join(", ")}`)
  .option("--markdown", "print the report as markdown instead of tables")
  .option("--docs", "put the report into docs/performance.md")
  .parse()
const { quick, only, markdown, docs } = program.opts<{ quick?: true; only?: string[]; markdown?: true; docs?: true }>()

const machine = describeMachine()
await initFountainFromPackage()
const results = await runSubjects(choose(subjects, only), quick ? QUICK : FULL, (result) => {
  if (!markdown) printResult(result)
})
const report: Report = { kind: "node", command: typedCommand("bench"), machine, results }
if (markdown) console.log(toMarkdown(report))
writeJson(report)
if (docs) writeDocument(report)
