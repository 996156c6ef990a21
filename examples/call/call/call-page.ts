/** The call itself: stage, control bar, panels, and the words about how the connection is. */
import { describeError, type Room } from "holomesh"
import { inviteLink, type PageAddress } from "../address.ts"
import { h } from "../dom.ts"
import { icon, mark } from "../icons.ts"
import { Scope } from "../scope.ts"
import { createAnnouncer } from "./announcer.ts"
import { createChat } from "./chat.ts"
import { type Actions, createControls } from "./controls.ts"
import { LocalMedia } from "./local-media.ts"
import { listenToKeys } from "./shortcuts.ts"
import { Stage } from "./stage.ts"

export interface CallPage {
  element: HTMLElement
  close(): void
}

export interface CallOptions {
  room: Room
  address: PageAddress
  /** Camera and microphone as chosen before; the call page stops its tracks when it closes. */
  stream: Promise<MediaStream>
}

export function createCallPage({ room, address, stream }: CallOptions): CallPage {
  const scope = new Scope()
  const announcer = createAnnouncer()
  const status = h("p", { class: "call-status", role: "status", "aria-live": "polite" })
  const media = new LocalMedia({
    room,
    scope,
    onChange: () => update(),
    onProblem: (error) => announcer.say(describeError(error), "problem"),
  })
  const unlock = h(
    "button",
    { class: "button primary unlock", type: "button", hidden: true, onclick: () => startSound() },
    icon("speaker"),
    "Turn sound on",
  )
  const stage = new Stage({
    room,
    scope,
    onBlocked: () => {
      unlock.hidden = false
    },
  })
  let panel: "chat" | "statistics" | undefined
  let unread = 0
  let server = true
  const chat = createChat(room, scope, {
    close: () => open(undefined),
    unread: (count, from) => {
      unread = count
      if (count > 0) announcer.say(`New message from ${from}`)
      update()
    },
  })

  const open = (next: typeof panel) => {
    panel = next
    chat.show(panel === "chat")
    update()
  }
  const toggle = (which: NonNullable<typeof panel>) => open(panel === which ? undefined : which)

  const actions: Actions = {
    microphone: () => void media.toggle("microphone"),
    camera: () => void media.toggle("camera"),
    share: () => void (media.sharing ? media.stopSharing() : media.share()),
    leave: () => void room.leave(),
    chat: () => toggle("chat"),
    invite: () => void copyInvite(),
    statistics: () => toggle("statistics"),
    more: () => {},
    help: () => {},
  }
  const controls = createControls(actions, typeof navigator.mediaDevices?.getDisplayMedia === "function")

  const copyInvite = async () => {
    try {
      await navigator.clipboard.writeText(inviteLink(address))
      announcer.say("Invitation copied. Send it to the people you want here.")
    } catch {
      announcer.say("The browser did not allow copying. Copy the address of this page instead.", "problem")
    }
  }

  const startSound = async () => {
    unlock.hidden = true
    await room.startAudio().catch(() => undefined)
    stage.playAll()
  }

  const update = () => {
    if (scope.closed) return
    const camera = media.track("camera")
    if (camera !== undefined) stage.self.attach(camera)
    stage.updateSelf({
      name: room.local.name,
      pictureOn: media.isOn("camera"),
      soundOn: media.isOn("microphone"),
      speaking: room.local.speaking && media.isOn("microphone"),
      connection: "",
    })
    controls.update({ microphone: media.isOn("microphone"), camera: media.isOn("camera"), sharing: media.sharing, panel, unread })
    const words = stateInWords(room, server)
    if (status.textContent !== words) status.textContent = words
  }

  scope.add(room.on("state", update))
  scope.add(room.on("epoch", update))
  scope.add(room.on("speaking", ({ participant }) => participant.isLocal && update()))
  scope.add(room.on("participantUpdated", update))
  scope.add(
    room.on("server", ({ connected }) => {
      server = connected
      update()
    }),
  )
  scope.add(
    room.on("participantJoined", ({ participant }) => {
      // The name follows in a moment, with the participant's first state.
      setTimeout(() => participant.name !== "" && !scope.closed && announcer.say(`${participant.name} joined`), 800)
      update()
    }),
  )
  scope.add(
    room.on("participantLeft", ({ participant, reason }) => {
      announcer.say(`${participant.name || "Guest"} ${reason === "removed" ? "was removed" : "left"}`)
      update()
    }),
  )
  scope.add(
    room.on("audioBlocked", () => {
      unlock.hidden = false
    }),
  )
  scope.add(room.on("warning", ({ message }) => announcer.say(message, "problem")))
  listenToKeys(scope, actions, () => open(undefined))

  const title = h("h1", {}, room.name)
  const secrecy = room.open
    ? h("p", { class: "open-room" }, icon("unlocked"), "Open room: whoever knows the name can come in, the server included")
    : h("p", { class: "sealed" }, icon("lock"), "Encrypted end to end")
  const head = h("header", { class: "call-head" }, mark(), h("div", { class: "call-title" }, title, status), secrecy)
  const body = h("div", { class: "call-body" }, stage.element, chat.element)
  const element = h("main", { class: "call" }, head, body, announcer.element, unlock, controls.element)
  update()
  void stream.then((opened) => media.publish(opened))
  return { element, close: () => scope.close() }
}

function stateInWords(room: Room, server: boolean): string {
  if (room.state === "joining") return "Joining …"
  if (room.state === "reconnecting") return "Connection lost. Reconnecting …"
  if (room.state === "left") return "The call has ended."
  const others = room.participants.size
  const who =
    others === 0
      ? "Connected. Nobody else is here yet."
      : others === 1
        ? "Connected with 1 other"
        : `Connected with ${others} others`
  return server ? who : `${who.replace(/\.$/, "")} · the meeting server is away; the call goes on`
}
