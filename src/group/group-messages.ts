/** What members say to each other under the group's keys: application messages, proposals to leave, and signatures of leaf keys. */
import { equalBytes } from "../wire/bytes.ts"
import { AvError } from "../wire/errors.ts"
import type { Bytes, PeerKeyId } from "../wire/types.ts"
import type { LiveGroup } from "./live-group.ts"
import { readMessageHead } from "./message-head.ts"
import { memberAt } from "./tree.ts"
import type { OpenedMessage, OpenedProposal } from "./types.ts"

/** Largest application message: `room.states` pages are 40 KiB, chat and data less. */
const MAX_APPLICATION_BYTES = 64 * 1024

export class GroupMessages {
  readonly #group: LiveGroup

  constructor(group: LiveGroup) {
    this.#group = group
  }

  async proposeLeave(): Promise<Bytes> {
    const { epochs, engine } = this.#group
    const { bytes, state } = await engine.proposeLeave(epochs.current)
    epochs.replace(state)
    return bytes
  }

  async openProposal(bytes: Bytes): Promise<OpenedProposal> {
    const { opened, epoch, sender } = await this.#open(bytes, "proposal")
    const { proposal, senderLeaf } = opened
    const leaves = proposal?.proposalType === "remove" && proposal.remove.removed === senderLeaf
    return { epoch, sender: sender.keyId, senderLeaf, kind: leaves ? "leave" : "other" }
  }

  async protect(plaintext: Bytes): Promise<Bytes> {
    const { length } = plaintext
    if (length > MAX_APPLICATION_BYTES) throw new AvError("MessageTooLarge", { length, limit: MAX_APPLICATION_BYTES })
    const { epochs, engine } = this.#group
    // D-43 d: a newcomer seals nothing before it knows whom it seals to.
    const [stranger] = this.#group.unverified()
    if (stranger !== undefined) throw new AvError("LeafIdentityUnverified", { key_id: stranger })
    const { bytes, state } = await engine.protect(epochs.current, plaintext)
    epochs.replace(state)
    return bytes
  }

  async open(bytes: Bytes): Promise<OpenedMessage> {
    const { opened, epoch, sender } = await this.#open(bytes, "application")
    const { plaintext, senderLeaf } = opened
    return { epoch, sender: sender.keyId, senderLeaf, senderLeafKey: sender.leafKey, plaintext }
  }

  signWithLeaf(label: string, content: Bytes): Promise<Bytes> {
    const { epochs, engine } = this.#group
    return engine.signWithLeaf(epochs.current, label, content)
  }

  async verifyWithLeaf(keyId: PeerKeyId, label: string, content: Bytes, signature: Bytes): Promise<boolean> {
    const { engine, directory } = this.#group
    const leafKey = directory.memberKey(keyId)
    if (leafKey === undefined || !directory.isVerified(keyId, leafKey)) return false
    return engine.verifyWithLeaf(leafKey, label, content, signature)
  }

  async #open(bytes: Bytes, kind: "application" | "proposal") {
    const { epochs, engine, directory } = this.#group
    const { epoch, content, groupId } = readMessageHead(bytes)
    if (content !== kind || !equalBytes(groupId, epochs.roomId))
      throw new AvError("ProcessFailed", { why: "other kind or group" })
    const state = epochs.at(epoch)
    const opened = await engine.openContent(state, bytes)
    const sender = memberAt(state.tree, opened.senderLeaf)
    directory.requireVerified(sender.keyId, sender.leafKey)
    epochs.replace(opened.state)
    return { opened, epoch, sender }
  }
}
