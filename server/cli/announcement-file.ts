/** Files with one announcement, in its form for people or the one that travels. */
import {
  decodeAnnouncement,
  parseAnnouncementJson,
  requireOwnNodeId,
  type SignedAnnouncement,
} from "../../src/capability/index.ts"
import { isAvError } from "../../src/wire/errors.ts"
import { CliError } from "./failure.ts"
import { input } from "./io.ts"

/** Not whether it is signed. @throws CliError */
export async function readAnnouncement(path: string): Promise<SignedAnnouncement> {
  const bytes = await input(path, "announcement")
  try {
    const signed =
      bytes[0] === 0x7b
        ? parseAnnouncementJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
        : decodeAnnouncement(bytes)
    requireOwnNodeId(signed.announcement)
    return signed
  } catch (error) {
    const why = isAvError(error) ? error.code : "not text"
    throw new CliError("bad-announcement", `${path.trim()} is no announcement: ${why}`)
  }
}
