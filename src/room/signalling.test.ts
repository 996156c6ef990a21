import { expect, test } from "vitest"
import type { ControlSession } from "../link/index.ts"
import { decodeRendezvousMessage } from "../wire/rendezvous-message.ts"
import { memberSignal, ownSignal } from "./signalling.ts"

const DESCRIPTION = new Uint8Array(200).fill(1)
const KEY8 = new Uint8Array(80).fill(2)

/** What a session was given to send. */
function sessionOf() {
  const sent: unknown[] = []
  const session = {
    id: "s1",
    closed: false,
    sendFrame: (_: number, payload: Uint8Array) => sent.push(decodeRendezvousMessage(payload)),
  }
  return { session: session as unknown as ControlSession, sent }
}

test("a member carries our attestation beside offers and answers, the newest at the time", () => {
  const { session, sent } = sessionOf()
  let attestation: Uint8Array | undefined
  const signal = memberSignal(session, () => attestation)
  signal.connect("00000000000000aa", { description: DESCRIPTION, key8: KEY8 })
  attestation = Uint8Array.of(7)
  signal.connect("00000000000000aa", { description: DESCRIPTION, key8: KEY8 })
  signal.answer("00000000000000aa", { description: DESCRIPTION })
  expect(sent).toEqual([
    { kind: "connect", targetNode: "00000000000000aa", description: DESCRIPTION, lanes: KEY8 },
    { kind: "connect", targetNode: "00000000000000aa", description: DESCRIPTION, lanes: KEY8, attestation },
    { kind: "answer", toNode: "00000000000000aa", description: DESCRIPTION, attestation },
  ])
})

test("to the other end of a routed session we introduce ourselves", () => {
  const { session, sent } = sessionOf()
  const attestation = Uint8Array.of(7)
  ownSignal(session, "00000000000000bb", () => attestation).connect("00000000000000aa", { description: DESCRIPTION })
  expect(sent).toEqual([
    { kind: "introduce", fromNode: "00000000000000bb", description: DESCRIPTION, attestation, ttlMs: 10_000 },
  ])
})

test("a session that ended carries nothing", () => {
  const { session, sent } = sessionOf()
  Object.assign(session, { closed: true })
  expect(memberSignal(session, () => undefined).connect("00000000000000aa", { description: DESCRIPTION })).toBe(false)
  expect(sent).toEqual([])
})
