/** A command's stay in a room: joining, being interrupted, and leaving in order whatever happens. */
import { joinRoom, type NodeJoinOptions, type NodeWebRtc, nodeWebRtc, type Room } from "../../src/node/index.ts"
import { AvError } from "../../src/wire/errors.ts"
import { loadMember } from "../identity-file.ts"

/** What a shell says of a program that Ctrl+C ended. */
export const INTERRUPTED = 130
const LOOK_EVERY_MS = 100
const CLOSING_MS = 5_000
/** For the last words on stdout, ms. */
const LINGER_MS = 2_000

/** How any command of this kind gets into a room. */
export interface StayFlags {
  url: string
  name: string
  open?: boolean
  bind?: string
  identity?: string
  insecurePermissions?: boolean
}

/** Runs something that SIGINT and SIGTERM ask to end; whoever asks twice does not want to wait. */
export async function interruptible<T>(run: (stopped: AbortSignal) => Promise<T>): Promise<T> {
  const control = new AbortController()
  const stop = () => {
    if (control.signal.aborted) process.exit(INTERRUPTED)
    control.abort()
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  try {
    return await run(control.signal)
  } finally {
    process.off("SIGINT", stop)
    process.off("SIGTERM", stop)
  }
}

/** Options of `joinRoom` that the flags stand for. */
export async function joinOptions({
  name,
  open,
  bind,
  identity,
  insecurePermissions = false,
}: StayFlags): Promise<NodeJoinOptions> {
  return {
    name,
    // Where it looks at its NAT from, too.
    ...(bind === undefined ? {} : { bindAddress: bind }),
    ...(open === undefined ? {} : { open }),
    ...(identity === undefined ? {} : { identity: await loadMember(identity, { insecurePermissions }) }),
  }
}

/**
 * Joins, works, leaves. The room is left before this resolves or rejects, and the process can end.
 * @param work is not waited for once the room has ended by itself
 * @returns undefined when it was stopped while it joined
 * @throws what `joinRoom` throws, what `work` throws, and why the room ended by itself
 */
export async function stay<T>(
  { url, options, webrtc, stopped }: { url: string; options: NodeJoinOptions; webrtc: NodeWebRtc; stopped: AbortSignal },
  work: (room: Room) => Promise<T>,
): Promise<T | undefined> {
  // Only joining is cut short: a room that was joined is left in order.
  const joining = new AbortController()
  const cut = () => joining.abort()
  stopped.addEventListener("abort", cut)
  if (stopped.aborted) cut()
  let room: Room
  try {
    room = await joinRoom(url, { ...options, webrtc, signal: joining.signal })
  } catch (error) {
    if (stopped.aborted) return undefined
    throw error
  } finally {
    stopped.removeEventListener("abort", cut)
  }
  try {
    const ended = new Promise<never>((_, reject) => {
      room.on("left", ({ reason, error }) => {
        if (reason !== "left") reject(error ?? new AvError("RoomClosed"))
      })
    })
    return await Promise.race([work(room), ended])
  } finally {
    await room.leave()
    await closed(webrtc)
  }
}

/** Otherwise the process would end while the library still closes connections. What it never closes must not keep the process either. */
async function closed(webrtc: NodeWebRtc): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CLOSING_MS)
  })
  await Promise.race([webrtc.idle(), patience])
  clearTimeout(timer)
  // A channel that closed before anybody listened to it holds the process for good; whoever can end by itself does so before.
  setTimeout(() => process.exit(), LINGER_MS).unref()
}

/** {@link stay} with nothing special about it. */
export async function stayAs<T>(
  flags: StayFlags,
  stopped: AbortSignal,
  work: (room: Room) => Promise<T>,
): Promise<T | undefined> {
  const { url, bind } = flags
  const webrtc = await nodeWebRtc(bind === undefined ? {} : { bindAddress: bind })
  // Whoever comes for a moment is no help to others.
  const options = { ...(await joinOptions(flags)), relay: { enabled: false }, memory: false } as const
  return stay({ url, options, webrtc, stopped }, work)
}

/** Waits until `done` gives something, the time is over (undefined), or the stay is to end (undefined). */
export async function waitFor<T>(done: () => T | undefined, ms: number, stopped: AbortSignal): Promise<T | undefined> {
  const end = performance.now() + ms
  for (;;) {
    const found = done()
    if (found !== undefined || stopped.aborted || performance.now() >= end) return found
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}

export function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener("abort", () => resolve(), { once: true })
  })
}
