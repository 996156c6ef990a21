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
  try {
    const open = query.get("open") === "1"
    if (location.hash === "" && !open) location.hash = holomesh.createInvitation(server, roomName).fragment
    status.textContent = "Joining …"
    const { stream, problems } = await holomesh.openDevices({ camera: true, microphone: true })
    const room = await holomesh.joinRoom(new URL(roomName + location.hash, server), { name, open })
    holomesh.room = room
    room.on("track", ({ participant, track }) => tileOf(participant).srcObject.addTrack(track))
    room.on("trackEnded", ({ participant, subscription }) => tileOf(participant).srcObject.removeTrack(subscription.track))
    room.on("participantLeft", ({ participant }) => document.getElementById(participant.id)?.remove())
    room.on("state", ({ state, detail }) => show(state, detail))
    room.on("left", () => (form.hidden = !(leave.hidden = true)))
    for (const participant of room.participants.values()) {
      for (const { track } of participant.subscriptions) tileOf(participant).srcObject.addTrack(track)
    }
    form.hidden = !(leave.hidden = false)
    leave.onclick = () => room.leave()
    show(room.state, problems.map(holomesh.describeError).join(" "))
    await room.publish(stream)
  } catch (error) {
    show("not in the room", holomesh.describeError(error))
  }
}

function tileOf(participant) {
  let tile = document.getElementById(participant.id)
  if (tile === null) {
    tile = document.createElement("article")
    tile.id = tile.dataset.participant = participant.id
    const video = document.createElement("video")
    video.autoplay = video.playsInline = true
    video.srcObject = new MediaStream()
    const name = document.createElement("p")
    name.textContent = participant.name
    tile.append(video, name)
    tiles.append(tile)
  }
  return tile.querySelector("video")
}

function show(state, detail) {
  status.textContent = [`${state[0].toUpperCase()}${state.slice(1)}.`, detail].filter(Boolean).join(" ")
}
