/** The library behind the face of `RTCPeerConnection`: what links rely on. */
import { afterEach, describe, expect, test } from "vitest"
import { candidateInit, parseCandidate } from "../../link/candidates.ts"
import { MEDIA_CHANNEL } from "../../link/lane-forward.ts"
import { buildSdp, readSdp } from "../../link/sdp.ts"
import { transportStats } from "../../link/transport-stats.ts"
import { AvError } from "../../wire/errors.ts"
import { freePort } from "../test-port.ts"
import type { NativeConfig, NodeDataChannel } from "./library.ts"
import { nodeWebRtc } from "./node-webrtc.ts"
import { NodeCertificate, NodePeerConnection } from "./peer-connection.ts"

const webrtc = await nodeWebRtc({ bindAddress: "127.0.0.1" })
const open: RTCPeerConnection[] = []

afterEach(async () => {
  for (const connection of open.splice(0)) connection.close()
  await webrtc.idle()
})

async function connection(certificate?: RTCCertificate): Promise<RTCPeerConnection> {
  const made = webrtc.connect({ certificates: [certificate ?? (await webrtc.certificate())] })
  open.push(made)
  return made
}

/** As links do it: descriptions are built from fields, candidates go their own way. */
async function join(offerer: RTCPeerConnection, answerer: RTCPeerConnection): Promise<void> {
  for (const [from, to] of [
    [offerer, answerer],
    [answerer, offerer],
  ] as const) {
    from.onicecandidate = ({ candidate }) => {
      const entry = candidate === null ? undefined : parseCandidate(candidate.candidate)
      if (entry === undefined) return
      const add = () => to.addIceCandidate(candidateInit(entry, 0)).catch(() => setTimeout(add, 5))
      void add()
    }
  }
  await offerer.setLocalDescription(await offerer.createOffer())
  const offer = readSdp(offerer.localDescription?.sdp ?? "")
  await answerer.setRemoteDescription({ type: "offer", sdp: buildSdp("offer", offer) })
  await answerer.setLocalDescription(await answerer.createAnswer())
  const answer = readSdp(answerer.localDescription?.sdp ?? "")
  await offerer.setRemoteDescription({ type: "answer", sdp: buildSdp("answer", answer) })
}

function opened(channel: RTCDataChannel): Promise<void> {
  if (channel.readyState === "open") return Promise.resolve()
  return new Promise((resolve) => {
    channel.onopen = () => resolve()
  })
}

describe("connections of the library", () => {
  test("carry channels that both ends know, with messages of every size that links send", async () => {
    const [a, b] = [await connection(), await connection()]
    const [out, back] = [a.createDataChannel("av", MEDIA_CHANNEL), b.createDataChannel("av", MEDIA_CHANNEL)]
    const heard: unknown[] = []
    back.onmessage = ({ data }) => heard.push(data)
    await join(a, b)
    await Promise.all([opened(out), opened(back)])
    for (const size of [1, 1_200, 16_384]) {
      const message = Uint8Array.from({ length: size + 2 }, (_, i) => i % 251).subarray(1, size + 1)
      out.send(message)
      // What is sent is the message as it was: the caller uses its buffer again.
      message.fill(0)
    }
    await expect.poll(() => heard.length).toBe(3)
    expect(heard.every((data) => data instanceof ArrayBuffer)).toBe(true)
    const sizes = heard.map((data) => (data as ArrayBuffer).byteLength)
    expect(sizes.sort((x, y) => x - y)).toEqual([1, 1_200, 16_384])
    const longest = heard.find((data) => (data as ArrayBuffer).byteLength === 16_384) as ArrayBuffer
    expect(
      Buffer.compare(
        new Uint8Array(longest),
        Uint8Array.from({ length: 16_384 }, (_, i) => (i + 1) % 251),
      ),
    ).toBe(0)
    expect([a.connectionState, a.signalingState, (await transportStats(a)).path]).toEqual(["connected", "stable", "host"])
  })

  test("tell of the peer's channels, of room in the buffer, and of the end", async () => {
    const [a, b] = [await connection(), await connection()]
    const out = a.createDataChannel("ctl", { ordered: true })
    const back = new Promise<RTCDataChannel>((resolve) => {
      b.ondatachannel = ({ channel }) => resolve(channel)
    })
    await join(a, b)
    const channel = await back
    expect([channel.label, channel.ordered, channel.maxRetransmits]).toEqual(["ctl", true, null])
    await Promise.all([opened(out), opened(channel)])
    out.bufferedAmountLowThreshold = 10_000
    const low = new Promise<void>((resolve) => {
      out.onbufferedamountlow = () => resolve()
    })
    for (let i = 0; i < 40; i++) out.send(new Uint8Array(50_000))
    expect(out.bufferedAmount).toBeGreaterThan(10_000)
    await low
    const ended = new Promise<void>((resolve) => {
      channel.onclose = () => resolve()
    })
    a.close()
    expect(() => out.send(new Uint8Array(1))).toThrow("not open")
    await ended
    expect([channel.readyState, a.connectionState, a.signalingState]).toEqual(["closed", "closed", "closed"])
    expect(() => out.send(new Uint8Array(1))).toThrow("not open")
    await expect(a.addIceCandidate({ candidate: "candidate:0 1 udp 1 127.0.0.1 9 typ host" })).rejects.toThrow()
  })

  test("of one link show the same certificate", async () => {
    const certificate = await webrtc.certificate()
    const prints: string[] = []
    for (const one of [await connection(certificate), await connection(certificate), await connection()]) {
      one.createDataChannel("av", MEDIA_CHANNEL)
      await one.setLocalDescription(await one.createOffer())
      prints.push(readSdp(one.localDescription?.sdp ?? "").fingerprint.join())
    }
    const own = (certificate as unknown as NodeCertificate).pem.fingerprint.join()
    expect(prints.map((print) => print === own)).toEqual([true, true, false])
  })

  test("cannot restart ICE, and say so", async () => {
    const one = await connection()
    await expect(one.createOffer({ iceRestart: true })).rejects.toMatchObject({ code: "RestartUnsupported" })
    expect(webrtc.restarts).toBe(false)
  })

  test("share one UDP port where that is wanted, and tell where a gateway maps it to", async () => {
    const udpPort = await freePort()
    const shared = await nodeWebRtc({
      bindAddress: "127.0.0.1",
      udpPort,
      external: () => ({ host: "198.51.100.7", port: 41_000 }),
    })
    const told: string[] = []
    const opening = [1, 2].map(async () => {
      const [a, b] = [shared.connect({ certificates: [await shared.certificate()] }), await connection()]
      open.push(a)
      const [out, back] = [a.createDataChannel("av", MEDIA_CHANNEL), b.createDataChannel("av", MEDIA_CHANNEL)]
      await join(a, b)
      const pass = a.onicecandidate
      a.onicecandidate = (event) => {
        told.push(event.candidate?.candidate.replace(/^.*udp \d+ /i, "").replace(/ raddr.*$/, "") ?? "")
        pass?.call(a, event)
      }
      await Promise.all([opened(out), opened(back)])
    })
    await Promise.all(opening)
    const each = [`127.0.0.1 ${udpPort} typ host`, "198.51.100.7 41000 typ srflx"]
    expect(told.sort()).toEqual([...each, ...each].sort())
    for (const one of open) one.close()
    await shared.idle()
  })

  test("that never meet anybody end all the same", async () => {
    const lonely = await connection()
    lonely.createDataChannel("av", MEDIA_CHANNEL)
    await lonely.setLocalDescription(await lonely.createOffer())
    lonely.close()
    await webrtc.idle()
    await (await connection()).close()
    await webrtc.idle()
  })
})

describe("configuration", () => {
  /** What a connection with these ICE servers would be opened with. */
  async function configured(iceServers: RTCIceServer[]): Promise<NativeConfig | undefined> {
    let seen: NativeConfig | undefined
    class Native {
      constructor(_name: string, config: NativeConfig) {
        seen = config
        throw new AvError("UsageError", { why: "seen enough" })
      }
    }
    const library = { PeerConnection: Native } as unknown as NodeDataChannel
    const given = await nodeWebRtc({ load: async () => library, bindAddress: "10.0.0.7", udpPort: 40_000 })
    const certificates = [await given.certificate()]
    expect(() => given.connect({ certificates, iceServers })).toThrow("seen enough")
    return seen
  }

  test("names STUN and TURN servers over UDP, with what they want escaped, and where sockets go", async () => {
    const config = await configured([
      { urls: ["stun:stun.example:3478", "stuns:stun.example"] },
      { urls: "turn:turn.example:3478?transport=udp", username: "1795:ada@home", credential: "a/b:c" },
      { urls: "turn:turn.example:3478?transport=tcp", username: "u", credential: "c" },
      { urls: "turn:nobody.example" },
    ])
    expect(config).toMatchObject({ bindAddress: "10.0.0.7", enableIceUdpMux: true, portRangeBegin: 40_000, portRangeEnd: 40_000 })
    expect(config?.iceServers).toEqual(["stun:stun.example:3478", "turn:1795%3Aada%40home:a%2Fb%3Ac@turn.example:3478"])
  })

  test("a certificate of somebody else is a mistake", async () => {
    const { PeerConnection } = (await import("node-datachannel")).default as unknown as NodeDataChannel
    expect(() => new NodePeerConnection({ PeerConnection }, {}, {}, undefined as never)).toThrow("certificate")
    expect(await webrtc.certificate()).toBeInstanceOf(NodeCertificate)
  })
})
