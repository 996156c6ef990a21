/** `holomesh relay`: a member of a room that nobody sits at, with an uplink that others need. */
import { type Command, Option } from "commander"
import { CliError } from "../cli/failure.ts"
import { addPeerOptions, count, type PeerFlags, positive, ROOM_ARGUMENT, roomUrl } from "../peer/flags.ts"
import { type Place, readPlace, readPort } from "./place.ts"

interface RelayFlags extends PeerFlags {
  uplinkLimit?: number
  maxSubscribers?: number
  udpPort?: number
  portMapping?: boolean
  reachableAt?: Place
  logLevel: string
}

const LOG_LEVELS = ["silent", "fatal", "error", "warn", "info", "debug"]

const AFTER_HELP = `
The room URL is the link that people join with, in quotes because of the #:
  holomesh relay "wss://meet.example/garden#k=…"

A relay is a member of the room: it holds the room's keys, publishes nothing and shows nothing. It takes streams
only while somebody takes them from it. Stop it with Ctrl+C: those who take streams from it are moved first.

It needs WebRTC, which Node does not have: npm install node-datachannel

Exit status: 0 stopped by a signal, 2 wrong arguments or link, 3 something is missing here, 5 refused by the room
or the server, 6 the server cannot be reached, 7 nobody answered in time. Once in the room it stays there by itself.`

/** Adds the command to the program. */
export function addRelayCommand(program: Command): void {
  const relay = program
    .command("relay")
    .description("join a room and hand on the streams of others; needs the package node-datachannel")
    .argument("[room-url]", ROOM_ARGUMENT)
    .option("--uplink-limit <mbit>", "most that it sends in all, Mbit/s", positive)
    .option("--max-subscribers <count>", "most streams that it hands out at once", count)
    .option("--udp-port <port>", "one UDP port for everything, for a firewall; default: a free one for each connection", readPort)
    .option(
      "--port-mapping",
      "ask the gateway of this network to let peers from outside reach --udp-port (needs @achingbrain/nat-port-mapper)",
    )
    .option(
      "--reachable-at <address:port>",
      "your word that everybody reaches --udp-port at this IP address and port, through a mapping that you made or no NAT at all",
      readPlace,
    )
    .option("--json", "write what happens as JSON, one object per line, instead of a status line")
    .option("--json-errors", "write the error that ends it as JSON")
    .addOption(new Option("--log-level <level>", "how much of it, with --json").choices(LOG_LEVELS).default("info"))
  addPeerOptions(relay, "Relay")
    .addHelpText("after", AFTER_HELP)
    .configureOutput({ outputError: () => undefined })
    .exitOverride((error) => {
      // Help was asked for and has been printed.
      if (error.exitCode === 0) process.exit(0)
      throw new CliError("usage", error.message.replace(/^error: /, ""))
    })
    .action(async (given: string | undefined, flags: RelayFlags) => {
      const url = roomUrl(given)
      if (flags.reachableAt !== undefined && flags.udpPort === undefined) {
        throw new CliError("usage", "--reachable-at needs --udp-port: without it every connection has a port of its own")
      }
      // Not before it is needed: the server does without all of this.
      const [{ runRelay }, { roomFailure }] = await Promise.all([import("./run.ts"), import("../peer/failures.ts")])
      try {
        process.exitCode = await runRelay({ ...flags, url, json: flags.json === true })
      } catch (error) {
        throw roomFailure(error)
      }
    })
}
