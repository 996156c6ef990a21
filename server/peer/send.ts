/** `holomesh dir send`: one offer, from joining to leaving. */
import { type NodeTree, type Room, readNodeTree } from "../../src/node/index.ts"
import { isAvError } from "../../src/wire/errors.ts"
import type { SendFlags } from "../cli/dir.ts"
import { CliError, EXIT } from "../cli/failure.ts"
import { output, warn } from "../cli/io.ts"
import { filesOf, printable, sizeOf } from "./flags.ts"
import { Progress } from "./progress.ts"
import { INTERRUPTED, interruptible, stayAs, untilAborted } from "./stay.ts"

const BITS_PER_MEGABIT = 1_000_000
const TELL_EVERY_MS = 5_000

/** The exit status. */
export function send(flags: SendFlags & { path: string; url: string }): Promise<number> {
  return interruptible(async (stopped) => {
    // Before joining: nobody should see somebody come who has nothing to give.
    const tree = await listed(flags.path, stopped)
    if (tree === undefined) return INTERRUPTED
    for (const path of tree.skipped) warn(`${printable(path)} is neither file, folder nor link, and is left out`)
    if (tree.entries.length === 0) throw new CliError("nothing-to-send", `there is nothing in ${flags.path}`)
    const done = await stayAs(flags, stopped, (room) => offer(room, tree, flags, stopped))
    return done ?? INTERRUPTED
  })
}

async function listed(path: string, stopped: AbortSignal): Promise<NodeTree | undefined> {
  try {
    return await readNodeTree(path, { signal: stopped })
  } catch (error) {
    if (stopped.aborted) return undefined
    throw withPath(error, [])
  }
}

async function offer(room: Room, tree: NodeTree, flags: SendFlags, stopped: AbortSignal): Promise<number> {
  const { json = false, quiet = false, limit } = flags
  room.files.setUploadRate(limit === undefined ? undefined : limit * BITS_PER_MEGABIT)
  const name = flags.as ?? tree.name
  const reading = new Progress(`reading ${printable(name)}`, quiet)
  let share: Awaited<ReturnType<typeof room.files.shareTree>>
  try {
    const onProgress = ({ bytes, totalBytes }: { bytes: number; totalBytes: number }) => reading.show(bytes, totalBytes)
    share = await room.files.shareTree(tree.entries, { name, signal: stopped, onProgress })
  } catch (error) {
    if (stopped.aborted) return INTERRUPTED
    throw withPath(error, tree.entries)
  } finally {
    reading.end()
  }
  const { id, files, bytes } = share
  const facts = { event: "offered", id, name, files, bytes, room: room.name, participant: room.local.id }
  const said = `${id}  ${printable(name)}, ${filesOf(files)}, ${sizeOf(bytes)}, offered in ${room.name}. Stop with Ctrl+C.`
  await output(`${json ? JSON.stringify(facts) : said}\n`, undefined)
  tellSent(room, json, quiet)
  await untilAborted(stopped)
  share.stop()
  return 0
}

/** Says how much has gone out, when it has changed. */
function tellSent(room: Room, json: boolean, quiet: boolean): void {
  let before = 0
  const tell = () => {
    const sent = room.files.sentBytes
    if (sent === before) return
    before = sent
    if (json) process.stdout.write(`${JSON.stringify({ event: "sent", bytes: sent })}\n`)
    else if (!quiet) process.stderr.write(`sent ${sizeOf(sent)} so far\n`)
  }
  const timer = setInterval(tell, TELL_EVERY_MS)
  room.on("left", () => {
    clearInterval(timer)
    tell()
  })
}

/** The error with the file in it that it is about. */
function withPath(error: unknown, entries: readonly { path: string }[]): unknown {
  if (!isAvError(error)) return error
  const { index, path: named, what, why } = error.details
  const path = typeof named === "string" ? named : typeof index === "number" ? entries[index]?.path : undefined
  if (path === undefined) return error
  if (error.code === "UnsafePath") {
    return new CliError("unsafe-path", `${printable(path)} cannot be sent to everybody: ${String(why)}`, EXIT.sdk)
  }
  if (error.code === "StoreError")
    return new CliError("unreadable-file", `cannot read ${printable(path)}: ${reasonOf(error, what)}`, EXIT.generic)
  return error
}

function reasonOf({ cause }: Error, what: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined
  return String(code ?? what)
}
