/** What a person in a call sees and hears of another one, told by the number in the picture and the tone in the sound. */
import { type Person, toneOf } from "./browsers.ts"
import { eventually, heardTones, seenPictures } from "./observe.ts"

type Watched = Pick<Person, "page" | "name">

export async function sees(person: Watched, code: number): Promise<void> {
  await eventually(
    `${person.name} sees ${code}`,
    () => seenPictures(person.page),
    (seen) => seen.some((tile) => tile.code === code && tile.frame !== undefined),
  )
}

/** The number in the picture of a camera changes. */
export async function seesMotion(person: Watched, code: number): Promise<void> {
  await sees(person, code)
  const frame = async () => (await seenPictures(person.page)).find((tile) => tile.code === code)?.frame
  const before = await frame()
  await eventually(`${code} moves at ${person.name}`, frame, (now) => now !== undefined && now !== before)
}

export async function hears(person: Watched, code: number): Promise<void> {
  await eventually(
    `${person.name} hears ${code}`,
    () => heardTones(person.page),
    (heard) => heard.some((tone) => Math.abs(tone.hertz - toneOf(code)) < 25 && tone.level > -60),
  )
}
