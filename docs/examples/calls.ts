/** Members of a room call each other: a typed service, a stream, a list of who may, and a channel that asks for tokens. */
import { joinRoom, type RpcService } from "holomesh"

const room = await joinRoom("wss://meet.example/team-standup#k=…", { name: "Ada" })

/** Share this between those who serve and those who call. With `input` and `output` (zod, valibot, arktype) it is checked as well. */
const poll: RpcService<{ question: string; answers: string[] }, { votes: number[] }> = { name: "poll/start" }

const friends = new Set<string>()
const serving = room.rpc.serve(poll, async ({ answers }) => ({ votes: answers.map(() => 0) }), {
  allow: (caller) => friends.has(caller.id),
})

room.rpc.serveStream("clock", async function* (_body, { signal }) {
  while (!signal.aborted) {
    yield new TextEncoder().encode(new Date().toISOString())
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  }
})

for (const participant of room.participants.values()) {
  const { votes } = await room.rpc.call(
    participant,
    poll,
    { question: "Lunch?", answers: ["now", "later"] },
    { timeoutMs: 5_000 },
  )
  document.body.append(`${participant.name}: ${votes.join(" ")}`)
}

for await (const time of room.rpc.callStream("any", "clock", new Uint8Array())) {
  document.body.append(new TextDecoder().decode(time))
  break
}

const captions = room.channel("captions", { roots: [room.local] })
await captions.open()
for (const participant of room.participants.values()) {
  const token = await room.tokens.issue({ to: participant, channel: "captions", rights: ["subscribe"], ttlSeconds: 3_600 })
  await room.rpc.call(participant, "captions/token", token)
}
await captions.publish(new TextEncoder().encode("Good morning"))

serving.dispose()
await room.leave()
