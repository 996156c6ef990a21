#!/usr/bin/env node
/** The command line: `holomesh serve`. `npm start` runs it with the demo's files. */
import { existsSync, readFileSync } from "node:fs"
import { isIP } from "node:net"
import { networkInterfaces } from "node:os"
import { Command, InvalidArgumentError, Option } from "commander"
import { pino } from "pino"
import { AvError, isAvError } from "../src/wire/errors.ts"
import { addOperatorCommands, operatorFailure, shortForm } from "./cli/index.ts"
import { warnIfPermissive } from "./cli/io.ts"
import { freshSigner, loadSigner } from "./identity-file.ts"
import { addRelayCommand } from "./relay/command.ts"
import { createRendezvousServer, type RendezvousServer, type RendezvousServerOptions, type StunListener } from "./rendezvous.ts"

interface ServeFlags {
  port: number
  host: string
  static?: string
  identity?: string
  insecurePermissions?: boolean
  logLevel: string
  logAddresses?: boolean
  trustedProxy?: string[]
  tlsCert?: string
  tlsKey?: string
  portMapping?: boolean
  stun?: StunListener[]
}

const DEFAULT_PORT = 8080
const LOG_LEVELS = ["silent", "fatal", "error", "warn", "info", "debug", "trace"]
/** How many ports after the default one are tried. */
const PORTS_TRIED = 20
const EXIT_USAGE = 2
const EXIT_FAILURE = 1

const program = new Command("holomesh").description(
  "Rendezvous server for holomesh calls, which introduces browsers and sees no media, and relays without a browser.",
)

program
  .command("serve", { isDefault: true })
  .description("start the server")
  .addOption(
    new Option("-p, --port <number>", "TCP port; 0 takes any free one").env("PORT").default(DEFAULT_PORT).argParser(parsePort),
  )
  .option("--host <address>", "address to listen on; 0.0.0.0 for all, behind a TLS proxy", "127.0.0.1")
  .option("--static <dir>", "serve the files of this directory, such as the built demo")
  .option("--identity <file>", "keep the server's key in this file; without it every start has a new one")
  .option("--insecure-permissions", "accept an identity file that others can read")
  .option("--trusted-proxy <address...>", "addresses of proxies whose X-Forwarded-For is believed")
  .option("--tls-cert <file>", "PEM certificate chain; with --tls-key the server speaks https and wss itself")
  .option("--tls-key <file>", "PEM private key of --tls-cert")
  .option(
    "--port-mapping",
    "ask the gateway of this network to let visitors from outside in (needs @achingbrain/nat-port-mapper)",
  )
  .addOption(
    new Option(
      "--stun <address...>",
      "answer STUN at these IP addresses (address, address:port or [address]:port; UDP, port 3478), at least two of this machine's",
    ).argParser(addStun),
  )
  .addOption(new Option("--log-level <level>", "how much to log").choices(LOG_LEVELS).default("warn"))
  .option("--log-addresses", "write the addresses of visitors into the log")
  .action(async (flags: ServeFlags, command: Command) => {
    const isDefaultPort = command.getOptionValueSource("port") === "default"
    await serve(flags, isDefaultPort)
  })

addRelayCommand(program)
addOperatorCommands(program)

async function serve(flags: ServeFlags, mayMove: boolean): Promise<void> {
  if (flags.static !== undefined && !existsSync(flags.static)) {
    throw new AvError("UsageError", {}, { message: `There is no directory ${flags.static} to serve.` })
  }
  const logger = pino({ level: flags.logLevel })
  const signer =
    flags.identity === undefined
      ? await freshSigner()
      : await loadSigner(flags.identity, { insecurePermissions: flags.insecurePermissions === true })
  const options: RendezvousServerOptions = { host: flags.host, signer, logger, logAddresses: flags.logAddresses === true }
  if (flags.static !== undefined) options.staticDir = flags.static
  if (flags.trustedProxy !== undefined) options.trustedProxies = flags.trustedProxy
  if (flags.tlsKey !== undefined) await warnIfPermissive(flags.tlsKey)
  const tls = readTls(flags)
  if (tls !== undefined) options.tls = tls
  if (flags.portMapping) options.portMapping = true
  if (flags.stun !== undefined) options.stun = flags.stun
  const server = await listen(options, flags.port, mayMove)
  print(server, flags)
  let stopping = false
  const stop = () => {
    if (stopping) process.exit(EXIT_FAILURE)
    stopping = true
    process.stdout.write("\nStopping. Calls go on without the server.\n")
    void server.close().then(() => process.exit(0))
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
}

function readTls({ tlsCert, tlsKey }: ServeFlags): { cert: string; key: string } | undefined {
  if (tlsCert === undefined && tlsKey === undefined) return undefined
  if (tlsCert === undefined || tlsKey === undefined) {
    throw new AvError("UsageError", {}, { message: "--tls-cert and --tls-key belong together." })
  }
  return { cert: readFileSync(tlsCert, "utf8"), key: readFileSync(tlsKey, "utf8") }
}

/** Listens on the wanted port; only the default one may give way to the next that is free. */
async function listen(options: RendezvousServerOptions, port: number, mayMove: boolean): Promise<RendezvousServer> {
  for (let candidate = port; ; candidate++) {
    try {
      return await createRendezvousServer({ ...options, port: candidate })
    } catch (error) {
      const taken = error instanceof Error && "code" in error && error.code === "EADDRINUSE" && !isOfStun(error)
      if (!taken || !mayMove || candidate >= port + PORTS_TRIED) throw error
      process.stdout.write(`Port ${candidate} is in use; trying ${candidate + 1}.\n`)
    }
  }
}

function print(server: RendezvousServer, flags: ServeFlags): void {
  const everywhere = flags.host === "0.0.0.0" || flags.host === "::"
  const hosts = everywhere ? ["localhost", ...lanAddresses()] : [urlHost(flags.host)]
  const scheme = flags.tlsCert === undefined ? "http" : "https"
  for (const host of hosts) process.stdout.write(`holomesh is running: ${scheme}://${host}:${server.port}/\n`)
  for (const { host, port } of server.stun) process.stdout.write(`STUN is answered at ${urlAddress(host)}:${port}.\n`)
  if (everywhere && scheme === "http")
    process.stdout.write("Browsers give a camera only to https pages and to localhost: put a TLS proxy in front.\n")
  process.stdout.write("Stop it with Ctrl+C.\n")
}

/** `localhost` reads better than the address and is a secure context like it. */
function urlHost(host: string): string {
  if (host === "127.0.0.1" || host === "::1") return "localhost"
  return urlAddress(host)
}

function urlAddress(host: string): string {
  return host.includes(":") ? `[${host}]` : host
}

function lanAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return all.filter((entry) => entry.family === "IPv4" && !entry.internal).map((entry) => entry.address)
}

function parsePort(text: string): number {
  const port = Number(text)
  if (!/^\d{1,5}$/.test(text) || port > 65_535) throw new InvalidArgumentError("a port is a number from 0 to 65535.")
  return port
}

/** `192.0.2.1`, `192.0.2.1:3478`, `2001:db8::1` or `[2001:db8::1]:3478`. */
function addStun(text: string, before: StunListener[] = []): StunListener[] {
  const [, six, four, port] = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = isIP(text) !== 0 ? text : (six ?? four ?? "")
  if (isIP(host) === 0) throw new InvalidArgumentError("an IP address is needed, with or without a port.")
  return [...before, { host, ...(port === undefined ? {} : { port: parsePort(port) }) }]
}

/** UDP ports are bound, TCP ports are listened on. */
function isOfStun(error: unknown): boolean {
  return error instanceof Error && "syscall" in error && error.syscall === "bind"
}

function explain(error: unknown): { message: string; status: number } {
  if (isAvError(error)) return { message: error.message, status: EXIT_USAGE }
  const code = error instanceof Error && "code" in error ? error.code : undefined
  if (isOfStun(error)) return { message: `STUN cannot be offered there: ${(error as Error).message}`, status: EXIT_FAILURE }
  if (code === "EADDRINUSE") return { message: "That port is in use. Choose another one with --port.", status: EXIT_FAILURE }
  if (code === "EACCES") return { message: "This user may not listen on that port. Choose one above 1023.", status: EXIT_FAILURE }
  return { message: error instanceof Error ? error.message : String(error), status: EXIT_FAILURE }
}

try {
  await program.parseAsync(shortForm(process.argv))
} catch (error) {
  const known = operatorFailure(error, process.argv)
  const { message, status } = explain(error)
  if (known === undefined) process.stderr.write(`${message}\n`)
  process.exitCode = known ?? status
}
