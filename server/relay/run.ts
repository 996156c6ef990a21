/** One relay from joining to leaving. */
import { type Logger, pino } from "pino"
import { joinRoom, type NodeJoinOptions, nodeWebRtc, type Room } from "../../src/node/index.ts"
import { AvError } from "../../src/wire/errors.ts"
import { loadMember } from "../identity-file.ts"
import { openPortMapping, type PortMapping } from "../ports/port-mapping.ts"
import { type Figures, figuresOf, Meter, sentence } from "./figures.ts"

export interface RelaySettings {
  url: string
  name: string
  open?: boolean
  /** Mbit/s. */
  uplinkLimit?: number
  maxSubscribers?: number
  bind?: string
  udpPort?: number
  portMapping?: boolean
  identity?: string
  insecurePermissions?: boolean
  json: boolean
  logLevel: string
}

const BITS_PER_MEGABIT = 1_000_000
const LOOK_EVERY_MS = 1_000
/** A log that nobody watches gets figures this often, ms. */
const LOG_EVERY_MS = 10_000
const FORCED = 130
/** A gateway that has not answered by then may do so later, ms. */
const MAPPING_MS = 4_000

/** Resolves with the exit status when the relay was stopped or the room ended. */
export async function runRelay(settings: RelaySettings): Promise<number> {
  const logger = pino({ level: settings.json ? settings.logLevel : "silent" })
  const interrupted = new AbortController()
  const stop = () => {
    // Whoever asks twice does not want to wait for a clean leave.
    if (interrupted.signal.aborted) process.exit(FORCED)
    interrupted.abort()
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  try {
    return await relay(settings, logger, interrupted.signal)
  } finally {
    process.off("SIGINT", stop)
    process.off("SIGTERM", stop)
  }
}

async function relay(settings: RelaySettings, logger: Logger, stopped: AbortSignal): Promise<number> {
  const { bind, udpPort } = settings
  const mapping = await mapPort(settings, logger)
  const webrtc = await nodeWebRtc({
    ...(bind === undefined ? {} : { bindAddress: bind }),
    ...(udpPort === undefined ? {} : { udpPort }),
    external: () => mapping?.state.external,
  })
  // Only joining is cut short: a room that was joined is left in order.
  const joining = new AbortController()
  const cut = () => joining.abort()
  stopped.addEventListener("abort", cut)
  let room: Room
  try {
    room = await joinRoom(settings.url, { ...(await joinOptions(settings)), webrtc, signal: joining.signal })
  } catch (error) {
    await mapping?.close()
    if (stopped.aborted) return 0
    throw error
  } finally {
    stopped.removeEventListener("abort", cut)
  }
  const screen = settings.json ? undefined : new StatusLine()
  watch(room, logger, screen)
  const shown = show(room, logger, screen)
  try {
    const ended = await endOf(room, stopped)
    if (ended === undefined) return 0
    throw ended
  } finally {
    shown()
    await room.leave()
    await mapping?.close()
    // Otherwise the process would end while the library still closes connections.
    await webrtc.idle()
    screen?.end("Left the room.")
    logger.info("left")
  }
}

async function joinOptions(settings: RelaySettings): Promise<NodeJoinOptions> {
  const { name, open, uplinkLimit, maxSubscribers, identity, insecurePermissions = false } = settings
  const bitrate = uplinkLimit === undefined ? undefined : uplinkLimit * BITS_PER_MEGABIT
  return {
    name,
    ...(open === undefined ? {} : { open }),
    ...(bitrate === undefined ? {} : { uplinkBitrate: bitrate }),
    relay: { enabled: true, ...(maxSubscribers === undefined ? {} : { maxSubscribers }) },
    ...(identity === undefined ? {} : { identity: await loadMember(identity, { insecurePermissions }) }),
  }
}

/** The first links are made when it is known whether there is a mapping; the relay works with and without. */
async function mapPort({ bind, udpPort, portMapping }: RelaySettings, logger: Logger): Promise<PortMapping | undefined> {
  if (!portMapping) return undefined
  if (udpPort === undefined) throw new AvError("UsageError", {}, { message: "--port-mapping needs --udp-port." })
  return new Promise((resolve, reject) => {
    const known = () => opened.then(resolve, reject)
    const opened = openPortMapping({
      internalPort: udpPort,
      protocol: "udp",
      ...(bind === undefined ? {} : { internalHost: bind }),
      onChange({ external }) {
        logger.info({ external: external && `${external.host}:${external.port}` }, "port mapping")
        known()
      },
      onUnavailable(error) {
        logger.warn({ why: error.details.why }, "no port mapping")
        queueMicrotask(known)
      },
    })
    opened.catch(reject)
    setTimeout(known, MAPPING_MS).unref()
  })
}

/** Undefined after a signal, otherwise why the room ended. */
function endOf(room: Room, stopped: AbortSignal): Promise<AvError | undefined> {
  return new Promise((resolve) => {
    if (stopped.aborted) resolve(undefined)
    stopped.addEventListener("abort", () => resolve(undefined), { once: true })
    room.on("left", ({ reason, error }) => resolve(reason === "left" ? undefined : (error ?? new AvError("RoomClosed"))))
  })
}

/** What happens in the room. Names of people stay out of it: a log is kept longer than a call. */
function watch(room: Room, logger: Logger, screen: StatusLine | undefined): void {
  logger.info({ room: room.name, id: room.local.id, members: room.participants.size + 1 }, "joined")
  screen?.say(`Joined ${room.name} as ${room.local.name}. Stop with Ctrl+C.`)
  room.on("participantJoined", ({ participant }) => logger.info({ id: participant.id }, "member joined"))
  room.on("participantLeft", ({ participant, reason }) => logger.info({ id: participant.id, reason }, "member left"))
  room.on("server", ({ connected, reason }) => logger.info({ connected, reason }, connected ? "server found" : "server lost"))
  room.on("state", ({ state, detail }) => logger.info({ state, detail }, "state"))
  room.on("warning", ({ error, message }) => {
    logger.warn({ code: error.code }, message)
    screen?.say(message)
  })
}

/** Figures until the returned function is called. */
function show(room: Room, logger: Logger, screen: StatusLine | undefined): () => void {
  const meter = new Meter()
  let loggedAt = performance.now()
  const timer = setInterval(async () => {
    let figures: Figures
    try {
      figures = figuresOf(await room.stats(), meter, performance.now())
    } catch {
      // The room ends; the event tells it.
      return
    }
    screen?.show(sentence(room.name, figures))
    if (performance.now() - loggedAt < LOG_EVERY_MS) return
    loggedAt = performance.now()
    logger.info(figures, "figures")
  }, LOOK_EVERY_MS)
  return () => clearInterval(timer)
}

/** On a terminal one line that changes; elsewhere a line whenever it has changed. */
class StatusLine {
  readonly #terminal = process.stdout.isTTY === true
  #last = ""

  show(line: string): void {
    if (line === this.#last) return
    this.#last = line
    process.stdout.write(this.#terminal ? `\r\u001b[2K${line}` : `${line}\n`)
  }

  say(line: string): void {
    process.stdout.write(this.#terminal ? `\r\u001b[2K${line}\n` : `${line}\n`)
    this.#last = ""
  }

  end(line: string): void {
    this.say(line)
  }
}
