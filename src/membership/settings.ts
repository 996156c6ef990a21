/** Which settings of the room hold (RM-18, RM-34): signed by a host, the highest version, ties to the smaller hash. */
import { sha256Sync } from "../crypto/hash.ts"
import { verifyLabelled } from "../crypto/labelled.ts"
import { compareBytes, equalBytes } from "../wire/bytes.ts"
import { isAvError } from "../wire/errors.ts"
import {
  DEFAULT_SETTINGS,
  parseSettingsBody,
  type RoomSettings,
  SETTINGS_LABEL,
  type SignedSettings,
  settingsSigningBytes,
} from "../wire/room-settings.ts"
import type { Bytes, Milliseconds, U64 } from "../wire/types.ts"
import type { RoomRights } from "./rights.ts"

/** The bytes a settings signature covers, the label aside. */
export function settingsBytes(roomId: Bytes, version: U64, body: Bytes): Bytes {
  return settingsSigningBytes(roomId, version, sha256Sync(body))
}

/** Whether a host signed it: the root, or with `hosts` whoever shows a chain that holds `at` this time. Never throws. */
export async function verifySettings(
  signed: SignedSettings,
  roomId: Bytes,
  root: Bytes,
  hosts?: { rights: RoomRights; at: Milliseconds },
): Promise<boolean> {
  const { entityId, chain } = signed
  if (!equalBytes(entityId, root)) {
    const proven = chain === undefined ? undefined : await hosts?.rights.prove({ right: "host", entityId, chain, root }, hosts.at)
    if (proven === undefined) return false
  }
  return verifyLabelled(SETTINGS_LABEL, settingsBytes(roomId, signed.version, signed.body), signed.entityId, signed.sig)
}

type SettingsVerdict = "accepted" | "ignored" | "refused"

/** The settings in force. Starts with the defaults, version 0. */
export class SettingsBook {
  #signed: SignedSettings | undefined
  #settings: RoomSettings = DEFAULT_SETTINGS

  get current(): RoomSettings {
    return this.#settings
  }

  get version(): U64 {
    return this.#signed?.version ?? 0n
  }

  /** What is in force in its signed form, to be handed on. */
  get signed(): SignedSettings | undefined {
    return this.#signed
  }

  /** `signatureOk` is the answer of {@link verifySettings}. A body with one wrong member refuses the whole. */
  offer(signed: SignedSettings, signatureOk: boolean): SettingsVerdict {
    if (!signatureOk) return "refused"
    let settings: RoomSettings
    try {
      settings = parseSettingsBody(signed.body)
    } catch (error) {
      if (isAvError(error)) return "refused"
      throw error
    }
    if (this.#signed !== undefined && !beats(signed, this.#signed)) return "ignored"
    this.#signed = signed
    this.#settings = settings
    return "accepted"
  }

  clear(): void {
    this.#signed = undefined
    this.#settings = DEFAULT_SETTINGS
  }
}

function beats(a: SignedSettings, b: SignedSettings): boolean {
  if (a.version !== b.version) return a.version > b.version
  return compareBytes(sha256Sync(a.body), sha256Sync(b.body)) < 0
}
