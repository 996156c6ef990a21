/** One line of the list of people: name, what is known about them, and what a host can do. */
import type { Participant, Room } from "holomesh"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"

export interface PersonActions {
  mute(who: Participant): void
  remove(who: Participant): void
  /** Gives or takes the right to give orders. */
  setHost(who: Participant, on: boolean): void
  /** Gives or takes the right to be seen and heard, where the room asks for it. */
  setPublish(who: Participant, on: boolean): void
}

export interface PersonRow {
  element: HTMLElement
  update(): void
}

export function personRow(room: Room, who: Participant, actions: PersonActions): PersonRow {
  const name = h("b", { dir: "auto" })
  const facts = h("span", { class: "person-facts" })
  const button = (label: string, run: () => void, danger = false) => {
    return h("button", { class: danger ? "button small danger-text" : "button small", type: "button", onclick: run }, label)
  }
  const mute = button("Mute", () => actions.mute(who))
  const publish = button("Let speak", () => actions.setPublish(who, !rights().includes("publish")))
  const host = button("Make host", () => actions.setHost(who, !rights().includes("host")))
  const remove = button("Remove", () => actions.remove(who), true)
  const tools = h("div", { class: "person-tools" }, mute, publish, host, remove)
  const element = h("li", { class: "person" }, h("div", { class: "person-name" }, name, facts), tools)
  const rights = () => room.host.rightsOf(who)

  return {
    element,
    update() {
      const shown = who.name || "Guest"
      setText(name, who.isLocal ? `${shown} (you)` : shown)
      const sound = soundOf(room, who)
      const words = [
        rights().includes("host") ? "host" : "",
        sound === "on" ? "" : sound === "off" ? "microphone off" : "no microphone",
        who.isLocal ? "" : connectionInWords(who),
      ]
      setText(facts, words.filter((word) => word !== "").join(" · "))
      facts.dataset.sound = sound
      tools.hidden = who.isLocal || !room.isHost
      const { isRoot, settings } = room.host
      mute.disabled = sound !== "on"
      publish.hidden = !isRoot || settings.publish !== "token"
      host.hidden = !isRoot
      setText(publish, rights().includes("publish") ? "Let only watch" : "Let speak")
      setText(host, rights().includes("host") ? "Take host rights" : "Make host")
      for (const tool of [mute, publish, host, remove]) {
        const label = `${tool.textContent}: ${shown}`
        if (tool.getAttribute("aria-label") !== label) tool.setAttribute("aria-label", label)
      }
    },
  }
}

/** Somebody who asks to come in. */
export function knockerRow(name: string, decide: (admit: boolean) => void): HTMLElement {
  const shown = name || "Somebody without a name"
  const button = (label: string, admit: boolean) => {
    const style = admit ? "button small primary" : "button small"
    const attributes = { class: style, type: "button", "aria-label": `${label}: ${shown}`, onclick: () => decide(admit) }
    return h("button", attributes, label)
  }
  const who = h("div", { class: "person-name" }, icon("door"), h("b", { dir: "auto" }, shown))
  return h("li", { class: "person" }, who, h("div", { class: "person-tools" }, button("Let in", true), button("Not now", false)))
}

type Sound = "on" | "off" | "none"

function soundOf(room: Room, who: Participant): Sound {
  const tracks = who.isLocal ? room.publications : who.subscriptions
  const sounds = tracks.filter(({ kind }) => kind === "audio")
  if (sounds.length === 0) return "none"
  return sounds.some(({ muted }) => !muted) ? "on" : "off"
}

function connectionInWords({ connection }: Participant): string {
  if (connection === "connecting" || connection === "reconnecting") return "connecting …"
  if (connection === "lost") return "not heard for a while"
  return ""
}

function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text
}
