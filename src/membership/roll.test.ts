import { expect, test } from "vitest"
import type { ParticipantState } from "../wire/participant-state.ts"
import type { RoomCore } from "./core.ts"
import type { Leaves } from "./leaves.ts"
import type { Presence } from "./presence.ts"
import { Roll } from "./roll.ts"
import type { StateBook } from "./state-book.ts"
import type { RoomNotice } from "./types.ts"

test("somebody whose goodbye was none is back with the state that was known", () => {
  const told: RoomNotice[] = []
  const goodbye = new Set<string>()
  const state: ParticipantState = { version: 7n, name: "Bob", tracks: [], links: [], relay: false }
  const core = { emit: (notice: RoomNotice) => told.push(notice), sessions: { ofKey: () => ({}) } } as unknown as RoomCore
  const presence = { saidGoodbye: (keyId: string) => goodbye.has(keyId) } as unknown as Presence
  const leaves = { nodeOf: () => undefined } as unknown as Leaves
  const states = { get: (keyId: string) => (keyId === "bob" ? { state } : undefined) } as unknown as StateBook
  const roll = new Roll(core, presence, leaves, states)
  roll.show("bob")
  goodbye.add("bob")
  roll.lost("bob", true)
  expect(told.at(-1)).toEqual({ type: "memberLeft", keyId: "bob", reason: "left" })
  expect(roll.show("bob")).toBe(false)
  goodbye.delete("bob")
  told.length = 0
  expect(roll.show("bob")).toBe(true)
  expect(told).toEqual([
    { type: "memberJoined", keyId: "bob", nodeId: undefined },
    { type: "connection", keyId: "bob", connection: "connected" },
    { type: "state", keyId: "bob", state },
  ])
})
