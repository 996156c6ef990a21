/** Which messages and frames are accepted from whom (RM-6, RM-26). Everything else is dropped and counted. */
import type { PeerClass } from "./types.ts"

const STRANGER = ["av.keys", "av.kex", "room.knock", "room.join", "RENDEZVOUS", "PING", "PONG", "GOAWAY"]
const TO_NEWCOMER = ["room.head", "room.refuse", "room.pending", "av.welcome"]
/** Messages along a subscription; the media side handles them. */
export const SUBSCRIBE_FAMILY: readonly string[] = [
  "av.subscribe",
  "av.subscribed",
  "av.refused",
  "av.policy",
  "av.unsubscribe",
  "av.keyframe",
  "av.leaving",
]
const JOINER = [...STRANGER, "av.leaf?", "ROUTED", "ROUTED_HELLO", "link.lane"]
const RELAY = [
  ...STRANGER,
  ...SUBSCRIBE_FAMILY,
  "ROUTED",
  "ROUTED_HELLO",
  "link.lane",
  "av.mls",
  "room.alive",
  "av.capacity",
  "media",
]

const ACCEPTED: Record<Exclude<PeerClass, "member">, ReadonlySet<string>> = {
  stranger: new Set(STRANGER),
  joiner: new Set(JOINER),
  relay: new Set(RELAY),
}
const ACCEPTED_BY_NEWCOMER: ReadonlySet<string> = new Set(TO_NEWCOMER)

/**
 * True when a peer of that class may send it. `kind` is the `t` of a JSON message, the name of a frame type, `media`, or the name of a
 * BINARY message. A newcomer has no tree yet and listens to answers from anybody.
 */
export function acceptsFrom(peerClass: PeerClass, iAmNewcomer: boolean, kind: string): boolean {
  if (peerClass === "member") return true
  return ACCEPTED[peerClass].has(kind) || (iAmNewcomer && ACCEPTED_BY_NEWCOMER.has(kind))
}
