/** The operator's commands of `holomesh`: everything that needs a key and no network. */
import type { Command } from "commander"
import { addCapCommands } from "./cap.ts"
import { CliError, failureLine, failureOf } from "./failure.ts"
import { addIdentityCommands } from "./identity.ts"
import { addLogCommands } from "./log.ts"
import { addTokenCommands } from "./token.ts"

export function addOperatorCommands(program: Command): void {
  const before = new Set(program.commands)
  addCapCommands(program)
  addIdentityCommands(program)
  addTokenCommands(program)
  addLogCommands(program)
  for (const command of program.commands) if (!before.has(command)) settle(command)
}

/** Wrong arguments end like every other error of these commands, not in the parser's own way. */
function settle(command: Command): void {
  command.configureOutput({ outputError: () => undefined })
  command.exitOverride((error) => {
    // Help was asked for and has been printed.
    if (error.exitCode === 0) process.exit(0)
    throw new CliError("usage", error.message.replace(/^error: /, ""))
  })
  if (command.commands.length === 0) command.option("--json-errors", "write errors as JSON")
  for (const child of command.commands) settle(child)
}

/** Prints the error and gives the exit status; undefined when it is none of an operator's command. */
export function operatorFailure(error: unknown, argv: readonly string[]): number | undefined {
  if (!(error instanceof CliError) && !COMMANDS.includes(argv[2] ?? "")) return undefined
  const failure = failureOf(error)
  process.stderr.write(`${failureLine(failure, argv.includes("--json-errors"))}\n`)
  return failure.status
}

const COMMANDS: readonly string[] = ["cap", "identity", "token", "member", "log"]
