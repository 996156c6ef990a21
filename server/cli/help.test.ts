/** `docs/commands.md` is what the commands say of themselves. After a change: `npx vitest run server/cli/help.test.ts -u`, and read it. */
import { readFileSync } from "node:fs"
import { Command } from "commander"
import { expect, test } from "vitest"
import { addRelayCommand } from "../relay/command.ts"
import { addOperatorCommands } from "./index.ts"

const WIDTH = 100
const HEAD = `# Commands

What \`holomesh <command> --help\` prints, for every command but \`serve\`, whose options are in [operations](operations.md). This file is written
by \`npx vitest run server/cli/help.test.ts -u\`. How the commands that join a room behave is told in [Node peers](node.md).
`

function helpOf(command: Command): string {
  let text = ""
  command.configureOutput({
    writeOut: (part) => {
      text += part
    },
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
  })
  command.outputHelp()
  return text.trimEnd()
}

/** Commands that do something, with their full names. */
function leaves(command: Command, name: string): [name: string, command: Command][] {
  if (command.commands.length === 0) return [[name, command]]
  return command.commands.flatMap((child) => leaves(child, `${name} ${child.name()}`))
}

test("the list of commands is what they print", async () => {
  const program = new Command("holomesh")
  addRelayCommand(program)
  addOperatorCommands(program)
  const sections = leaves(program, "holomesh").map(
    ([name, command]) => `## \`${name}\`\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`,
  )
  expect(sections.length).toBeGreaterThanOrEqual(16)
  await expect([HEAD, ...sections].join("\n")).toMatchFileSnapshot("../../docs/commands.md")
})

test("the table of the relay names every option", () => {
  const program = new Command("holomesh")
  addRelayCommand(program)
  const table = readFileSync(new URL("../../docs/node.md", import.meta.url), "utf8")
  const options = program.commands.flatMap((command) => command.options.map(({ long }) => long ?? ""))
  expect(options.length).toBeGreaterThan(10)
  expect(options.filter((option) => !table.includes(`\`${option}`))).toEqual([])
})
