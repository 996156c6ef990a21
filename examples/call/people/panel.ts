/** Who is here and who waits at the door; for a host also how the room is run. Everything is done by `room.host`. */
import { describeError, type HostSettings, type Participant, type Room } from "holomesh"
import { confirm } from "../call/menus.ts"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"
import type { Scope } from "../scope.ts"
import { knockerRow, type PersonRow, personRow } from "./person-row.ts"

export interface PeoplePanel {
  element: HTMLElement
  show(open: boolean): void
}

export interface PeopleOptions {
  room: Room
  scope: Scope
  close: () => void
  say: (words: string, kind?: "news" | "problem") => void
}

const DOOR: Readonly<Record<HostSettings["admission"], string>> = {
  invited: "Everybody with the link",
  knock: "Whoever a host lets in",
  locked: "Nobody: the room is locked",
}

export function createPeoplePanel({ room, scope, close, say }: PeopleOptions): PeoplePanel {
  const attempt = (work: Promise<unknown>) => {
    work.catch((error: unknown) => say(describeError(error), "problem"))
  }
  const nameOf = (who: Participant) => who.name || "Guest"
  const actions = {
    mute(who: Participant) {
      attempt(room.host.mute(who).then(() => say(`${nameOf(who)} was asked to be silent`)))
    },
    remove(who: Participant) {
      const words = `${nameOf(who)} leaves the call and cannot come back. The link to this room changes: others need the new one.`
      confirm(`Remove ${nameOf(who)}?`, words, "Remove", () => attempt(room.host.remove(who)))
    },
    setHost(who: Participant, on: boolean) {
      attempt(on ? room.host.grant(who, "host") : room.host.revoke(who, "host"))
    },
    setPublish(who: Participant, on: boolean) {
      attempt(on ? room.host.grant(who, "publish") : room.host.revoke(who, "publish"))
    },
  }

  const door = h("ul", { class: "people-list", "aria-label": "At the door" })
  const doorPart = h("section", { class: "panel-part" }, h("h3", {}, "At the door"), door)
  const list = h("ul", { class: "people-list", "aria-label": "In the room" })
  const rows = new Map<string, PersonRow>()

  const admission = h("select", { class: "field" })
  for (const [value, words] of Object.entries(DOOR)) admission.append(h("option", { value }, words))
  admission.addEventListener("change", () => {
    attempt(room.host.set({ admission: admission.value as HostSettings["admission"] }))
  })
  const chosen = h("input", { type: "checkbox", class: "check" })
  chosen.addEventListener("change", () => attempt(setChosen(room, chosen.checked)))
  const chosenRow = h(
    "label",
    { class: "check-row" },
    chosen,
    h("span", {}, "Only people you choose are seen and heard", h("small", {}, "Whoever is on now stays on.")),
  )
  const muteAll = h("button", { class: "button", type: "button" }, icon("microphoneOff"), "Mute everybody")
  muteAll.addEventListener("click", () => {
    const told = (count: number) => say(count === 0 ? "Nobody else is on" : `${count} asked to be silent`)
    attempt(room.host.muteAll().then(told))
  })
  const tools = h(
    "section",
    { class: "panel-part host-tools", "aria-label": "Room settings" },
    h("h3", {}, "Room"),
    h("label", {}, "Who can come in", admission),
    chosenRow,
    muteAll,
  )
  const closeButton = h(
    "button",
    { class: "button quiet icon-only", type: "button", "aria-label": "Close people", onclick: close },
    icon("close"),
  )
  const head = h("header", { class: "panel-head" }, h("h2", {}, "People"), closeButton)
  const body = h("div", { class: "panel-scroll" }, doorPart, h("section", { class: "panel-part" }, list), tools)
  const element = h("aside", { class: "panel people", "aria-label": "People", hidden: true }, head, body)

  const update = () => {
    if (element.hidden || scope.closed) return
    const { waiting, settings, isRoot } = room.host
    tools.hidden = !room.isHost
    doorPart.hidden = !room.isHost || waiting.length === 0
    if (admission.value !== settings.admission) admission.value = settings.admission
    chosen.checked = settings.publish === "token"
    chosenRow.hidden = !isRoot
    updateDoor()
    const here = [room.local, ...room.participants.values()]
    for (const [id, row] of rows) {
      if (here.some((who) => who.id === id)) continue
      row.element.remove()
      rows.delete(id)
    }
    for (const who of here) {
      const row = rows.get(who.id) ?? personRow(room, who, actions)
      if (!rows.has(who.id)) list.append(row.element)
      rows.set(who.id, row)
      row.update()
    }
  }

  /** The rows are kept while the same people wait, so that nobody's focus is lost. */
  const updateDoor = () => {
    const ids = room.host.waiting.map(({ id }) => id).join(" ")
    if (door.dataset.ids === ids) return
    door.dataset.ids = ids
    const decide = (id: string, admit: boolean) => attempt(admit ? room.host.admit(id) : room.host.decline(id))
    door.replaceChildren(...room.host.waiting.map(({ id, name }) => knockerRow(name, (admit) => decide(id, admit))))
  }

  for (const event of ["waiting", "settings", "rights", "participantJoined", "participantLeft", "participantUpdated"] as const) {
    scope.add(room.on(event, update))
  }
  for (const event of ["track", "trackEnded", "muted", "connection"] as const) scope.add(room.on(event, update))
  // Own microphone and rights that end by time have no event of their own.
  scope.every(1_000, update)
  return {
    element,
    show(open) {
      element.hidden = !open
      update()
      if (open) closeButton.focus({ preventScroll: true })
    },
  }
}

/** Whoever is seen or heard when the rule begins keeps the right; the host has it by itself. */
async function setChosen(room: Room, on: boolean): Promise<void> {
  if (on) {
    for (const who of room.participants.values()) {
      if (who.subscriptions.length > 0 && !room.host.rightsOf(who).includes("publish")) await room.host.grant(who, "publish")
    }
  }
  await room.host.set({ publish: on ? "token" : "all" })
}
