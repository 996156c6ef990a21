/** The other process of `rpc-nodes`: joins the room of its first argument and answers calls until its parent goes. */
import { joinRoom } from "../../src/node/index.ts"
import { serveEcho } from "../round-trips.ts"

const url = process.argv[2]
if (url === undefined) throw new Error("a room is needed")
const room = await joinRoom(url, { name: "callee", bindAddress: "127.0.0.1" })
serveEcho(room)
process.on("disconnect", () => process.exit())
