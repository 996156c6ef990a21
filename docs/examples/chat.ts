/** Text to the room, bytes for the application, and an attempt that can be given up. */
import { createInvitation, joinRoom, type Room } from "holomesh"

export function newRoomLink(): string {
  return createInvitation("wss://meet.example", "team-standup").url
}

/** Ends after ten seconds; the same signal ends the call when it fires later. */
export function joinQuickly(link: string, stop: AbortController): Promise<Room> {
  const timer = setTimeout(() => stop.abort(), 10_000)
  return joinRoom(link, { signal: stop.signal }).finally(() => clearTimeout(timer))
}

export async function greet(room: Room, write: (line: string) => void): Promise<void> {
  room.on("message", ({ from, text }) => write(`${from.name}: ${text}`))
  room.on("data", ({ topic, bytes }) => {
    if (topic === "reaction") write(new TextDecoder().decode(bytes))
  })
  await room.sendMessage("hello")
  await room.sendData("reaction", new TextEncoder().encode("wave"))
}
