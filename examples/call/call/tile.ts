/** One person's picture with name, mute state and connection in words. Also plays the person's sound. */
import type { Participant, Quality } from "holomesh"
import { h } from "../dom.ts"
import { icon } from "../icons.ts"
import { createQualityMark, qualityInWords } from "./quality.ts"

const COLORS = 8

export interface TileState {
  name: string
  pictureOn: boolean
  soundOn: boolean
  speaking: boolean
  /** Shown over the picture; empty while all is well. */
  connection: string
  quality?: Quality | undefined
}

export class Tile {
  readonly element: HTMLElement
  readonly video: HTMLVideoElement
  readonly stream = new MediaStream()
  readonly #initials = h("span", { class: "initials", "aria-hidden": "true" })
  readonly #name = h("span", { class: "tile-name" })
  readonly #muted = h("span", { class: "tile-muted", title: "Microphone off" }, icon("microphoneOff"))
  readonly #quality = createQualityMark()
  readonly #connection = h("p", { class: "tile-connection", hidden: true })

  /** @param kind `self` is mirrored and silent; `screen` shows everything, uncropped. */
  constructor(
    readonly kind: "person" | "self" | "screen",
    id: string,
  ) {
    this.video = h("video", { autoplay: true, playsinline: true })
    this.video.muted = kind !== "person"
    this.#muted.append(h("span", { class: "sr-only" }, "microphone off"))
    const avatar = h("div", { class: "avatar" }, this.#initials)
    avatar.dataset.color = String(colorOf(id))
    const voice = h("span", { class: "tile-voice" }, icon("voice"))
    const label = h("footer", { class: "tile-label" }, this.#muted, voice, this.#name, this.#quality.element)
    this.element = h("article", { class: `tile ${kind}` }, this.video, avatar, this.#connection, label)
    // A phone held upright: cropping its picture to a wide tile would leave a nose.
    this.video.addEventListener("resize", () => {
      this.element.classList.toggle("upright", this.video.videoHeight > this.video.videoWidth)
    })
    if (kind === "person") this.element.dataset.participant = id
  }

  update({ name, pictureOn, soundOn, speaking, connection, quality }: TileState): void {
    const shown = name || "Guest"
    this.#name.textContent = this.kind === "self" ? `${shown} (you)` : this.kind === "screen" ? `${shown}'s screen` : shown
    this.#initials.textContent = initialsOf(shown)
    this.element.setAttribute("aria-label", this.kind === "screen" ? `Screen of ${shown}` : shown)
    this.element.classList.toggle("has-picture", pictureOn)
    this.element.classList.toggle("speaking", speaking)
    this.#muted.hidden = soundOn || this.kind === "screen"
    if (this.kind !== "screen") this.#quality.update(quality)
    const words = connection || qualityInWords(quality, this.kind === "self")
    if (this.#connection.textContent !== words) this.#connection.textContent = words
    this.#connection.hidden = words === ""
  }

  /** Attaches a track; a former one of the same kind goes. */
  attach(track: MediaStreamTrack): void {
    for (const old of this.stream.getTracks()) if (old.kind === track.kind && old !== track) this.stream.removeTrack(old)
    this.stream.addTrack(track)
    // Not before: an element that waits for an empty stream would keep the page "loading" for ever.
    if (this.video.srcObject === null) this.video.srcObject = this.stream
  }

  /**
   * Plays, without sound where the browser wants a click for it: a picture without sound is better than neither.
   *
   * @returns whether the sound was refused
   */
  async play(): Promise<boolean> {
    const wanted = this.video.muted
    try {
      await this.video.play()
      return false
    } catch (error) {
      if (!(error instanceof DOMException) || error.name !== "NotAllowedError" || wanted) return false
    }
    // A tile that closed meanwhile needs no click any more.
    if (this.video.srcObject === null) return false
    this.video.muted = true
    // May take until the first picture: whoever asked is told at once.
    this.video.play().catch(() => undefined)
    return true
  }

  detach(track: MediaStreamTrack): void {
    this.stream.removeTrack(track)
  }

  close(): void {
    this.video.srcObject = null
    this.element.remove()
  }
}

/** State of a remote participant's tile. */
export function remoteTileState(participant: Participant): TileState {
  const words = {
    connecting: "Connecting …",
    direct: "",
    routed: "Messages only: no way for sound and picture",
    reconnecting: "Connection trouble, trying again …",
    lost: "Connection lost, trying again …",
  }
  return {
    name: participant.name,
    pictureOn: participant.subscriptions.some(({ kind, source, muted }) => kind === "video" && source !== "screen" && !muted),
    soundOn: participant.subscriptions.some(({ kind, source, muted }) => kind === "audio" && source !== "screen" && !muted),
    speaking: participant.speaking,
    connection: words[participant.connection],
    quality: participant.quality,
  }
}

/** "Ada Lovelace" → "AL". Counts characters as people see them, so an emoji stays whole. */
function initialsOf(name: string): string {
  const words = name.trim().split(/[\s._-]+/)
  const first = (word: string | undefined) => (word === undefined ? "" : ([...word][0] ?? ""))
  return (first(words[0]) + (words.length > 1 ? first(words.at(-1)) : "")).toUpperCase() || "?"
}

function colorOf(id: string): number {
  let sum = 0
  for (const character of id) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) >>> 0
  return sum % COLORS
}
