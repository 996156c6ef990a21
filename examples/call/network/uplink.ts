/** The list from which a person chooses how much of their uplink the call may use. */
import { describeError, type Room } from "holomesh"
import { h } from "../dom.ts"

/** Mbit/s; 0: no limit. */
const CHOICES = [0, 1, 2, 5, 10]

export interface UplinkChoice {
  /** Bit/s; undefined: no limit. */
  readonly bitrate: number | undefined
  /** A list for one place of the page; all lists follow each other. */
  select(): HTMLSelectElement
}

/** @param first bit/s from the page's address */
export function createUplinkChoice(room: Room, first: number | undefined, onProblem: (words: string) => void): UplinkChoice {
  let bitrate = first
  const lists: HTMLSelectElement[] = []
  const choices = [...new Set([...CHOICES, (first ?? 0) / 1e6])].sort((a, b) => a - b)
  const choose = (mbps: number) => {
    bitrate = mbps === 0 ? undefined : mbps * 1e6
    for (const list of lists) list.value = String(mbps)
    room.setUplinkLimit(bitrate).catch((error: unknown) => onProblem(describeError(error)))
  }
  return {
    get bitrate() {
      return bitrate
    },
    select() {
      const options = choices.map((mbps) => h("option", { value: mbps }, mbps === 0 ? "No limit" : `${mbps} Mbit/s`))
      const list = h("select", { class: "field", name: "uplink" }, ...options)
      list.value = String((bitrate ?? 0) / 1e6)
      list.addEventListener("change", () => choose(Number(list.value)))
      lists.push(list)
      return list
    },
  }
}
