/** Calls between two Node processes over real data channels. */
import { fork } from "node:child_process"
import { createRendezvousServer } from "../../server/rendezvous.ts"
import { createInvitation, joinRoom, nodeWebRtc } from "../../src/node/index.ts"
import type { Effort } from "../measure.ts"
import { findEcho, ROUND_TRIPS, timeRoundTrips } from "../round-trips.ts"
import type { BenchRow, Subject } from "../subject.ts"

/** Measured time for each line in multiples of what a line takes otherwise: a link is noisier than a function. */
const LONGER = 4

async function run(effort: Effort): Promise<BenchRow[]> {
  const server = await createRendezvousServer({ port: 0, host: "127.0.0.1", logLevel: "silent" })
  const { url } = createInvitation(`ws://127.0.0.1:${server.port}`, "bench")
  const webrtc = await nodeWebRtc({ bindAddress: "127.0.0.1" })
  const room = await joinRoom(url, { name: "caller", webrtc })
  const callee = fork(new URL("./rpc-peer.ts", import.meta.url), [url], { execArgv: ["--import", "tsx"] })
  try {
    const peer = await findEcho(room)
    const rows: BenchRow[] = []
    for (const [size, together] of ROUND_TRIPS) {
      rows.push(await timeRoundTrips(room, peer, size, together, effort.timeMs * LONGER))
    }
    return rows
  } finally {
    callee.disconnect()
    await room.leave()
    await server.close()
    await webrtc.idle()
  }
}

export const rpcNodes: Subject = {
  name: "rpc-nodes",
  title: "Calls between two Node peers",
  note: "Unary echo between two Node processes on one machine, members of one room, over the reliable data channel of a real link (node-datachannel). Each caller waits for its answer before it asks again.",
  run,
}
