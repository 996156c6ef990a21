/** What a page of the NAT test can do: join with STUN servers of its own, and tell what it found out and what others announce. */
import { joinRoom, type NatStats, type Room } from "holomesh"

let room: Room | undefined

function inRoom(): Room {
  if (room === undefined) throw new Error("not in a room")
  return room
}

const abilities = {
  /** @param urls the application's STUN servers */
  async join(url: string, name: string, urls: string[]): Promise<string> {
    const iceServers = urls.length === 0 ? {} : { iceServers: [{ urls }] }
    room = await joinRoom(url, { name, persistentIdentity: false, ...iceServers })
    return room.local.id
  },
  nat: async (): Promise<NatStats> => (await inRoom().stats()).nat,
  reclassify: (): Promise<NatStats> => inRoom().reclassifyNat(),
  changeNetwork: (): void => inRoom().simulate("change-network"),
  diagnostics: (): Promise<string> => inRoom().diagnostics(),
  tagsOf: (id: string): readonly string[] => inRoom().capabilities.of(id)?.tags ?? [],
  leave: (): Promise<void> => inRoom().leave(),
}

type NatPage = typeof abilities

declare global {
  var natPage: NatPage
}
globalThis.natPage = abilities
