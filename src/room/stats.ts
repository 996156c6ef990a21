/** Gathers `room.stats()` from the machine, the links and the workers. */

import type { RoomMachineFace } from "../membership/index.ts"
import {
  type MeshLaneStats,
  type MeshLinkStats,
  type MeshReceiveStats,
  type MeshRelayStats,
  type MeshSendStats,
  streamKeyOf,
} from "../pipeline/index.ts"
import type { PublishStreamStats } from "../pipeline/publish/types.ts"
import type { ReceiveStats } from "../pipeline/receive/types.ts"
import { toHex } from "../wire/index.ts"
import type { MediaPlane } from "./media-plane.ts"
import type { ParentDirector } from "./parents/director.ts"
import type { RoomParticipant } from "./participant.ts"
import type { PeerHub } from "./peer-hub.ts"
import type { QualityBoard } from "./quality-board.ts"
import type { RemoteSubscription } from "./remote-subscription.ts"
import type {
  LaneStats,
  LinkFlowStats,
  LinkStats,
  ParentStats,
  ReceiveStreamStats,
  RelayStats,
  RoomStats,
  SendStreamStats,
} from "./types.ts"
import type { RoomWorkers } from "./workers.ts"

/** Where the figures come from. */
interface StatsSources {
  machine: RoomMachineFace
  hub: PeerHub
  media: MediaPlane
  workers: RoomWorkers
  local: RoomParticipant
  roomName: string
  serverConnected: boolean
  warnings: Readonly<Record<string, number>>
  quality: Pick<QualityBoard, "quality" | "freezes">
  parents: Pick<ParentDirector, "parentsOf" | "counts" | "desk">
  control: RoomStats["control"]
  nat: RoomStats["nat"]
  direct: RoomStats["direct"]
}

export async function collectStats(sources: StatsSources): Promise<RoomStats> {
  const { machine, hub, media, workers, local, roomName, serverConnected, warnings, quality, control } = sources
  const [mesh, publish, receive, transports] = await Promise.all([
    workers.mesh.stats(),
    workers.publish.stats(),
    workers.receive.stats(),
    hub.transportStats(),
  ])
  const qualityOf = (key: string) => {
    const value = quality.quality(key)
    return value === undefined ? {} : { quality: value }
  }
  const published = new Map(publish.map((stream) => [stream.streamKey, stream]))
  const played = new Map(receive.map((stream) => [stream.streamKey, stream]))
  const send = mesh.send.flatMap((stream) => {
    const key = streamKeyOf(stream.streamId)
    const publication = media.publications.byStreamKey(key)
    if (publication === undefined) return []
    const place = pick(media.publications.stream(key), ["spatial", "description"])
    return [{ ...sendStats(publication.id, key, stream, published.get(key)), ...place, ...qualityOf(key) }]
  })
  const received = mesh.receive.flatMap((stream) => {
    const key = streamKeyOf(stream.streamId)
    const subscription = media.subscriptions.byStreamKey(key)
    if (subscription === undefined) return []
    const freezes = quality.freezes(key)
    const figures = receiveStats(subscription.id, subscription.participant.id, key, stream, played.get(key))
    const layer = layerStats(subscription, key, figures.layer)
    const parents = parentStats(sources.parents, key, figures.from)
    return [{ ...figures, ...layer, parents, ...(freezes === undefined ? {} : { freezes }), ...qualityOf(key) }]
  })
  const meshLinks = new Map(mesh.links.map((link) => [link.link, link]))
  const links = transports.map(({ session, stats }): LinkStats => {
    const media = meshLinks.get(session.id)
    const rttMs = media?.rttMs ?? stats.rttMs
    const openMs = new Map(stats.lanes.map((lane) => [lane.laneId, lane.openMs]))
    return {
      peer: session.peer.keyId,
      kind: "direct",
      ...(stats.path === undefined ? {} : { path: stats.path }),
      ...(rttMs === undefined ? {} : { rttMs }),
      ...(media === undefined ? {} : flowStats(media)),
      lanes: [
        ...stats.lanes.filter((lane) => lane.role === "control").map(controlLane),
        ...(media?.lanes ?? []).map((lane) => laneStats(lane, openMs.get(lane.id))),
      ],
      drops: add(stats.drops, linkDrops(media)),
    }
  })
  const routed = hub.sessions
    .filter((session) => session.kind === "routed")
    .map((session): LinkStats => ({ peer: session.peer.keyId, kind: "routed", lanes: [], drops: {} }))
  const { stages } = mesh
  const relay = relayStats(mesh.relay, sources.parents, (key) => media.subscriptions.byStreamKey(key)?.id)
  return {
    at: Date.now(),
    room: {
      name: roomName,
      roomId: machine.roomId === undefined ? "" : toHex(machine.roomId),
      epoch: machine.view?.epoch ?? 0n,
      members: machine.view?.members.length ?? 0,
      code: machine.view?.roomCode ?? "",
      serverConnected,
      committer: machine.committer ?? "",
    },
    links: [...links, ...routed],
    send,
    receive: received,
    stages: {
      control: { ...warnings },
      room: { ...machine.counters },
      seal: add(stages.outer, stages.inner),
      group: { ...stages.hold },
      fountain: add(stages.payload, stages.fountain),
      media: add(stages.lane, stages.send),
    },
    edges: edges(local.id, send, received, relay),
    control,
    nat: sources.nat,
    direct: sources.direct,
    relay,
  }
}

function sendStats(
  publication: string,
  streamId: string,
  mesh: MeshSendStats,
  worker: PublishStreamStats | undefined,
): SendStreamStats {
  return {
    publication,
    streamId,
    kind: mesh.kind,
    codec: worker?.codec ?? "",
    subscribers: mesh.subscribers,
    active: mesh.active,
    frames: mesh.frames,
    keyframes: mesh.keyframes,
    encodedBytes: mesh.encodedBytes,
    chunks: mesh.chunks,
    bitrate: worker?.bitrate ?? 0,
    droppedFrames: mesh.droppedFrames + (worker?.droppedFrames ?? 0),
    ...(mesh.targetBitrate === undefined ? {} : { targetBitrate: mesh.targetBitrate }),
    ...pick(worker, ["width", "height", "frameRate", "encodeMs", "settings"]),
  }
}

function receiveStats(
  subscription: string,
  participant: string,
  streamId: string,
  mesh: MeshReceiveStats,
  worker: ReceiveStats | undefined,
): Omit<ReceiveStreamStats, "parents"> {
  return {
    subscription,
    participant,
    streamId,
    kind: mesh.kind,
    codec: worker?.codec ?? "",
    from: mesh.from.join(" "),
    chunks: mesh.chunks,
    duplicates: mesh.duplicates,
    frames: mesh.frames,
    repairedFrames: mesh.repairedFrames,
    lostFrames: mesh.lostFrames,
    within100: mesh.within100,
    within150: mesh.within150,
    within250: mesh.within250,
    transit: mesh.transit,
    skippedFrames: worker?.skippedFrames ?? 0,
    decodedFrames: worker?.decodedFrames ?? 0,
    renderedFrames: worker?.renderedFrames ?? 0,
    keyframeRequests: mesh.keyframeRequests,
    decoderErrors: worker?.decoderErrors ?? 0,
    bitrate: worker?.bitrate ?? 0,
    jitterMs: worker?.jitterMs ?? 0,
    bufferMs: worker?.bufferMs ?? 0,
    longestGapMs: worker?.longestGapMs ?? 0,
    ...(mesh.layer === undefined ? {} : { layer: mesh.layer }),
    ...pick(worker, ["width", "height", "decodeMs", "concealedMs", "recoveredFrames", "avOffsetMs", "frameRate"]),
  }
}

/** Where the stream stands in its track: chunks of a rung do not say which rung they are of (D-37). */
function layerStats(subscription: RemoteSubscription, streamKey: string, layer: ReceiveStreamStats["layer"]) {
  const stream = subscription.streamOf(streamKey)
  if (stream === undefined || stream.kind === "audio") return {}
  const reason = subscription.layer?.reason
  return {
    ...(layer === undefined ? {} : { layer: { ...layer, spatial: stream.spatial } }),
    ...(reason === undefined ? {} : { layerReason: reason }),
    ...pick(stream, ["description"]),
  }
}

/** Control frames are counted by the session, not by message; what matters here is that the lane is there and open. */
function controlLane(lane: { laneId: number; state: string }): LaneStats {
  const nothing = { sentMessages: 0, sentBytes: 0, receivedMessages: 0, receivedBytes: 0, lostMessages: 0 }
  return { id: lane.laneId, role: "control", state: lane.state, path: "page", ...nothing, bufferedAmount: 0, gateRefusals: 0 }
}

function laneStats(lane: MeshLaneStats, openMs: number | undefined): LaneStats {
  return openMs === undefined ? lane : { ...lane, openMs }
}

function flowStats(media: MeshLinkStats): LinkFlowStats {
  const { link: _link, peer: _peer, rttMs: _rtt, lanes: _lanes, queued: _queued, shed: _shed, drops: _drops, ...flow } = media
  return flow
}

function linkDrops(link: MeshLinkStats | undefined): Record<string, number> {
  if (link === undefined) return {}
  return link.shed > 0 ? { ...link.drops, Shed: link.shed } : link.drops
}

/** Who feeds the stream; where nobody chooses, whoever sends is as good as any. */
function parentStats(parents: Pick<ParentDirector, "parentsOf">, streamKey: string, from: string): ParentStats[] {
  const chosen = parents.parentsOf(streamKey)
  if (chosen.length === 0) return from === "" ? [] : from.split(" ").map((peer) => ({ peer, role: "primary", bitrate: 0 }))
  return chosen.map(({ keyId, role, doomed, bitrate, share, claimedBitrate }) => ({
    peer: keyId,
    role,
    bitrate,
    ...(doomed === undefined ? {} : { leaving: doomed }),
    ...(share === undefined ? {} : { share }),
    ...(claimedBitrate === undefined ? {} : { claimedBitrate }),
  }))
}

function relayStats(
  mesh: MeshRelayStats,
  { desk, counts }: Pick<ParentDirector, "desk" | "counts">,
  subscriptionOf: (streamKey: string) => string | undefined,
): RelayStats {
  const streams = mesh.streams.map(({ streamId: id, bytes: _bytes, drops: _drops, ...stream }) => {
    const streamId = streamKeyOf(id)
    const subscription = subscriptionOf(streamId)
    return { streamId, ...(subscription === undefined ? {} : { subscription }), ...stream }
  })
  return { ...mesh, promisedBitrate: desk.promisedMbps * 1e6, parents: counts, streams }
}

/** Who sends what to whom as far as this page has a part in it. A stream is named by its track where this page shows it. */
function edges(local: string, send: SendStreamStats[], receive: ReceiveStreamStats[], relay: RelayStats): RoomStats["edges"] {
  const labelOf = (subscription: string) => subscription.slice(subscription.indexOf("/") + 1)
  return [
    ...send.flatMap((stream) => stream.subscribers.map((to) => ({ from: local, to, stream: stream.publication }))),
    ...relay.streams.flatMap(({ children, subscription, streamId }) =>
      children.map(({ peer }) => ({
        from: local,
        to: peer,
        stream: subscription === undefined ? streamId : labelOf(subscription),
      })),
    ),
    ...receive.flatMap(({ from, subscription }) =>
      from === "" ? [] : from.split(" ").map((parent) => ({ from: parent, to: local, stream: labelOf(subscription) })),
    ),
  ]
}

function add(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const sum: Record<string, number> = { ...a }
  for (const [name, count] of Object.entries(b)) sum[name] = (sum[name] ?? 0) + count
  return sum
}

function pick<T extends object, K extends keyof T>(from: T | undefined, names: readonly K[]): Partial<Pick<T, K>> {
  if (from === undefined) return {}
  return Object.fromEntries(names.flatMap((name) => (from[name] === undefined ? [] : [[name, from[name]]]))) as Partial<
    Pick<T, K>
  >
}
