/** `holomesh dir fetch`: finds an offer, fetches it, leaves. */
import { lstat, readdir } from "node:fs/promises"
import { type FileOffer, NodeTreeSink, type Room } from "../../src/node/index.ts"
import { AvError, type ErrorCode, isAvError } from "../../src/wire/errors.ts"
import type { FetchFlags } from "../cli/dir.ts"
import { CliError, EXIT } from "../cli/failure.ts"
import { output } from "../cli/io.ts"
import { filesOf, printable, sizeOf } from "./flags.ts"
import { Progress } from "./progress.ts"
import { INTERRUPTED, interruptible, stayAs, waitFor } from "./stay.ts"

export interface FetchSettings extends FetchFlags {
  /** Id of the offer, or member. */
  wanted: string
  target: string
  url: string
}

/** Somebody else may still have it. */
const OF_THE_SOURCE: readonly ErrorCode[] = [
  "BlobNotFound",
  "BlobRefused",
  "BlobInvalid",
  "BlobTimeout",
  "SessionClosed",
  "LinkFailed",
  "MemberNotFound",
]
/** Whoever is new hears of offers within a second or two; so does a second member with the same, ms. */
const OTHERS_MS = 500
const MAX_SHOWN = 10

/** The exit status. */
export function fetchOffer(settings: FetchSettings): Promise<number> {
  return interruptible(async (stopped) => {
    await requireFree(settings)
    const sink = new NodeTreeSink(settings.target, { resume: true, replace: settings.replace === true })
    let fetched = false
    try {
      const done = await stayAs(settings, stopped, async (room) => {
        const offers = await waitForOffer(room, settings, stopped)
        if (offers === undefined) return undefined
        const got = await fetchFromAny(room, offers, sink, settings, stopped)
        fetched = got !== undefined
        return got
      })
      if (done === undefined) return INTERRUPTED
      await tell(done, sink, settings)
      return 0
    } catch (error) {
      throw explained(error, settings)
    } finally {
      // Attempts within one run go on from each other; the next run does when somebody wants it.
      if (!fetched && !settings.resume) await sink.discard()
    }
  })
}

/** Said before anything is fetched; an empty folder is nothing. */
async function requireFree({ target, replace }: FetchSettings): Promise<void> {
  if (target.trim() === "") throw new CliError("usage", "the target is a folder")
  if (replace) return
  const info = await lstat(target).catch(() => undefined)
  const isEmpty = info?.isDirectory() === true && (await readdir(target)).length === 0
  if (info !== undefined && !isEmpty) {
    throw new CliError("already-exists", `${target} is there already: name another place, or --replace it`)
  }
}

/** Offers of one content, by whoever has it; undefined when it was interrupted. */
async function waitForOffer(
  room: Room,
  { wanted, wait }: FetchSettings,
  stopped: AbortSignal,
): Promise<readonly FileOffer[] | undefined> {
  const meant = () => {
    const { offers } = room.files
    const byId = offers.filter(({ id }) => id === wanted.toLowerCase())
    return byId.length > 0 ? byId : offers.filter(({ from }) => from.id === wanted || from.name === wanted)
  }
  const found = await waitFor(() => (meant().length > 0 ? true : undefined), wait * 1_000, stopped)
  if (stopped.aborted) return undefined
  if (found === undefined) {
    throw new CliError("not-offered", `${printable(wanted)} is not offered here${listOf(room.files.offers)}`, EXIT.timeout)
  }
  await waitFor(() => undefined, OTHERS_MS, stopped)
  const offers = meant()
  if (new Set(offers.map(({ id }) => id)).size > 1) {
    throw new CliError("ambiguous", `${printable(wanted)} offers several things, name one by its id${listOf(offers)}`)
  }
  return offers
}

interface Fetched {
  offer: FileOffer
  /** As they came, and not as the offer says. */
  files: number
  bytes: number
}

/** Undefined when it was interrupted. */
async function fetchFromAny(
  room: Room,
  offers: readonly FileOffer[],
  sink: NodeTreeSink,
  { maxBytes, quiet = false }: FetchSettings,
  stopped: AbortSignal,
): Promise<Fetched | undefined> {
  let last: unknown = new AvError("BlobNotFound")
  for (const offer of offers) {
    const progress = new Progress(printable(offer.name), quiet)
    const got: Fetched = { offer, files: 0, bytes: 0 }
    try {
      await room.files.fetchInto(offer, sink, {
        signal: stopped,
        ...(maxBytes === undefined ? {} : { maxBytes }),
        onProgress({ bytes, totalBytes, files, totalFiles }) {
          got.files = files
          got.bytes = bytes
          progress.show(bytes, totalBytes, `, ${files} of ${filesOf(totalFiles)}`)
        },
      })
      return got
    } catch (error) {
      if (stopped.aborted) return undefined
      last = error
      if (!isAvError(error) || !OF_THE_SOURCE.includes(error.code)) throw error
    } finally {
      progress.end()
    }
  }
  throw last
}

async function tell({ offer, files, bytes }: Fetched, { linksFailed }: NodeTreeSink, settings: FetchSettings): Promise<void> {
  const { id, name, from } = offer
  const { target, json } = settings
  const facts = { id, name, from: { id: from.id, name: from.name }, files, bytes, target, links_failed: linksFailed }
  const said = `${printable(name)} of ${printable(from.name)} is in ${target}: ${filesOf(files)}, ${sizeOf(bytes)}`
  await output(`${json ? JSON.stringify(facts) : said}\n`, undefined)
}

/** Errors whose sentences are for people in front of a page. */
function explained(error: unknown, { target, resume }: FetchSettings): unknown {
  if (!isAvError(error)) return error
  const { code, cause } = error
  if (code === "StoreError") {
    const why = cause instanceof Error && "code" in cause ? cause.code : error.details.what
    return new CliError("store-error", `cannot write ${target}: ${String(why)}`, EXIT.generic)
  }
  if (code === "BlobTimeout") {
    return new CliError("blob-timeout", `nothing came any more${resume ? ", what is here is kept" : ""}`, EXIT.timeout)
  }
  if (code === "Malformed" || code === "NonCanonical") {
    return new CliError(
      code === "Malformed" ? "malformed" : "non-canonical",
      "what describes the files is not well-formed",
      EXIT.sdk,
    )
  }
  return error
}

function listOf(offers: readonly FileOffer[]): string {
  if (offers.length === 0) return ""
  const shown = offers.slice(0, MAX_SHOWN).map(({ id, name, from }) => `${id} (${printable(name)} of ${printable(from.name)})`)
  return `; there are: ${shown.join(", ")}${offers.length > MAX_SHOWN ? " …" : ""}`
}
