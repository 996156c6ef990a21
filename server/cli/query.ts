/** `holomesh cap query`: who offers what is looked for, among the members of a room or in files with announcements. */
import type { Command } from "commander"
import { formatAnnouncementJson, isAnnouncementSigned } from "../../src/capability/index.ts"
import { addPeerOptions, type PeerFlags, positive, roomUrl } from "../peer/flags.ts"
import { readAnnouncement } from "./announcement-file.ts"
import { CliError, EXIT } from "./failure.ts"
import { output } from "./io.ts"
import { matches, type Query, type QueryFlags, readQuery } from "./query-match.ts"

export interface RoomQueryFlags extends QueryFlags, PeerFlags {
  callable?: boolean
  wait: number
}

const WAIT_SECONDS = 5

const AFTER_HELP = `
With a link it joins the room as a member without a camera, waits until every member has said what it offers or the
time is over, prints those that match, and leaves. Without a condition it prints everybody. What is not a link is a
file with an announcement, as "cap announce" makes it: signatures are checked, and no room is joined.

  holomesh cap query "wss://meet.example/garden#k=…" --service captions --json

Exit status: 0 something matches, 10 nothing does, 2 wrong arguments or link, 3 a wrong signature, or something is
missing here, 5 refused by the room or the server, 6 the server cannot be reached, 7 nobody answered in time.`

export function addQueryCommand(cap: Command): void {
  const command = cap
    .command("query")
    .description("print which members of a room announce what is looked for; needs the package node-datachannel")
    .argument(
      "[where...]",
      "link to a room, or files with announcements; default: the room in the environment's HOLOMESH_ROOM_URL",
    )
    .option("--tag <tags...>", "tags that have to be there; a * at the end stands for anything")
    .option("--service <names...>", "services that have to be offered")
    .option("--meta <pairs...>", "metadata that has to be there, as key=value")
    .option("--callable", "only members whose policy lets this one call each --service")
    .option("--wait <seconds>", "longest time to wait for what members announce", positive, WAIT_SECONDS)
    .option("--json", "one line of JSON for each that matches")
  addPeerOptions(command, "Query")
    .addHelpText("after", AFTER_HELP)
    .action(async (where: string[], flags: RoomQueryFlags) => {
      const query = readQuery(flags)
      if (flags.callable && query.services.length === 0) throw new CliError("usage", "--callable needs a --service")
      process.exitCode = await found(where, query, flags)
    })
}

async function found(where: string[], query: Query, flags: RoomQueryFlags): Promise<number> {
  const [first] = where
  if (first !== undefined && !first.includes("://")) return queryFiles(where, query, flags)
  if (where.length > 1) throw new CliError("usage", "one room at a time")
  // Not before it is needed: files are looked into without all of this.
  const [{ queryRoom }, { roomFailure }] = await Promise.all([import("../peer/query.ts"), import("../peer/failures.ts")])
  try {
    return await queryRoom({ ...flags, url: roomUrl(first) }, query)
  } catch (error) {
    throw roomFailure(error)
  }
}

async function queryFiles(files: readonly string[], query: Query, { callable }: RoomQueryFlags): Promise<number> {
  if (callable) throw new CliError("usage", "--callable is asked of a room")
  let count = 0
  for (const file of files) {
    const signed = await readAnnouncement(file)
    if (!(await isAnnouncementSigned(signed))) {
      throw new CliError("bad-signature", `${file.trim()}: the signature is wrong`, EXIT.sdk)
    }
    const { tags, metadata } = signed.announcement
    if (!matches(query, tags, metadata)) continue
    await output(formatAnnouncementJson(signed), undefined)
    count++
  }
  return count > 0 ? 0 : EXIT.nothing
}
