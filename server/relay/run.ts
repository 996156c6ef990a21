/** One relay from joining to leaving. */
import { type Logger, pino } from "pino"
import { type NodeJoinOptions, nodeWebRtc, type Room } from "../../src/node/index.ts"
import { AvError } from "../../src/wire/errors.ts"
import { interruptible, joinOptions, type StayFlags, stay, untilAborted } from "../peer/stay.ts"
import { openPortMapping, type PortMapping } from "../ports/port-mapping.ts"
import { type Figures, figuresOf, Meter, sentence } from "./figures.ts"
import { type Place, placeText } from "./place.ts"

export interface RelaySettings extends StayFlags {
  /** Mbit/s. */
  uplinkLimit?: number
  maxSubscribers?: number
  udpPort?: number
  portMapping?: boolean
  /** Where everybody reaches `udpPort`, by the operator's word. */
  reachableAt?: Place
  json: boolean
  logLevel: string
}

const BITS_PER_MEGABIT = 1_000_000
const LOOK_EVERY_MS = 1_000
/** A log that nobody watches gets figures this often, ms. */
const LOG_EVERY_MS = 10_000
/** A gateway that has not answered by then may do so later, ms. */
const MAPPING_MS = 4_000

/** Resolves with the exit status when the relay was stopped or the room ended. */
export async function runRelay(settings: RelaySettings): Promise<number> {
  const logger = pino({ level: settings.json ? settings.logLevel : "silent" })
  return interruptible((stopped) => relay(settings, logger, stopped))
}

async function relay(settings: RelaySettings, logger: Logger, stopped: AbortSignal): Promise<number> {
  const { url, bind, udpPort, uplinkLimit, maxSubscribers, reachableAt } = settings
  if (reachableAt !== undefined) logger.info({ address: placeText(reachableAt) }, "reachable by word")
  const mapping = await mapPort(settings, logger)
  const screen = settings.json ? undefined : new StatusLine()
  try {
    const webrtc = await nodeWebRtc({
      ...(bind === undefined ? {} : { bindAddress: bind }),
      ...(udpPort === undefined ? {} : { udpPort }),
      external: () => mapping?.state.external ?? reachableAt,
    })
    const options: NodeJoinOptions = {
      ...(await joinOptions(settings)),
      ...(uplinkLimit === undefined ? {} : { uplinkBitrate: uplinkLimit * BITS_PER_MEGABIT }),
      ...(reachableAt === undefined ? {} : { reachableAt }),
      relay: { enabled: true, ...(maxSubscribers === undefined ? {} : { maxSubscribers }) },
      // Its machine is there for streams.
      memory: false,
    }
    const joined = await stay({ url, options, webrtc, stopped }, async (room) => {
      watch(room, logger, screen)
      room.on("left", show(room, logger, screen))
      await untilAborted(stopped)
      return true
    })
    if (joined) {
      screen?.end("Left the room.")
      logger.info("left")
    }
    return 0
  } finally {
    await mapping?.close()
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
