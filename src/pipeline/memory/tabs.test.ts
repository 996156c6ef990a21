/** Two pages of one browser in one room: one storage, kept by one of them, used by both. */
import { afterEach, expect, test, vi } from "vitest"
import { readFountainWasm } from "../../fountain/node.ts"
import { TestLocks, testChannels } from "../../holonomic/tabs/testing.ts"
import { testPeer } from "../../holonomic/testing.ts"
import { MemoryHoloStorage } from "../../store/holo/memory.ts"
import { type MemoryPort, MemoryService } from "./service.ts"
import type { MemoryEvent } from "./types.ts"

class Browser {
  readonly #locks = new TestLocks()
  readonly #open = testChannels()
  #storage = new MemoryHoloStorage()
  /** Open storages now: never two. */
  opened = 0
  readonly pages: MemoryService[] = []

  async page(seed: number, preferred: boolean) {
    const signer = await testPeer(seed)
    const openStorage = async () => {
      this.opened += 1
      expect(this.opened).toBe(1)
      this.#storage = new MemoryHoloStorage({ contents: this.#storage.contents })
      const close = this.#storage.close.bind(this.#storage)
      this.#storage.close = async () => {
        await close()
        this.opened -= 1
      }
      return { storage: this.#storage, persistent: true }
    }
    const service = new MemoryService({ openStorage, tabs: { locks: this.#locks, channel: () => this.#open() } })
    this.pages.push(service)
    const events: MemoryEvent[] = []
    const port: MemoryPort = { onmessage: null, close: () => {}, postMessage: (event: MemoryEvent) => void events.push(event) }
    service.setEventPort(port)
    const { entityId, mlDsaPublicKey, pqHash, keyId, nodeId } = signer
    const identity = { entityId, mlDsaPublicKey, pqHash, keyId, nodeId }
    const options = { meshId: "m-tabs", identity, persistent: true, preferred }
    const { persistent } = await service.open(options, (message) => signer.signHybrid(message), await readFountainWasm())
    expect(persistent).toBe(true)
    return { service, events, keyId }
  }
}

const browsers: Browser[] = []
afterEach(async () => {
  for (const { pages } of browsers.splice(0)) for (const page of pages) await page.close()
})

function newBrowser(): Browser {
  const browser = new Browser()
  browsers.push(browser)
  return browser
}

const item = { name: "notes.txt", type: "text/plain", kind: "file" as const }
const content = new Blob(["what was said ".repeat(3_000)])
const read = async (service: MemoryService, id: string) => (await service.get(id, 9)).text()

test("a second page works with the first one's storage, and keeps it when the first one closes", async () => {
  const browser = newBrowser()
  const first = await browser.page(1, true)
  const second = await browser.page(2, false)
  const put = await second.service.put(content, item, 4)
  // It is the first one that signed it, for both.
  expect(put).toMatchObject({ producer: first.keyId, own: true })
  expect(second.events.filter(({ type }) => type === "progress").at(-1)).toMatchObject({ operation: 4, done: content.size })
  expect(first.events.some(({ type }) => type === "progress")).toBe(false)
  expect((await first.service.list()).map(({ id }) => id)).toEqual([put.id])
  await vi.waitFor(() => expect(second.events.some(({ type }) => type === "changed")).toBe(true), { timeout: 10_000 })
  await first.service.close()
  expect(await read(second.service, put.id)).toBe(await content.text())
  expect((await second.service.list())[0]).toMatchObject({ producer: first.keyId, own: false })
  await expect(second.service.revoke(put.id)).rejects.toMatchObject({ code: "NotAllowed" })
})

test("the page with the stored identity gets the storage back and may revoke what is its own", async () => {
  const browser = newBrowser()
  const before = await browser.page(1, true)
  const put = await before.service.put(content, item, 1)
  await before.service.close()
  const other = await browser.page(2, false)
  expect((await other.service.list())[0]).toMatchObject({ own: false })
  const back = await browser.page(1, true)
  await vi.waitFor(async () => expect((await other.service.list())[0]).toMatchObject({ own: true }), { timeout: 10_000 })
  await other.service.revoke(put.id)
  expect(await back.service.list()).toEqual([])
  await expect(other.service.get(put.id, 2)).rejects.toMatchObject({ code: "ItemNotFound" })
})

test("what a page was doing is ended by its closing, and refusals keep their names over the border of tabs", async () => {
  const browser = newBrowser()
  await browser.page(1, true)
  const second = await browser.page(2, false)
  await expect(second.service.get("nonsense", 1)).rejects.toMatchObject({ code: "UsageError" })
  await expect(second.service.put(new Blob(["x"]), { ...item, name: "" }, 2)).rejects.toMatchObject({ code: "UsageError" })
  const put = second.service.put(new Blob([new Uint8Array(4_000_000)]), item, 3)
  second.service.cancel(3)
  await expect(put).rejects.toMatchObject({ code: "Aborted" })
  await second.service.close()
  await expect(second.service.list()).rejects.toMatchObject({ code: "HandleClosedError" })
})
