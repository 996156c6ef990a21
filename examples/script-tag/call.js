// A whole call with one script tag: `holomesh` is the global that holomesh.js leaves behind.
const query = new URLSearchParams(location.search)
const form = document.querySelector("#join")
const status = document.querySelector("#status")
const tiles = document.querySelector("#tiles")
const leave = document.querySelector("#leave")

form.elements.name.value = query.get("name") ?? ""
form.elements.room.value = query.get("room") ?? ""
form.addEventListener("submit", (event) => {
  event.preventDefault()
  join(form.elements.name.value, form.elements.room.value)
})
if (query.get("autojoin") === "1") join(query.get("name") ?? "Somebody", query.get("room") ?? "")

async function join(name, roomName) {
  const server = new URL("/", location.href)
  let stream = new MediaStream()
  try {
    const open = query.get("open") === "1"
    if (location.hash === "" && !open) startRoom(server, roomName)
    say("Joining …")
    const opened = await holomesh.openDevices({ camera: true, microphone: true })
    stream = opened.stream
    const room = await holomesh.joinRoom(new URL(encodeURIComponent(roomName) + location.hash, server), { name, open })
    holomesh.room = room
    room.on("track", ({ participant, track }) => tileOf(participant).srcObject.addTrack(track))
    room.on("trackEnded", ({ participant, subscription }) => tileOf(participant).srcObject.removeTrack(subscription.track))
    room.on("participantUpdated", ({ participant }) => participant.isLocal || tileOf(participant))
    room.on("participantLeft", ({ participant }) => document.getElementById(participant.id)?.remove())
    room.on("message", ({ from, text }) => say(`${from.name}: ${text}`))
    room.on("state", ({ state, detail }) => say(WORDS[state], detail))
    room.on("left", ({ reason }) => {
      stop(stream)
      tiles.replaceChildren()
      showJoined(false)
      if (reason === "removed") say("You were removed from this room.")
    })
    for (const participant of room.participants.values()) {
      for (const { track } of participant.subscriptions) tileOf(participant).srcObject.addTrack(track)
    }
    leave.onclick = () => room.leave()
    showJoined(true)
    say(WORDS[room.state], ...opened.problems.map(holomesh.describeError))
    await room.publish(stream)
  } catch (error) {
    stop(stream)
    say(holomesh.describeError(error))
  }
}

const WORDS = { joining: "Joining …", connected: "Connected.", reconnecting: "Reconnecting …", left: "You left." }

/** A new room: its secret goes into the address bar, so that copying the address invites. */
function startRoom(server, roomName) {
  const { fragment } = holomesh.createInvitation(server, roomName)
  history.replaceState(null, "", `?room=${encodeURIComponent(roomName)}#${fragment}`)
}

/** The `<video>` of a participant, made when it is first needed. */
function tileOf(participant) {
  let tile = document.getElementById(participant.id)
  if (tile === null) {
    tile = document.createElement("article")
    tile.id = participant.id
    tile.dataset.participant = participant.id
    const video = document.createElement("video")
    video.autoplay = true
    video.playsInline = true
    video.srcObject = new MediaStream()
    tile.append(video, document.createElement("p"))
    tiles.append(tile)
  }
  tile.querySelector("p").textContent = participant.name
  return tile.querySelector("video")
}

function showJoined(joined) {
  form.hidden = joined
  leave.hidden = !joined
}

function say(...sentences) {
  status.textContent = sentences.filter(Boolean).join(" ")
}

function stop(stream) {
  for (const track of stream.getTracks()) track.stop()
}
