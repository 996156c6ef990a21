/** Gives the invitation away: the share sheet on a phone, the clipboard elsewhere. */
export async function offerInvitation(
  link: string,
  room: string,
  say: (text: string, kind?: "news" | "problem") => void,
): Promise<void> {
  if (matchMedia("(pointer: coarse)").matches && typeof navigator.share === "function") {
    // Closing the sheet is an answer, not a failure.
    await navigator.share({ title: `Call: ${room}`, url: link }).catch(() => undefined)
    return
  }
  try {
    await navigator.clipboard.writeText(link)
    say("Invitation copied. Send it to the people you want here.")
  } catch {
    say("The browser did not allow copying. Copy the address of this page instead.", "problem")
  }
}
