/** What a relay does with a routed payload that is not for itself (control-plane 1.6). */
import { FRAME_ROUTED_HELLO } from "../wire/control-frame.ts"
import { decodeRoutedFrame, decodeRoutedHello, routedFrameWithTtl, routedHelloWithTtl } from "../wire/routed.ts"
import type { Bytes, NodeId } from "../wire/types.ts"

interface RoutedForward {
  /** Where it goes next; the relay has or has not a link to it. */
  dst: NodeId
  /** The same payload with one hop less. */
  payload: Bytes
}

/**
 * Takes one hop off. `undefined` when the payload must be dropped: no hop left, from or for ourselves, or back to where
 * it came from. Throws `RoutedInvalid` when it does not parse; nothing inside is opened.
 *
 * @param from the authenticated neighbour that handed it over
 */
export function forwardRouted(type: number, payload: Bytes, from: NodeId, self: NodeId): RoutedForward | undefined {
  const hello = type === FRAME_ROUTED_HELLO
  const { src, dst, ttl } = hello ? decodeRoutedHello(payload) : decodeRoutedFrame(payload)
  if (ttl <= 1 || dst === self || src === self || dst === from) return undefined
  return { dst, payload: hello ? routedHelloWithTtl(payload, ttl - 1) : routedFrameWithTtl(payload, ttl - 1) }
}

/** Who a routed payload is from and for, without opening it. Throws `RoutedInvalid`. */
export function routedAddress(type: number, payload: Bytes): { src: NodeId; dst: NodeId } {
  const { src, dst } = type === FRAME_ROUTED_HELLO ? decodeRoutedHello(payload) : decodeRoutedFrame(payload)
  return { src, dst }
}
