/** Takes a stream of one page from another page than its publisher, and sees and hears that it comes that way. */
import { type Person, toneOf } from "./browsers.ts"
import { eventually, heardTones, seenPictures, watchFrames } from "./observe.ts"
import { onlyFrom, readStats } from "./room-page.ts"

/**
 * @param over id of the member that is to hand it on; the viewer is fed by the publisher itself first
 * @returns the watch over the viewer's pictures, from when the publisher no longer feeds it, and what it receives some seconds later
 */
export async function takeOver(viewer: Person, publisher: Person, ids: { viewer: string; publisher: string; over: string }) {
  const { page } = viewer
  const code = publisher.clip.code
  const isOurs = (seen: { code: number | undefined }) => seen.code === code
  await eventually(
    `${viewer.name} sees ${publisher.name} directly first`,
    () => seenPictures(page),
    (seen) => seen.some(isOurs),
  )
  await onlyFrom(page, ids.publisher, ids.over)
  await eventually(
    `${publisher.name} serves ${viewer.name} no more`,
    () => readStats(publisher.page),
    ({ send }) => send.every(({ subscribers }) => !subscribers.includes(ids.viewer)),
  )
  const watch = await watchFrames(page, code)
  const before = (await seenPictures(page)).find(isOurs)
  await eventually(
    `${publisher.name}'s picture moves at ${viewer.name}`,
    () => seenPictures(page),
    (seen) => seen.some((picture) => isOurs(picture) && picture.frame !== undefined && picture.frame !== before?.frame),
  )
  await eventually(
    `${viewer.name} hears ${publisher.name}`,
    () => heardTones(page),
    (heard) => heard.some(({ hertz, level }) => Math.abs(hertz - toneOf(code)) < 25 && level > -60),
  )
  await page.waitForTimeout(3_000)
  const ofPublisher = ({ receive }: Awaited<ReturnType<typeof readStats>>) =>
    receive.filter(({ participant, from }) => participant === ids.publisher && from !== "")
  const stats = await eventually(
    "more than thirty pictures are shown",
    () => readStats(page),
    (seen) => ofPublisher(seen).some(({ kind, renderedFrames }) => kind === "video" && renderedFrames > 30),
  )
  return { watch, received: ofPublisher(stats) }
}
