/** The calls under comparison, driven from outside: how each is started and ended. */
import type { Page } from "@playwright/test"

export interface Call {
  name: string
  /** Returns when the receiver watches; the first frame may still be on its way. */
  start(sender: Page, receiver: Page, maxBitrate: number): Promise<void>
}

const holomesh: Call = {
  name: "holomesh",
  async start(sender, receiver, maxBitrate) {
    const url = await sender.evaluate(() => globalThis.networkBench.newRoom())
    await sender.evaluate(([room, rate]) => globalThis.networkBench.publish(room, rate), [url, maxBitrate] as const)
    await receiver.evaluate((room) => globalThis.networkBench.receive(room), url)
  },
}

const rtp: Call = {
  name: "rtp",
  start: (sender, receiver, maxBitrate) => connect("rtp", sender, receiver, maxBitrate),
}

export const CALLS: readonly Call[] = [holomesh, rtp]

/** Starts the competing transfer; {@link stopBulk} ends it. */
export function startBulk(sender: Page, receiver: Page): Promise<void> {
  return connect("bulk", sender, receiver, 0)
}

export async function stopBulk(sender: Page, receiver: Page): Promise<void> {
  await Promise.all([sender, receiver].map((page) => page.evaluate(() => globalThis.networkBench.closeSide("bulk"))))
}

export async function endCall(sender: Page, receiver: Page): Promise<void> {
  await Promise.all([sender, receiver].map((page) => page.evaluate(() => globalThis.networkBench.end())))
}

async function connect(kind: "rtp" | "bulk", sender: Page, receiver: Page, maxBitrate: number): Promise<void> {
  const offer = await sender.evaluate(([what, rate]) => globalThis.networkBench.offer(what, rate), [kind, maxBitrate] as const)
  const answer = await receiver.evaluate(([what, sdp]) => globalThis.networkBench.answer(what, sdp), [kind, offer] as const)
  await sender.evaluate(([what, sdp]) => globalThis.networkBench.connect(what, sdp), [kind, answer] as const)
}
