/** Errors: the code decides, the sentence is shown. */
import { describeError, isAvError, joinRoom, type Room } from "holomesh"

export async function tryToJoin(link: string, tell: (sentence: string) => void): Promise<Room | undefined> {
  try {
    return await joinRoom(link)
  } catch (error) {
    if (!isAvError(error, "Aborted")) tell(describeError(error))
    return undefined
  }
}

/** What does not end the call comes as an event, with its sentence. */
export function watch(room: Room, tell: (sentence: string) => void): void {
  room.on("warning", ({ message }) => tell(message))
  room.on("left", ({ error }) => error !== undefined && tell(describeError(error)))
  room.on("audioBlocked", () => tell("Click anywhere to hear the others."))
  document.addEventListener("click", () => void room.startAudio(), { once: true })
}
