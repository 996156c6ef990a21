/** The tiles of a call: one for each person, one for each shared screen. Follows the room's events. */
import { listDevices, onDeviceChange, type Participant, type Room, type Subscription } from "holomesh"
import { h } from "../dom.ts"
import type { Scope } from "../scope.ts"
import { keepLaidOut } from "./grid.ts"
import { remoteTileState, Tile } from "./tile.ts"

export interface StageOptions {
  room: Room
  scope: Scope
  /** Only those who send something get a tile: the audience of a broadcast would fill the page. */
  onlyPublishers: boolean
  /** This page shows itself too. */
  withSelf: boolean
  /** The browser refused to play sound without a click. */
  onBlocked: () => void
}

export class Stage {
  readonly element = h("section", { class: "stage", "aria-label": "Participants" })
  readonly self = new Tile("self", "self")
  readonly #grid = h("div", { class: "grid" })
  readonly #screens = h("div", { class: "screens", hidden: true })
  readonly #people = new Map<string, Tile>()
  readonly #shared = new Map<string, Tile>()
  readonly #options: StageOptions
  /** Playing without sound because the browser wants a click. */
  readonly #silenced = new Set<Tile>()
  #speaker = ""

  constructor(options: StageOptions) {
    this.#options = options
    const { room, scope } = options
    this.self.element.id = "self"
    if (options.withSelf) this.#grid.append(this.self.element)
    const place = h("div", { class: "grid-place" }, this.#grid)
    this.element.append(this.#screens, place)
    scope.add(keepLaidOut(place, this.#grid))
    scope.add(() => this.#close())
    try {
      scope.add(onDeviceChange(() => void this.setSpeaker(this.#speaker)))
    } catch {
      // Without access to devices there is nothing to watch.
    }
    scope.add(room.on("participantJoined", ({ participant }) => this.#update(participant)))
    scope.add(room.on("participantUpdated", ({ participant }) => this.#update(participant)))
    scope.add(room.on("muted", ({ participant }) => this.#update(participant)))
    scope.add(room.on("speaking", ({ participant }) => this.#update(participant)))
    scope.add(room.on("qualityChanged", ({ participant }) => this.#update(participant)))
    scope.add(room.on("participantLeft", ({ participant }) => this.#remove(participant)))
    scope.add(room.on("track", ({ subscription }) => this.#attach(subscription)))
    scope.add(room.on("trackEnded", ({ subscription }) => this.#detach(subscription)))
    for (const participant of room.participants.values()) {
      this.#update(participant)
      for (const subscription of participant.subscriptions) this.#attach(subscription)
    }
  }

  /** Adds a card beside the tiles, such as the invitation while nobody else is here. */
  get grid(): HTMLElement {
    return this.#grid
  }

  /** Plays all sound on another device. A browser without the choice keeps its default. */
  async setSpeaker(id: string): Promise<void> {
    this.#speaker = id
    await Promise.all([...this.#people.values(), ...this.#shared.values()].map((tile) => this.#direct(tile)))
  }

  /** Tries again, with sound, what a browser refused before the first click. */
  playAll(): void {
    for (const tile of this.#silenced) tile.video.muted = false
    this.#silenced.clear()
    for (const tile of [...this.#people.values(), ...this.#shared.values()]) this.#play(tile)
  }

  #update(participant: Participant): void {
    if (participant.isLocal) return
    if (this.#options.onlyPublishers && !participant.subscriptions.some(({ source }) => source !== "screen")) {
      this.#removeTile(participant.id)
      return
    }
    this.#tileOf(participant).update(remoteTileState(participant))
    const screen = this.#shared.get(participant.id)
    screen?.update({ ...remoteTileState(participant), pictureOn: true, speaking: false, connection: "", quality: undefined })
  }

  #attach(subscription: Subscription): void {
    const { participant, source } = subscription
    const tile = source === "screen" ? this.#screenOf(participant) : this.#tileOf(participant)
    // The sound of a shared screen plays in the screen's own element.
    if (source === "screen" && subscription.kind === "audio") tile.video.muted = false
    tile.attach(subscription.track)
    this.#play(tile)
    this.#update(participant)
  }

  #detach(subscription: Subscription): void {
    const { participant, source, track } = subscription
    if (source !== "screen") this.#people.get(participant.id)?.detach(track)
    else {
      const screen = this.#shared.get(participant.id)
      screen?.detach(track)
      if (screen?.stream.getVideoTracks().length === 0) this.#removeScreen(participant.id)
    }
    if (this.#people.has(participant.id)) this.#update(participant)
  }

  #remove(participant: Participant): void {
    this.#removeTile(participant.id)
    this.#removeScreen(participant.id)
  }

  #removeTile(id: string): void {
    const tile = this.#people.get(id)
    if (tile !== undefined) this.#silenced.delete(tile)
    tile?.close()
    this.#people.delete(id)
  }

  #tileOf(participant: Participant): Tile {
    let tile = this.#people.get(participant.id)
    if (tile === undefined) {
      tile = new Tile("person", participant.id)
      this.#people.set(participant.id, tile)
      this.#grid.insertBefore(tile.element, this.#options.withSelf ? this.self.element : null)
      void this.#direct(tile)
    }
    return tile
  }

  #screenOf(participant: Participant): Tile {
    let tile = this.#shared.get(participant.id)
    if (tile === undefined) {
      tile = new Tile("screen", participant.id)
      this.#shared.set(participant.id, tile)
      this.#screens.append(tile.element)
      this.#showScreens()
      void this.#direct(tile)
    }
    return tile
  }

  #removeScreen(id: string): void {
    const tile = this.#shared.get(id)
    if (tile !== undefined) this.#silenced.delete(tile)
    tile?.close()
    this.#shared.delete(id)
    this.#showScreens()
  }

  #showScreens(): void {
    this.#screens.hidden = this.#shared.size === 0
    this.element.classList.toggle("with-screen", this.#shared.size > 0)
  }

  #play(tile: Tile): void {
    void tile.play().then((refused) => {
      if (!refused) return
      this.#silenced.add(tile)
      this.#options.onBlocked()
    })
  }

  /** A chosen loudspeaker that is unplugged gives way to the default one until it is back. */
  async #direct(tile: Tile): Promise<void> {
    if (!("setSinkId" in tile.video)) return
    const speaker = await this.#presentSpeaker()
    if (tile.video.sinkId !== speaker) await tile.video.setSinkId(speaker).catch(() => undefined)
  }

  async #presentSpeaker(): Promise<string> {
    const wanted = this.#speaker
    if (wanted === "") return ""
    const { speakers } = await listDevices().catch(() => ({ speakers: [] }))
    return speakers.some(({ id }) => id === wanted) ? wanted : ""
  }

  #close(): void {
    for (const tile of [...this.#people.values(), ...this.#shared.values(), this.self]) tile.close()
  }
}
