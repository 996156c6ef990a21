/** The call itself: stage, control bar, panels, and the words about how the connection is. */
import { describeError, type OpenedDevices, type Room } from "holomesh"
import { inviteLink, linkFor, type PageAddress, type PageMode, publishes } from "../address.ts"
import { h } from "../dom.ts"
import { createFilesPanel } from "../files/panel.ts"
import { icon, mark } from "../icons.ts"
import { createMemoryPanel } from "../memory/panel.ts"
import { createExchange } from "../network/exchange.ts"
import { createNetworkPanel } from "../network/panel.ts"
import { createUplinkChoice } from "../network/uplink.ts"
import { createKnockCard } from "../people/knock-card.ts"
import { createPeoplePanel } from "../people/panel.ts"
import { loadPreferences } from "../preferences.ts"
import { Scope } from "../scope.ts"
import { createDrawer } from "../statistics/drawer.ts"
import { createAnnouncer } from "./announcer.ts"
import { createChat } from "./chat.ts"
import { type Actions, createControls, type Panel } from "./controls.ts"
import { createInviteCard } from "./invite-card.ts"
import { LocalMedia } from "./local-media.ts"
import { createMenu, openKeyList, openSecrecy, openSettings } from "./menus.ts"
import { offerInvitation } from "./offer-invitation.ts"
import { createRelayBoard } from "./relay-board.ts"
import { type ActionName, listenToKeys } from "./shortcuts.ts"
import { Stage } from "./stage.ts"
import { keepAwake } from "./wake-lock.ts"

/** A newcomer's name comes a moment after the newcomer, with the first state; ms. */
const NAME_MS = 800
const ONLY_CHOSEN = "Only people whom the host chooses are seen and heard now. You can watch and listen."

export interface CallPage {
  element: HTMLElement
  close(): void
}

export interface CallOptions {
  room: Room
  address: PageAddress
  /** Camera and microphone as chosen before; the call page stops its tracks when it closes. */
  devices: Promise<OpenedDevices>
  /** The room has another link now; gives the address that leads there. */
  moved(invitation: string): PageAddress
}

export function createCallPage({ room, address: joined, devices, moved }: CallOptions): CallPage {
  let address = joined
  const scope = new Scope()
  const { element: toasts, say, clear } = createAnnouncer()
  const { mode } = address
  const sends = publishes(address)
  let panel: Panel | undefined
  let unread = 0
  let newFiles = 0
  let server = true

  const media = new LocalMedia({
    room,
    scope,
    onChange: () => update(),
    onProblem: (error) => say(describeError(error), "problem"),
    onNews: (words) => say(words),
  })
  const unlock = h(
    "button",
    { class: "button primary unlock", type: "button", hidden: true, onclick: () => void startSound() },
    icon("speaker"),
    "Turn sound on",
  )
  const soundBlocked = () => {
    unlock.hidden = false
  }
  const startSound = async () => {
    if (unlock.hidden) return
    unlock.hidden = true
    stage.playAll()
    await room.startAudio().catch(() => undefined)
  }
  // Any gesture is the one the browser waits for.
  for (const gesture of ["pointerup", "keydown"]) scope.listen(document, gesture, () => void startSound())
  const broadcast = mode === "stage" || mode === "audience"
  const stage = new Stage({ room, scope, onlyPublishers: broadcast, withSelf: sends, onBlocked: soundBlocked })
  void stage.setSpeaker(loadPreferences().speaker)
  const invite = () => void offerInvitation(inviteLink(address), room.name, say)
  const inviteCard = createInviteCard(inviteLink(address), room.open, invite)
  const files = createFilesPanel({
    room,
    scope,
    close: () => open(undefined),
    say,
    news: (count, offer) => {
      newFiles = count
      if (offer !== undefined) say(`${offer.from.name || "Guest"} shares ${offer.name}`)
      update()
    },
  })
  const memory = createMemoryPanel({ room, scope, close: () => open(undefined), say })
  const people = createPeoplePanel({ room, scope, close: () => open(undefined), say })
  const chat = createChat(room, scope, {
    close: () => open(undefined),
    unread: (count, from) => {
      unread = count
      if (count > 0) say(`New message from ${from}`)
      update()
    },
  })
  const drawer = createDrawer(room, { close: () => open(undefined), say })
  scope.add(() => drawer.close())
  const uplink = createUplinkChoice(room, address.uplink, (words) => say(words, "problem"))
  const exchange = createExchange(room, scope, () => ({ relayOnly: mode === "relay", uplink: uplink.bitrate }))
  const network = createNetworkPanel({
    room,
    scope,
    exchange,
    uplink,
    close: () => open(undefined),
    copyRelayLink: () => void copyLink(linkFor(address, "relay"), say),
  })

  /** Shows one panel or none; the focus goes back to the button of the panel that held it. */
  const open = (next: Panel | undefined) => {
    const former = panel
    const within = document.activeElement?.closest(".panel") !== null
    panel = next
    if (panel === "chat" && unread > 0) clear()
    chat.show(panel === "chat")
    people.show(panel === "people")
    files.show(panel === "files")
    memory.show(panel === "memory")
    drawer.show(panel === "statistics")
    network.show(panel === "network")
    update()
    if (panel !== undefined || !within) return
    // What the bar has no room for was opened from the list behind "More".
    const [own, more] = [former, "more"].map((name) => controls.element.querySelector<HTMLElement>(`[data-action="${name}"]`))
    const shown = (own?.getClientRects().length ?? 0) > 0
    ;(shown ? own : more)?.focus()
  }
  const toggle = (which: Panel) => open(panel === which ? undefined : which)

  const actions: Actions = {
    microphone: () => void media.toggle("microphone"),
    camera: () => void media.toggle("camera"),
    share: () => void (media.sharing ? media.stopSharing() : media.share()),
    leave: () => void room.leave(),
    chat: () => toggle("chat"),
    invite,
    people: () => toggle("people"),
    files: () => toggle("files"),
    memory: () => toggle("memory"),
    statistics: () => toggle("statistics"),
    network: () => toggle("network"),
    help: () => openKeyList(has),
  }
  const canShare = typeof navigator.mediaDevices?.getDisplayMedia === "function"
  const has = (action: ActionName) => {
    if (action === "microphone" || action === "camera") return sends
    if (action === "share") return sends && canShare
    return (action !== "invite" && action !== "files" && action !== "memory") || mode !== "relay"
  }
  const controls = createControls(actions, has)
  const menu = createMenu([
    ...(has("invite") ? [{ label: "Copy invite", icon: "invite" as const, run: actions.invite, narrowOnly: true }] : []),
    { label: "People", icon: "people", run: actions.people, narrowOnly: true },
    ...(has("files") ? [{ label: "Files", icon: "files" as const, run: actions.files, narrowOnly: true }] : []),
    ...(has("memory") ? [{ label: "Room memory", icon: "record" as const, run: actions.memory }] : []),
    { label: "Network", icon: "network", run: actions.network },
    { label: "Statistics", icon: "statistics", run: actions.statistics },
    {
      label: "Settings",
      icon: "settings",
      run: () => openSettings(room, sends ? media : undefined, (id) => void stage.setSpeaker(id)),
    },
    { label: "Encryption", icon: "lock", run: () => openSecrecy(room) },
    { label: "Keyboard", icon: "keyboard", run: () => openKeyList(has) },
  ])
  const status = h("p", { class: "call-status", role: "status", "aria-live": "polite" })
  const sharing = h(
    "div",
    { class: "sharing", role: "status", hidden: true },
    icon("screen"),
    h("span", {}, "You are sharing your screen"),
    h("button", { class: "button", type: "button", onclick: () => void media.stopSharing() }, "Stop sharing"),
  )

  const update = () => {
    if (scope.closed) return
    const [camera, microphone] = [media.isOn("camera"), media.isOn("microphone")]
    const picture = media.track("camera")
    if (picture !== undefined) stage.self.attach(picture)
    const speaking = room.local.speaking && microphone
    const { name, quality } = room.local
    stage.self.update({ name, pictureOn: camera, soundOn: microphone, speaking, connection: "", quality })
    if (room.participants.size > 0) inviteCard.remove()
    else if (!inviteCard.isConnected) stage.grid.append(inviteCard)
    const waiting = room.isHost ? room.host.waiting.length : 0
    controls.update({ microphone, camera, sharing: media.sharing, panel, unread, waiting, newFiles })
    sharing.hidden = !media.sharing
    const words = stateInWords(room, server, mode)
    if (status.textContent !== words) status.textContent = words
    document.title = `${unread > 0 ? `(${unread}) ` : ""}${room.name} · holomesh`
  }

  if (broadcast) for (const event of ["track", "trackEnded"] as const) scope.add(room.on(event, update))
  for (const event of ["state", "epoch", "participantUpdated"] as const) scope.add(room.on(event, update))
  scope.add(room.on("speaking", ({ participant }) => participant.isLocal && update()))
  scope.add(room.on("qualityChanged", ({ participant }) => participant.isLocal && update()))
  scope.add(room.on("audioBlocked", soundBlocked))
  scope.add(room.on("audioStarted", () => void startSound()))
  scope.add(
    room.on("speakingWhileMuted", ({ publication }) => {
      if (publication.source === "microphone")
        say("You are talking, but your microphone is off. Press M to turn it on.", "problem")
    }),
  )
  scope.add(room.on("waiting", update))
  scope.add(
    room.on("muteAsked", ({ by }) => {
      say(`${by?.name || "A host"} asked you to be silent. Your microphone is off.`)
      update()
    }),
  )
  let { isHost } = room
  let { mayPublish } = room
  scope.add(
    room.on("rights", (own) => {
      if (own.isHost !== isHost) say(own.isHost ? "You are a host of this room now" : "You are not a host of this room any more")
      if (own.mayPublish !== mayPublish && sends) say(own.mayPublish ? "You can be seen and heard again" : ONLY_CHOSEN)
      isHost = own.isHost
      mayPublish = own.mayPublish
      update()
    }),
  )
  scope.add(
    room.on("invitation", ({ invitation }) => {
      address = moved(invitation)
      const field = inviteCard.querySelector("input")
      if (field !== null) field.value = inviteLink(address)
    }),
  )
  scope.add(room.on("warning", ({ message }) => say(message, "problem")))
  scope.add(
    room.on("server", ({ connected }) => {
      server = connected
      update()
    }),
  )
  scope.add(
    room.on("participantJoined", ({ participant }) => {
      setTimeout(() => {
        if (!scope.closed && room.participants.has(participant.id)) say(`${participant.name || "Guest"} joined`)
      }, NAME_MS)
      update()
    }),
  )
  scope.add(
    room.on("participantLeft", ({ participant, reason }) => {
      say(`${participant.name || "Guest"} ${reason === "removed" ? "was removed" : "left"}`)
      update()
    }),
  )
  listenToKeys(scope, actions, has, () => open(undefined))
  keepAwake(scope)
  scope.add(() => {
    for (const dialog of document.querySelectorAll("dialog")) dialog.close()
  })

  const secrecy = h(
    "button",
    { class: room.open ? "secrecy open" : "secrecy", type: "button", onclick: () => openSecrecy(room) },
    icon(room.open ? "unlocked" : "lock"),
    h("span", {}, room.open ? "Open room: whoever knows the name can come in, the server included" : "Encrypted end to end"),
  )
  const head = h(
    "header",
    { class: "call-head" },
    mark(),
    h("div", { class: "call-title" }, h("h1", {}, room.name), status),
    secrecy,
  )
  const over = h("div", { class: "call-over" }, toasts, createKnockCard(room, scope, say), sharing, unlock)
  const shown = mode === "relay" ? createRelayBoard(room, scope, exchange, uplink) : stage.element
  const place = h("div", { class: "stage-place" }, shown, over)
  const body = h(
    "div",
    { class: "call-body" },
    place,
    chat.element,
    people.element,
    files.element,
    memory.element,
    drawer.element,
    network.element,
  )
  update()
  void devices.then(({ stream, problems }) => {
    for (const sentence of new Set(problems.map(describeError))) say(sentence, "problem")
    return media.publish(stream, problems)
  })
  return { element: h("main", { class: "call" }, head, body, controls.element, menu), close: () => scope.close() }
}

function stateInWords(room: Room, server: boolean, mode: PageMode): string {
  if (room.state === "joining") return "Joining …"
  if (room.state === "reconnecting") return "Connection lost. Reconnecting …"
  if (room.state === "offline") return "No network. The call goes on when it is back"
  if (room.state === "left") return "The call has ended"
  const others = room.participants.size
  const connected =
    others === 0 ? "Connected, nobody else is here yet" : `Connected with ${others} ${others === 1 ? "other" : "others"}`
  const who = others > 0 && (mode === "stage" || mode === "audience") ? watchersInWords(room, mode) : connected
  return server ? who : `${who}. The meeting server is away; the call goes on, but nobody new can come in.`
}

/** Who publishes is on stage, everybody else watches; those on their way in count as watching. */
function watchersInWords(room: Room, mode: PageMode): string {
  const others = [...room.participants.values()]
  const onStage = others.filter(({ subscriptions }) => subscriptions.length > 0).length
  const watching = others.length - onStage + (mode === "audience" ? 1 : 0)
  if (mode === "audience" && onStage === 0) return "Connected, the broadcast has not begun yet"
  return `${mode === "stage" ? "You are on stage" : `${onStage} on stage`}, ${watching} watching`
}

async function copyLink(link: string, say: (words: string) => void): Promise<void> {
  try {
    await navigator.clipboard.writeText(link)
    say("Relay-only link copied. It holds the key to this room, like the invitation.")
  } catch {
    say("The browser did not allow copying.")
  }
}
