/** For the tests of this folder: a server on this machine, and Node peers in a room of it. */
import { createRendezvousServer, type RendezvousServer, type RendezvousServerOptions } from "../../server/rendezvous.ts"
import { createInvitation } from "../room/invitation.ts"
import type { Room } from "../room/types.ts"
import { joinRoom, type NodeJoinOptions } from "./join.ts"
import { nodeWebRtc } from "./webrtc/node-webrtc.ts"

const LOOK_EVERY_MS = 20
const WAIT_MS = 20_000

export class NodeRoom {
  readonly rooms: Room[] = []
  /** Codes of warnings, by name of the peer. */
  readonly warnings: string[] = []
  readonly #name: string
  readonly #options: RendezvousServerOptions
  readonly webrtc = nodeWebRtc({ bindAddress: "127.0.0.1" })
  #server: RendezvousServer | undefined
  #url = ""

  constructor(name: string, options: RendezvousServerOptions = {}) {
    this.#name = name
    this.#options = options
  }

  /** Joins the room, after starting its server; waits until everybody sees everybody. */
  async join(name: string, options: NodeJoinOptions = {}): Promise<Room> {
    const url = await this.url()
    const room = await joinRoom(url, { name, webrtc: await this.webrtc, ...options })
    room.on("warning", ({ error }) => this.warnings.push(`${name}: ${error.code}`))
    this.rooms.push(room)
    const sees = ({ participants }: Room) => [...participants.values()].filter((other) => other.name !== "").length
    await until("everybody sees everybody", () => this.rooms.every((one) => sees(one) === this.rooms.length - 1))
    return room
  }

  /** The link to the room. */
  async url(): Promise<string> {
    if (this.#server === undefined) {
      this.#server = await createRendezvousServer({ port: 0, host: "127.0.0.1", logLevel: "silent", ...this.#options })
      this.#url = createInvitation(`ws://127.0.0.1:${this.#server.port}`, this.#name).url
    }
    return this.#url
  }

  /** Waits until each of `size` peers has a direct link with every other. */
  async linked(size: number): Promise<void> {
    const direct = ({ participants }: Room) =>
      [...participants.values()].filter(({ connection }) => connection === "direct").length
    await until("direct links", () => this.rooms.filter((room) => direct(room) === size - 1).length === size)
  }

  /** Kills the server; the room goes on. */
  async stopServer(): Promise<void> {
    await this.#server?.close()
  }

  async close(): Promise<void> {
    await Promise.all(this.rooms.map((room) => room.leave()))
    await this.#server?.close()
    const { idle } = await this.webrtc
    await idle()
  }
}

export async function until(what: string, done: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + WAIT_MS
  while (!(await done())) {
    if (Date.now() > end) throw new Error(`waited in vain for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}
