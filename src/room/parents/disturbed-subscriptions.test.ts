/**
 * Subscriptions whose messages are late, out of order, or lost with their link, and parents that forget a child: when the trouble is over, the
 * child is fed by two parents, and nobody serves it that it does not know of.
 */
import fc from "fast-check"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import type { ParentCandidate } from "../../alm/index.ts"
import type { KnownControlMessage } from "../../wire/control-json.ts"
import { UNCAPPED } from "../../wire/layers.ts"
import { SubscriberDesk } from "../subscriber-desk.ts"
import { testStream } from "../test-stream.ts"
import { Upstream } from "../upstream.ts"
import { StreamParents } from "./stream-parents.ts"

const START = 1_700_000_000_000
const TROUBLE_MS = 12_000
const CALM_MS = 30_000
const STEP_MS = 50
const PARENTS = ["pub", "rob", "sue", "tom"]
const cam = testStream(7, { mbps: 0.5 })

const calm: Fate = { delayMs: 20, lost: false, refused: false }

const textOf = (bytes: Uint8Array) => bytes.join()

/**
 * Delay of one message, ms; whether it is lost, which no taking back ever is: what ends a link ends what ran over it; and whether a parent refuses
 * what it asks for.
 */
interface Fate {
  delayMs: number
  lost: boolean
  refused: boolean
}

/** One child and four parents; `fate` decides about every message. */
class Scene {
  now = START
  trouble = true
  /** Key of the child's subscription as each parent has it. */
  readonly serving = new Map<string, string>()
  readonly upstream: Upstream
  readonly parents: StreamParents
  readonly #expected = new Map<string, string>()
  readonly #heardAt = new Map<string, number>()
  readonly #started = new Map<string, string>()
  readonly #desks = new Map<string, SubscriberDesk>()
  #chunks = new Map<string, number>()
  #nonce = 0

  constructor(readonly fate: () => Fate) {
    for (const parent of PARENTS) this.#desks.set(parent, this.#desk(parent))
    const send = (to: string, message: KnownControlMessage) => {
      this.#carry(message, () => void this.#desks.get(to)?.take("link", "me", message))
      return true
    }
    this.upstream = new Upstream(cam, "pub", {
      random: (length) => {
        this.#nonce += 1
        return Uint8Array.from({ length }, (_, place) => (place < 4 ? this.#nonce >> (8 * place) : 0) & 255)
      },
      send,
      linkTo: (keyId) => ({ id: `link-${keyId}`, send: (message) => send(keyId, message) }),
      meshSubscribe: async ({ from, subNonce }) => {
        this.#expected.set(from, textOf(subNonce))
        return { ok: true }
      },
      meshUnsubscribe: (_, from) => {
        this.#expected.delete(from)
        this.#heardAt.delete(from)
        this.#chunks.delete(from)
      },
      meshDeliver: () => {},
    })
    this.parents = new StreamParents(this.upstream, {
      me: "me",
      now: () => this.now,
      random: () => 0.5,
      connect: () => {},
      keyframe: () => {},
    })
  }

  begin(): void {
    this.upstream.start(() => UNCAPPED)
    this.upstream.drive(this.parents)
    this.parents.begin(this.#knowledge())
  }

  async step(): Promise<void> {
    this.now += STEP_MS
    await vi.advanceTimersByTimeAsync(STEP_MS)
    for (const [parent, key] of this.serving) {
      if (this.#expected.get(parent) !== key) continue
      this.#chunks.set(parent, (this.#chunks.get(parent) ?? 0) + 2)
      this.#heardAt.set(parent, this.now)
      if (this.#started.get(parent) === key) continue
      this.#started.set(parent, key)
      this.upstream.started(parent)
    }
    if ((this.now - START) % 250 !== 0) return
    if ((this.now - START) % 1_000 === 0) this.parents.learn(this.#knowledge())
    this.parents.tick(
      [...this.#expected.keys()].map((from) => {
        const heardAt = this.#heardAt.get(from)
        const base = this.#chunks.get(from) ?? 0
        const silentMs = heardAt === undefined ? 60_000 : this.now - heardAt
        return { from, started: heardAt !== undefined, silentMs, base, upper: base, bytes: 1_000 * base }
      }),
    )
  }

  /** Those that send with a key that the child has. */
  get feeding(): string[] {
    return [...this.serving].flatMap(([parent, key]) => (this.#expected.get(parent) === key ? [parent] : []))
  }

  #knowledge() {
    const candidates = PARENTS.map((advertiserKeyId, place): ParentCandidate => {
      const limits = { uplinkMbps: 20, maxStreams: 8, maxSubscribersPerStream: 8, measuredAtUnixMs: BigInt(this.now) }
      const capacity = { ...limits, maxLayerSupported: UNCAPPED, subStreamCommitments: [] }
      return { signedCapacity: { advertiserKeyId, capacity }, reachabilityRatio: 1, rttMsEstimate: 10 + 10 * place, linked: true }
    })
    return { candidates, neighbours: [], tree: undefined, children: [] }
  }

  #desk(parent: string): SubscriberDesk {
    const ok = { ok: true } as const
    const unknown = { ok: false, error: "SubscriberNotFound" } as const
    const names = (subNonce: Uint8Array) => this.serving.get(parent) === textOf(subNonce)
    return new SubscriberDesk({
      mesh: {
        addSubscriber: async ({ subNonce }) => {
          if (this.trouble && this.fate().refused) return { ok: false, error: "CapacityExceeded" }
          this.serving.set(parent, textOf(subNonce))
          return ok
        },
        setSubscriberPolicy: async (_streamId, _peer, _policy, subNonce) => (names(subNonce) ? ok : unknown),
        removeSubscriber: async (_streamId, _peer, subNonce) => (names(subNonce) && this.serving.delete(parent) ? ok : unknown),
        requestKeyframe: async () => {},
      },
      send: (_, message) => {
        this.#carry(message, () => this.#answered(parent, message))
        return true
      },
      mayServe: () => true,
      makePlace: async () => false,
      isKept: () => false,
      child: () => {},
    })
  }

  #answered(parent: string, message: KnownControlMessage): void {
    if (message.t === "av.subscribed") this.upstream.granted(parent, message.subNonce)
    if (message.t === "av.refused") this.upstream.answered(parent, message.subNonce, message.error)
  }

  #carry(message: KnownControlMessage, arrive: () => void): void {
    const { delayMs, lost } = this.trouble ? this.fate() : calm
    if (!lost || message.t === "av.unsubscribe") setTimeout(arrive, delayMs)
  }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

it("the child is fed by two again, and by nobody else", async () => {
  const often = (tenths: number) => fc.integer({ min: 0, max: 9 }).map((n) => n < tenths)
  const fate = fc.record({ delayMs: fc.integer({ min: 1, max: 900 }), lost: often(3), refused: often(2) })
  const forgets = fc.array(fc.record({ at: fc.integer({ min: 0, max: TROUBLE_MS }), parent: fc.constantFrom(...PARENTS) }), {
    maxLength: 8,
  })
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fate), forgets, async (fates, forgotten) => {
      const scene = new Scene(() => fates.next().value)
      scene.begin()
      while (scene.now < START + TROUBLE_MS) {
        await scene.step()
        for (const { at, parent } of forgotten) {
          if (scene.now - START - at >= 0 && scene.now - START - at < STEP_MS) scene.serving.delete(parent)
        }
      }
      scene.trouble = false
      while (scene.now < START + TROUBLE_MS + CALM_MS) await scene.step()
      const asked = scene.parents.parents.map(({ keyId }) => keyId)
      expect(scene.feeding.length).toBeGreaterThanOrEqual(2)
      expect(asked).toEqual(expect.arrayContaining([...scene.serving.keys()]))
      vi.clearAllTimers()
    }),
    { numRuns: 100 },
  )
}, 60_000)
