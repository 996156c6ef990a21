/** The two kinds of peers of the contract: a room in this process, and a room in a page. */
import type { Page } from "@playwright/test"
import type { Room } from "../../src/room/types.ts"
import type { ContractPeer } from "./scenarios.ts"

export function peerHere(name: string, room: Room): ContractPeer {
  return { name, act: async (action, parameters) => action(room, parameters) }
}

/** @param page in a room, which it shows as `globalThis.holomesh.room` */
export function peerInPage(name: string, page: Page): ContractPeer {
  return {
    name,
    // As text: an expression of the debugger is no script of the page, which its policy would forbid.
    act: (action, parameters) =>
      page.evaluate(`(${action})(globalThis.holomesh.room, ${JSON.stringify(parameters) ?? "undefined"})`),
  }
}
