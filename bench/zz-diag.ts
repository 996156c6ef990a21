import { setStage } from "../e2e/browsers.ts"
import { createRendezvousServer } from "../server/rendezvous.ts"
import { buildSite } from "./browser/site.ts"
const site = await buildSite()
const stage = await setStage()
const server = await createRendezvousServer({ staticDir: site.folder, logLevel: "silent" })
const init = () => {
  const log: string[] = []
  const t0 = performance.now()
  ;(globalThis as any).diag = log
  const add = (s: string) => log.push(`${(performance.timeOrigin+performance.now()).toFixed(0).slice(-6)} ${s}`)
  const Real = RTCPeerConnection
  let n = 0
  globalThis.RTCPeerConnection = class extends Real {
    constructor(c?: RTCConfiguration) {
      super(c)
      const id = n++
      add(`pc${id} new`)
      this.addEventListener("connectionstatechange", () => add(`pc${id} ${this.connectionState}`))
      this.addEventListener("icecandidateerror", () => add(`pc${id} icecandidateerror`))
    }
    override close() { add(`pc close`); super.close() }
  } as typeof RTCPeerConnection
  const send = RTCDataChannel.prototype.send
  const text = (d: any) => { try { const s = typeof d === "string" ? d : new TextDecoder().decode(d); const m = s.match(/"t":"([^"]*)"/); return m ? m[1] + (s.match(/"(code|reason|why|stage|status|pending)":"[^"]*"/g)?.join() ?? "") : "bin" + (d.byteLength ?? "") } catch { return "?" } }
  RTCDataChannel.prototype.send = function (d: any) { const s = text(d); if (s) add(`> ${this.label} ${s}`); return send.call(this, d) }
  const desc = Object.getOwnPropertyDescriptor(RTCDataChannel.prototype, "onmessage")!
  Object.defineProperty(RTCDataChannel.prototype, "onmessage", { ...desc, set(f) { desc.set!.call(this, (e: MessageEvent) => { add(`< ${this.label} ${text(e.data)}`); f.call(this, e) }) } })
  const ael = RTCDataChannel.prototype.addEventListener
  RTCDataChannel.prototype.addEventListener = function (k: any, f: any, o: any) { return ael.call(this, k, k === "message" ? (e: any) => { add(`< ${this.label} ${text(e.data)}`); f.call(this, e) } : f, o) } as any
  const ws = WebSocket.prototype.send
  WebSocket.prototype.send = function (d: any) { add(`ws> ${d.byteLength ?? d.length}`); return ws.call(this, d) }
}
let k = 0
async function open() {
  const p = await stage.open(`d${k}`, ++k, "/script-tag/", { init })
  await p.page.goto(`http://localhost:${server.port}/`)
  await p.page.waitForFunction(() => "bench" in globalThis)
  await p.page.evaluate(() => globalThis.bench.prepare())
  return p
}
const sender = await open()
const url = await sender.page.evaluate(() => globalThis.bench.newRoom())
await sender.page.evaluate((u) => globalThis.bench.publish(u), url)
const twice = process.argv[2] === "twice"
for (let i = 0; i < 14; i++) {
  const r = await open()
  await sender.page.evaluate(() => { (globalThis as any).diag.length = 0 })
  const t = await r.page.evaluate((u) => globalThis.bench.receive(u), url)
  console.log(i, Math.round(t.joined))
  if (t.joined > 3500) {
    console.log("RECEIVER\n" + (await r.page.evaluate(() => (globalThis as any).diag.join("\n"))))
    console.log("SENDER\n" + (await sender.page.evaluate(() => (globalThis as any).diag.join("\n"))))
    break
  }
  await r.page.evaluate(() => globalThis.bench.leave())
  await r.page.waitForTimeout(1000)
  if (twice) { await r.page.evaluate((u) => globalThis.bench.receive(u), url); await r.page.evaluate(() => globalThis.bench.leave()); await r.page.waitForTimeout(1000) }
  await r.browser.close()
}
await server.close(); await stage.close(); site.remove()
