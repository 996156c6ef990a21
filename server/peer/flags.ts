/** Arguments that all commands which join a room have in common. */
import { type Command, InvalidArgumentError } from "commander"
import { CliError } from "../cli/failure.ts"

/** Other users of the machine see the arguments of a program, but not its environment. */
const ROOM_VARIABLE = "HOLOMESH_ROOM_URL"
export const ROOM_ARGUMENT = `link to the room, with its invitation after the #; default: the environment's ${ROOM_VARIABLE}`

/** As commander gives them. */
export interface PeerFlags {
  name: string
  open?: boolean
  bind?: string
  identity?: string
  insecurePermissions?: boolean
  json?: boolean
}

/** @param name the default one in the room */
export function addPeerOptions(command: Command, name: string): Command {
  return command
    .option("--name <name>", "how it is called in the room", name)
    .option("--open", "the room is one without an invitation")
    .option("--bind <address>", "local address to send from; default: every interface except loopback")
    .option("--identity <file>", "keep its key in this file, made when it is missing; without it every start is somebody new")
    .option("--insecure-permissions", "accept an identity file that others can read")
}

export function roomUrl(given: string | undefined): string {
  const url = given ?? process.env[ROOM_VARIABLE]
  if (url === undefined) throw new CliError("usage", `the link to a room is needed, here or in ${ROOM_VARIABLE}`)
  return url
}

export function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0 && Number.isFinite(value))) throw new InvalidArgumentError("a number above 0 is needed.")
  return value
}

export function count(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError("a whole number from 1 is needed.")
  return value
}

/** What others wrote, for a terminal: nothing in it moves the cursor or turns the line around. */
export function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, "\ufffd")
}

export function sizeOf(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB"]
  let [value, unit] = [bytes, 0]
  for (; value >= 1_000 && unit < units.length - 1; unit++) value /= 1_000
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

export function filesOf(count: number): string {
  return `${count} ${count === 1 ? "file" : "files"}`
}
