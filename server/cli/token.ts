/** `holomesh token` and `holomesh member`: rights on channels, and proofs of membership, signed where no network is. */
import type { Command } from "commander"
import { certifiedId, issueMembershipCert } from "../../src/identity/membership-cert.ts"
import {
  channelHash,
  decodeChain,
  delegateToken,
  encodeChain,
  encodeToken,
  isExpired,
  issueToken,
  isTokenSigned,
  SCOPE,
  type SignedToken,
} from "../../src/token/index.ts"
import { MAX_TOKEN_TTL_SECONDS, TOKEN_LENGTH } from "../../src/token/permission-token.ts"
import { toHex } from "../../src/wire/bytes.ts"
import { canonicalChannelName } from "../../src/wire/channel-name.ts"
import { CliError } from "./failure.ts"
import { inputBytes, type KeyFlags, openKey, output } from "./io.ts"
import { hexOf, wholeNumber } from "./values.ts"

interface TokenFlags extends KeyFlags {
  subject?: string
  scope?: string[]
  channel?: string
  anyChannel?: boolean
  ttlSecs: string
  depth: string
  out?: string
}

const SCOPES: Readonly<Record<string, number>> = {
  publish: SCOPE.PUBLISH,
  subscribe: SCOPE.SUBSCRIBE,
  admin: SCOPE.ADMIN,
  delegate: SCOPE.DELEGATE,
}
const DAY = "86400"
const MAX_DEPTH = 255

export function addTokenCommands(parent: Command): void {
  const token = parent.command("token").description("rights on channels, as chains of tokens in hex")
  const signing = (command: Command) =>
    command
      .option("--key <file>", "identity file to sign with")
      .option("--insecure-permissions", "only warn about a key file that others can read")
      .option("--subject <entity>", "who gets the right: an Ed25519 key, 64 hex digits")
      .option("--scope <rights...>", "publish, subscribe, admin, delegate")
      .option("--channel <name>", "the channel")
      .option("--any-channel", "every channel")
      .option("--ttl-secs <number>", "how long it counts", DAY)
      .option("--out <file>", "write there instead of to stdout")
  signing(token.command("issue").description("a chain of one token"))
    .option("--depth <number>", "how often it may be passed on; needs the right delegate", "0")
    .action((flags: TokenFlags) => issue(flags))
  signing(token.command("delegate").description("one more token on a chain that ends with this key"))
    .argument("<chain>", "file with the chain")
    .action((file: string, flags: TokenFlags) => delegate(file, flags))
  token
    .command("inspect")
    .description("what a chain says, link by link; rights are for whoever knows the root to judge")
    .argument("<chain>", "file with a chain or a single token")
    .action((file: string) => inspect(file))
  parent
    .command("member")
    .description("membership of a subnet or group")
    .command("issue")
    .description("a certificate that a node is in the subnet or group of this key")
    .option("--key <file>", "identity file of the subnet's or group's owner")
    .option("--insecure-permissions", "only warn about a key file that others can read")
    .option("--member <entity>", "who is a member: an Ed25519 key, 64 hex digits")
    .option("--kind <kind>", "subnet or group", "subnet")
    .option("--ttl-secs <number>", "how long it counts", DAY)
    .option("--out <file>", "write there instead of to stdout")
    .action((flags: KeyFlags & { member?: string; kind: string; ttlSecs: string; out?: string }) => certify(flags))
}

async function issue(flags: TokenFlags): Promise<void> {
  const request = readRequest(flags)
  const delegationDepth = wholeNumber(flags.depth, 0, MAX_DEPTH, "--depth")
  const { signer, record } = await openKey(flags)
  const bytes = await issueToken(signer, { ...request, delegationDepth, generation: record.generation, now: seconds() })
  await output(`${toHex(encodeChain([bytes]))}\n`, flags.out)
}

async function delegate(file: string, flags: TokenFlags): Promise<void> {
  const { subject, scope, channelHash: hash, ttlSeconds } = readRequest(flags)
  const chain = await readChain(file)
  const { signer, record } = await openKey(flags)
  const child = await delegateToken(chain.at(-1) as SignedToken, signer, {
    subject,
    restrict: scope,
    ...(flags.anyChannel === true ? {} : { narrowTo: hash }),
    generation: record.generation,
    maxTtlSeconds: ttlSeconds,
    now: seconds(),
    // What floors others know cannot be asked here; they will ask.
    floorOf: () => 0,
  })
  await output(`${toHex(encodeChain([...chain.map(encodeToken), child]))}\n`, flags.out)
}

async function inspect(file: string): Promise<void> {
  const now = seconds()
  const links = await Promise.all(
    (await readChain(file)).map(async (signed) => {
      const { token } = signed
      const rights = Object.entries({ ...SCOPES, wildcard: SCOPE.WILDCARD }).filter(([, bit]) => (token.scope & bit) !== 0)
      return {
        issuer: toHex(token.issuer),
        subject: toHex(token.subject),
        scope: rights.map(([name]) => name),
        channel_hash: token.channelHash.toString(16).padStart(16, "0"),
        generation: token.generation,
        not_before: Number(token.notBefore),
        not_after: Number(token.notAfter),
        delegation_depth: token.delegationDepth,
        signed: await isTokenSigned(signed),
        expired: isExpired(token, now),
      }
    }),
  )
  await output(`${JSON.stringify(links, undefined, 2)}\n`, undefined)
}

async function certify(flags: KeyFlags & { member?: string; kind: string; ttlSecs: string; out?: string }): Promise<void> {
  const kind = flags.kind.trim()
  if (kind !== "subnet" && kind !== "group") throw new CliError("bad-kind", "--kind is subnet or group")
  if (flags.member === undefined) throw new CliError("missing-member", "--member names the key of the member")
  const member = hexOf(flags.member, 32, "member")
  const ttl = BigInt(wholeNumber(flags.ttlSecs, 1, MAX_TOKEN_TTL_SECONDS, "--ttl-secs"))
  const { signer } = await openKey(flags)
  const notBefore = seconds()
  const cert = await issueMembershipCert(signer, { kind, member, notBefore, notAfter: notBefore + ttl })
  process.stderr.write(`${kind}:${toHex(certifiedId(kind, signer.entityId))}\n`)
  await output(`${toHex(cert)}\n`, flags.out)
}

function readRequest({ subject, scope = [], channel, anyChannel = false, ttlSecs }: TokenFlags) {
  if (subject === undefined) throw new CliError("missing-subject", "--subject names the key of who gets the right")
  if ((channel === undefined) === !anyChannel) throw new CliError("missing-channel", "either --channel or --any-channel")
  let bits: number = anyChannel ? SCOPE.WILDCARD : 0
  for (const name of scope.flatMap((text) => text.split(",")).map((text) => text.trim())) {
    if (!Object.hasOwn(SCOPES, name)) throw new CliError("bad-scope", `${name} is no right: ${Object.keys(SCOPES).join(", ")}`)
    bits |= SCOPES[name] as number
  }
  if ((bits & ~SCOPE.WILDCARD) === 0) throw new CliError("missing-scope", "--scope names at least one right")
  return {
    subject: hexOf(subject, 32, "subject"),
    scope: bits,
    channelHash: channel === undefined ? 0n : channelHash(canonicalChannelName(channel.trim())),
    ttlSeconds: wholeNumber(ttlSecs, 1, MAX_TOKEN_TTL_SECONDS, "--ttl-secs"),
  }
}

async function readChain(path: string): Promise<SignedToken[]> {
  const bytes = await inputBytes(path, "chain")
  return decodeChain(bytes.length === TOKEN_LENGTH ? new Uint8Array([1, ...bytes]) : bytes)
}

function seconds(): bigint {
  return BigInt(Math.floor(Date.now() / 1000))
}
