/** `holomesh dir`: files and folders to the members of a room, and from them (control-plane 7). */
import type { Command } from "commander"
import { addPeerOptions, count, type PeerFlags, positive, ROOM_ARGUMENT, roomUrl } from "../peer/flags.ts"

export interface SendFlags extends PeerFlags {
  as?: string
  limit?: number
  quiet?: boolean
}

export interface FetchFlags extends PeerFlags {
  replace?: boolean
  resume?: boolean
  maxBytes?: number
  wait: number
  quiet?: boolean
}

const WAIT_SECONDS = 30

const AFTER_SEND = `
Everybody in the room sees the offer and may fetch it, in browsers too, until this is stopped with Ctrl+C. The files
stay where they are and are read when somebody fetches them: one that has changed since is not given away any more.
Permissions and symbolic links that stay inside the folder travel along. The first line on stdout has the id.

Exit status: 0 stopped by a signal, 1 something cannot be read, 2 wrong arguments or link, 3 names that others could
not write (unsafe-path) or too much (too-large), 5 refused by the room or the server, 6 the server cannot be reached,
7 nobody answered in time.`

const AFTER_FETCH = `
The target is there as a whole in the end, or not at all. What comes is checked against the hashes that the id stands
for; names and links that would lead out of the target refuse the whole offer, before anything is written. When
several members offer the same, the next one is asked when one fails.

Exit status: 0 fetched, 1 the disk, 2 wrong arguments or link, or several offers are meant, 3 what came was refused
(unsafe-path, malformed, too-large, blob-invalid), 5 refused by the room, the server or the member, 6 the server or the
member cannot be reached, 7 nothing of that kind was offered in time, or nothing came any more, 130 interrupted.`

export function addDirCommands(parent: Command): void {
  const dir = parent.command("dir").description("files and folders for the members of a room; needs the package node-datachannel")
  const send = dir
    .command("send")
    .description("offer a file or a folder to everybody in the room, until it is stopped")
    .argument("<path>", "file or folder")
    .argument("[room-url]", ROOM_ARGUMENT)
    .option("--as <name>", "how the others see it; default: the name of the file or folder")
    .option("--limit <mbit>", "most that is sent in all, Mbit/s; default: what the links carry", positive)
    .option("--quiet", "no progress on stderr")
    .option("--json", "what happens as JSON, one object per line")
  addPeerOptions(send, "Files")
    .addHelpText("after", AFTER_SEND)
    .action((path: string, room: string | undefined, flags: SendFlags) =>
      inRoom(async () => (await import("../peer/send.ts")).send({ ...flags, path: path.trim(), url: roomUrl(room) })),
    )
  const fetch = dir
    .command("fetch")
    .description("fetch what a member offers into a folder")
    .argument("<offer>", "id of the offer, or name or id of the member, when it offers one thing only")
    .argument("<target>", "folder to make")
    .argument("[room-url]", ROOM_ARGUMENT)
    .option("--replace", "replace what is at the target, as a whole")
    .option("--resume", "keep what has come when it fails, and go on from it when it is run again")
    .option("--max-bytes <bytes>", "refuse more than this; default 2 GiB", count)
    .option("--wait <seconds>", "longest time to wait until it is offered", positive, WAIT_SECONDS)
    .option("--quiet", "no progress on stderr")
    .option("--json", "the result as JSON")
  addPeerOptions(fetch, "Files")
    .addHelpText("after", AFTER_FETCH)
    .action((wanted: string, target: string, room: string | undefined, flags: FetchFlags) =>
      inRoom(async () => {
        const { fetchOffer } = await import("../peer/fetch.ts")
        return fetchOffer({ ...flags, wanted: wanted.trim(), target, url: roomUrl(room) })
      }),
    )
}

/** Not before it is needed: other commands do without all of this. */
async function inRoom(work: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await work()
  } catch (error) {
    throw (await import("../peer/failures.ts")).roomFailure(error)
  }
}
