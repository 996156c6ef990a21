/** `holomesh cap query` in a room. */
import type { Participant, PeerCapabilities, Room } from "../../src/node/index.ts"
import { toHex } from "../../src/wire/bytes.ts"
import { isServiceName } from "../../src/wire/service-name.ts"
import { EXIT } from "../cli/failure.ts"
import { output, warn } from "../cli/io.ts"
import type { RoomQueryFlags } from "../cli/query.ts"
import { matches, type Query } from "../cli/query-match.ts"
import { printable } from "./flags.ts"
import { INTERRUPTED, interruptible, stayAs, waitFor } from "./stay.ts"

/** Nobody else came or said something for so long, ms. */
const SETTLED_MS = 1_000

interface Match {
  participant: Participant
  said: PeerCapabilities
  /** Services that it lets this peer call. */
  callable: string[]
}

/** The exit status. */
export function queryRoom(flags: RoomQueryFlags & { url: string }, query: Query): Promise<number> {
  return interruptible(async (stopped) => {
    const found = await stayAs(flags, stopped, async (room) => {
      await everybodySaid(room, flags.wait * 1_000, stopped)
      return stopped.aborted ? undefined : matchesIn(room, query, flags.callable === true)
    })
    if (found === undefined) return INTERRUPTED
    if (found.silent > 0) warn(`${found.silent} of ${found.members} members have not said yet what they offer: --wait longer`)
    for (const match of found.matches) await output(`${flags.json ? jsonOf(match) : lineOf(match)}\n`, undefined)
    return found.matches.length > 0 ? 0 : EXIT.nothing
  })
}

/** Resolves when all members have announced and nothing changes any more, or when the time is over. */
async function everybodySaid(room: Room, ms: number, stopped: AbortSignal): Promise<void> {
  let changedAt = performance.now()
  const changed = () => {
    changedAt = performance.now()
  }
  const ends = [room.capabilities.onChange(changed), room.on("participantJoined", changed)]
  const complete = () => {
    const { participants, capabilities } = room
    if (participants.size === 0 || performance.now() - changedAt < SETTLED_MS) return undefined
    return [...participants.values()].every((one) => capabilities.of(one) !== undefined) || undefined
  }
  await waitFor(complete, ms, stopped)
  for (const end of ends) end()
}

function matchesIn(room: Room, query: Query, onlyCallable: boolean) {
  const { capabilities, participants } = room
  const matching: Match[] = []
  let silent = 0
  for (const participant of participants.values()) {
    const said = capabilities.of(participant)
    if (said === undefined) silent++
    else if (matches(query, said.tags, said.metadata)) {
      const callable = said.services.filter((service) => isServiceName(service) && capabilities.mayCall(participant, service))
      if (!onlyCallable || query.services.every((service) => callable.includes(service))) {
        matching.push({ participant, said, callable })
      }
    }
  }
  return { matches: matching, silent, members: participants.size }
}

function jsonOf({ participant, said, callable }: Match): string {
  const { id, name } = participant
  const { node, entity, tags, services, metadata, expiresAt } = said
  return JSON.stringify({
    id,
    name,
    node,
    entity: toHex(entity),
    tags,
    services,
    callable,
    metadata: Object.fromEntries(metadata),
    expires_at: expiresAt,
  })
}

/** Name, node and tags; the names are what people call themselves. */
function lineOf({ participant, said }: Match): string {
  return [printable(participant.name), said.node, said.tags.join(" ")].join("\t")
}
