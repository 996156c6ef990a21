/** Who of the subscribers gets a message: all without a group, one of each queue group in turn (control-plane 5.7). */
import type { ChannelSession } from "./channel-session.ts"

/** Groups whose turn is remembered; a forgotten one starts again with its first member. */
const MAX_CURSORS = 4_096

/** `sessions` may include some that are no longer subscribed; `cursors` holds the turn of each group of each channel. */
export function chooseReceivers(
  sessions: readonly ChannelSession[],
  channel: string,
  cursors: Map<string, number>,
): ChannelSession[] {
  const chosen: ChannelSession[] = []
  const groups = new Map<string, ChannelSession[]>()
  for (const session of sessions) {
    const subscriber = session.subscribers.get(channel)
    if (subscriber === undefined) continue
    if (subscriber.group === "") chosen.push(session)
    else groups.set(subscriber.group, [...(groups.get(subscriber.group) ?? []), session])
  }
  for (const [group, members] of groups) {
    const key = `${channel} ${group}`
    const turn = cursors.get(key) ?? 0
    cursors.delete(key)
    cursors.set(key, (turn + 1) % Number.MAX_SAFE_INTEGER)
    const [oldest] = cursors.keys()
    if (cursors.size > MAX_CURSORS && oldest !== undefined) cursors.delete(oldest)
    const member = members[turn % members.length]
    if (member !== undefined) chosen.push(member)
  }
  return chosen
}
