/** What tests ask of a page that is in a call, through `globalThis.holomesh.room`. */
import { randomBytes } from "node:crypto"
import type { Page } from "@playwright/test"
import type { Room, RoomStats } from "../src/room/types.ts"
import type { ParentWish } from "../src/room/upstream.ts"
import { eventually } from "./observe.ts"

declare global {
  var holomesh: { room?: Room }
}

/** A room with a fresh invitation; the returned function gives the path for one person. */
export function callPath(room: string, page = "/", secret = newSecret()): (name: string, extra?: string) => string {
  return (name, extra = "") => `${page}?room=${room}&name=${name}&autojoin=1${extra}#k=${secret}`
}

/** 32 random bytes as an invitation writes them. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url")
}

/** Waits until the page is in the room. */
export async function inRoom(page: Page, timeoutMs = 30_000): Promise<void> {
  await page.waitForFunction(() => globalThis.holomesh?.room?.state === "connected", undefined, { timeout: timeoutMs })
}

/** `room.stats()` of the page. Epochs are small in tests and come as numbers. */
export async function readStats(
  page: Page,
): Promise<Omit<RoomStats, "room"> & { room: Omit<RoomStats["room"], "epoch"> & { epoch: number } }> {
  return page.evaluate(async () => {
    const room = globalThis.holomesh.room
    if (room === undefined) throw new Error("not in a room")
    const stats = await room.stats()
    return { ...stats, room: { ...stats.room, epoch: Number(stats.room.epoch) } }
  })
}

export async function waitForMembers(page: Page, members: number, timeoutMs = 30_000): Promise<void> {
  await inRoom(page, timeoutMs)
  await eventually(
    `${members} members`,
    async () => (await readStats(page)).room.members,
    (seen) => seen === members,
    timeoutMs,
  )
}

export async function sendChat(page: Page, text: string): Promise<void> {
  await page.evaluate(async (value) => {
    await globalThis.holomesh.room?.sendMessage(value)
  }, text)
}

export async function leaveRoom(page: Page): Promise<void> {
  await page.evaluate(async () => {
    await globalThis.holomesh.room?.leave()
  })
}

/** Every stream of `publisher` is taken from `parent` and nobody else. Both are participant ids. */
export async function onlyFrom(page: Page, publisher: string, parent: string): Promise<void> {
  await page.evaluate(
    ([of, from]) => {
      // What plans the tree sets parents from inside; no application does.
      const inside = globalThis.holomesh.room?.participants.get(of!) as unknown as {
        tracks: Map<string, { setParents(parents: ParentWish[]): void }>
      }
      for (const track of inside.tracks.values()) track.setParents([{ peer: from! }])
    },
    [publisher, parent],
  )
}
