/** In place of the tiles for a page that is here to hand streams on: what it does, in large figures. */
import { describeError, type Room } from "holomesh"
import { h } from "../dom.ts"
import { mark } from "../icons.ts"
import type { NetworkExchange } from "../network/exchange.ts"
import { relayCounts } from "../network/relay-counts.ts"
import type { UplinkChoice } from "../network/uplink.ts"
import type { Scope } from "../scope.ts"

const EVERY_MS = 1_000

export function createRelayBoard(room: Room, scope: Scope, exchange: NetworkExchange, uplink: UplinkChoice): HTMLElement {
  const facts = h("dl", { class: "facts relay-facts" })
  const problem = h("p", { class: "form-problem", role: "alert", hidden: true })
  showNothing(room, scope)
  let asking = false
  const read = async () => {
    if (asking) return
    asking = true
    try {
      const { stats, reports } = await exchange.read()
      const own = reports.get(room.local.id)?.report
      if (own === undefined) return
      const rows = relayCounts(stats, own)
      facts.replaceChildren(...rows.map(([title, value]) => h("div", {}, h("dt", {}, title), h("dd", {}, value))))
      problem.hidden = true
    } catch (error) {
      problem.textContent = describeError(error)
      problem.hidden = room.state === "left"
    } finally {
      asking = false
    }
  }
  scope.every(EVERY_MS, () => void read())
  void read()
  return h(
    "section",
    { class: "stage relay-board", "aria-label": "Relay" },
    h(
      "div",
      { class: "relay-card" },
      mark(),
      h("h2", {}, "This browser hands streams on"),
      h(
        "p",
        {},
        "It opens no camera and no microphone and shows nothing. Leave the page open: others may take pictures and sound through it.",
      ),
      facts,
      problem,
      h("label", { class: "network-row" }, "Own uplink", uplink.select()),
    ),
  )
}

/** Pictures are not asked for at all; sound comes as to everybody, and is not played. */
function showNothing(room: Room, scope: Scope): void {
  const hide = () => {
    for (const participant of room.participants.values()) {
      participant.setVolume(0)
      for (const subscription of participant.subscriptions) subscription.setDisplaySize("hidden")
    }
  }
  hide()
  for (const event of ["track", "participantJoined"] as const) scope.add(room.on(event, hide))
}
