/** The operator's commands of `holomesh`: keys and what they sign, files and questions for the members of a room, vectors. */
import type { Command } from "commander"
import { addCapCommands } from "./cap.ts"
import { addConformanceCommand } from "./conformance.ts"
import { addDirCommands } from "./dir.ts"
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
  addDirCommands(program)
  addConformanceCommand(program)
  for (const command of program.commands) if (!before.has(command)) settle(command)
}

/** `rendezvous serve` and `relay serve` are the long names of `serve` and `relay` (control-plane 9.2). */
export function shortForm([node = "", script = "", noun, verb, ...rest]: readonly string[]): string[] {
  if (verb === "serve" && noun === "rendezvous") return [node, script, "serve", ...rest]
  if (verb === "serve" && noun === "relay") return [node, script, "relay", ...rest]
  return [node, script, ...[noun, verb].filter((word) => word !== undefined), ...rest]
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

const COMMANDS: readonly string[] = ["cap", "identity", "token", "member", "log", "dir", "conformance"]
