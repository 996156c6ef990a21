/** `holomesh cap`: announcements of a node, signed where no network is (control-plane 9.1), and who offers what. */
import type { Command } from "commander"
import { MAX_ALLOW_LIST, MAX_BUILT_VERSION, MAX_TTL_SECONDS } from "../../src/capability/announcement.ts"
import { encodeAnnouncement, formatAnnouncementJson, isAnnouncementSigned, signAnnouncement } from "../../src/capability/index.ts"
import { buildTags } from "../../src/capability/tags.ts"
import { MEMBERSHIP_CERT_LENGTH } from "../../src/wire/membership-cert.ts"
import type { Bytes } from "../../src/wire/types.ts"
import { readAnnouncement } from "./announcement-file.ts"
import { CliError, EXIT } from "./failure.ts"
import { inputBytes, type KeyFlags, openKey, output, warn } from "./io.ts"
import { addQueryCommand } from "./query.ts"
import { distinct, distinctBytes, hexOf, nodeIdOf, wholeNumber } from "./values.ts"

interface AnnounceFlags extends KeyFlags {
  tag?: string[]
  allowNode?: string[]
  allowSubnet?: string[]
  allowGroup?: string[]
  strict?: boolean
  cert?: string[]
  version?: string
  ttlSecs?: string
  nodeId?: string
  out?: string
  format?: string
}

const DEFAULT_TTL_SECONDS = 300
/** Live nodes count versions in milliseconds since 1970: anything below this is older than all of theirs. */
const FIRST_LIKELY_VERSION = 10n ** 12n
const NO_PQ_HASH = new Uint8Array(32)

export function addCapCommands(parent: Command): void {
  const cap = parent.command("cap").description("announcements: what a node offers, and whom it serves")
  cap
    .command("announce")
    .description("build and sign an announcement; live nodes with this key take its policy over")
    .option("--tag <tags...>", "a tag, such as nrpc:echo or subnet:<32 hex>; at least one")
    .option("--allow-node <ids...>", "a node that may use this one; without any list everybody may")
    .option("--allow-subnet <ids...>", "a subnet whose nodes may, 32 hex digits")
    .option("--allow-group <ids...>", "a group whose nodes may, 64 hex digits")
    .option("--strict", "subnets and groups count only where a certificate proves them")
    .option("--cert <files...>", "membership certificate to include")
    .option("--key <file>", "identity file to sign with")
    .option("--version <number>", "default: the time in milliseconds")
    .option("--ttl-secs <number>", `how long it counts, 1 to ${MAX_TTL_SECONDS}`, String(DEFAULT_TTL_SECONDS))
    .option("--node-id <id>", "refuse to sign unless the key has this node id")
    .option("--out <file>", "write there instead of to stdout")
    .option("--format <form>", "json, or bin for the bytes that travel", "json")
    .option("--insecure-permissions", "only warn about a key file that others can read")
    .addHelpText("after", "\nTo revoke, announce again with a higher version and tighter lists.")
    .action((flags: AnnounceFlags) => announce(flags))
  for (const [name, text] of [
    ["show", "print an announcement of either form as JSON"],
    ["verify", "the same, and fail unless its key signed it"],
  ] as const) {
    cap
      .command(name)
      .description(text)
      .argument("<file>")
      .action(async (file: string) => {
        const signed = await readAnnouncement(file)
        if (name === "verify" && !(await isAnnouncementSigned(signed)))
          throw new CliError("bad-signature", "the signature is wrong", EXIT.sdk)
        await output(formatAnnouncementJson(signed), undefined)
      })
  }
  addQueryCommand(cap)
}

async function announce(flags: AnnounceFlags): Promise<void> {
  const tags = (flags.tag ?? []).map((tag) => tag.trim())
  if (tags.length === 0) throw new CliError("missing-tag", "--tag names at least one tag")
  const format = flags.format?.trim()
  if (format !== "json" && format !== "bin") throw new CliError("bad-format", "--format is json or bin")
  // Everything is read before the key: a typing error should not need one.
  const allowedNodes = short(
    "nodes",
    distinct(flags.allowNode, nodeIdOf, (id) => id),
  )
  const allowedSubnets = short(
    "subnets",
    distinctBytes(flags.allowSubnet, (text) => hexOf(text, 16, "subnet", "subnet:")),
  )
  const allowedGroups = short(
    "groups",
    distinctBytes(flags.allowGroup, (text) => hexOf(text, 32, "group", "group:")),
  )
  const ttlSeconds = wholeNumber(flags.ttlSecs ?? String(DEFAULT_TTL_SECONDS), 1, MAX_TTL_SECONDS, "--ttl-secs")
  const builtTags = buildTags(tags, [], undefined)
  const version = versionOf(flags.version)
  const wanted = flags.nodeId === undefined ? undefined : nodeIdOf(flags.nodeId)
  const certs = await Promise.all((flags.cert ?? []).map(certOf))
  const { signer, record } = await openKey(flags)
  if (wanted !== undefined && wanted !== signer.nodeId) {
    throw new CliError("node-id-mismatch", `this key has the node id ${signer.nodeId}, not ${wanted}`)
  }
  const announcement = {
    nodeId: signer.nodeId,
    entityId: signer.entityId,
    version,
    issuedMs: BigInt(Date.now()),
    ttlSeconds,
    tags: builtTags,
    metadata: new Map<string, string>(),
    reflex: [],
    generation: record.generation,
    allowedNodes,
    allowedSubnets,
    allowedGroups,
    certs,
    strictMembership: flags.strict === true,
    pqHash: NO_PQ_HASH,
    extensions: new Map(),
  }
  const signed = await signAnnouncement(announcement, signer)
  await output(format === "bin" ? encodeAnnouncement(signed) : formatAnnouncementJson(signed), flags.out)
}

function versionOf(text: string | undefined): bigint {
  if (text === undefined) return BigInt(Date.now())
  const trimmed = text.trim()
  const version = /^\d{1,19}$/.test(trimmed) ? BigInt(trimmed) : 0n
  if (version < 1n || version > MAX_BUILT_VERSION) throw new CliError("bad-version", "--version is a whole number from 1 on")
  if (version < FIRST_LIKELY_VERSION) {
    warn(`version ${version} is older than every version of a live node, which counts milliseconds: live nodes will ignore it`)
  }
  return version
}

function short<T>(what: string, list: T[]): T[] {
  if (list.length <= MAX_ALLOW_LIST) return list
  throw new CliError("allow-list-too-long", `${list.length} ${what}, but at most ${MAX_ALLOW_LIST} fit: put them into a group`)
}

async function certOf(path: string): Promise<Bytes> {
  const bytes = await inputBytes(path, "certificate")
  if (bytes.length !== MEMBERSHIP_CERT_LENGTH)
    throw new CliError("bad-certificate", `${path.trim()} is no membership certificate`)
  return bytes
}
