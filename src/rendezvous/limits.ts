/** Every bound of the rendezvous server and of introducers, each with what it stops. */
import type { Milliseconds } from "../wire/types.ts"

/** Fixed windows of control-plane 6.7; `[count, per milliseconds]`. */
export type Budget = readonly [count: number, windowMs: Milliseconds]

/** What a coordinator (server or member) allows; control-plane 6.7. */
export interface CoordinatorLimits {
  /** CONNECT of one requester. */
  connect: Budget
  /** INTRODUCE toward one target, whoever asks: keeps a crowd from ringing one member to death. */
  introduce: Budget
  /** CANDIDATES of one end of an attempt: a trickle needs a handful. */
  candidatesPerAttempt: number
  /** How long an attempt may be answered; 10 s and 250 ms of grace. */
  attemptMs: Milliseconds
  /** Attempts remembered at once. */
  attempts: number
  /** Largest difference between a description's `issued_ms` and the coordinator's clock. */
  clockSkewMs: Milliseconds
}

export const COORDINATOR_LIMITS: CoordinatorLimits = {
  connect: [16, 10_000],
  introduce: [32, 10_000],
  candidatesPerAttempt: 16,
  attemptMs: 10_250,
  attempts: 16_384,
  clockSkewMs: 60_000,
}

/** Limits of the machine behind the server. All are per process. */
export interface ServerLimits {
  coordinator: CoordinatorLimits
  /** Sockets at once, proven or not. */
  sessions: number
  /** Sockets of one address (IPv6: of one /64): one visitor cannot take all places. A household or office shares one. */
  sessionsPerAddress: number
  rooms: number
  peersPerRoom: number
  /** Namespaces one session may register in. */
  roomsPerSession: number
  /** REGISTER and UNREGISTER of one session. */
  register: Budget
  /** Frames of any kind of one session; over it the session is ended with GOAWAY `limit`. */
  frames: Budget
  /** Bytes of any kind of one session; likewise. Larger than the routed budget, so that this one is met first. */
  bytes: Budget
  /** ROUTED and ROUTED_HELLO bytes forwarded for one session (D48). */
  routed: Budget
  /** Bytes forwarded for one session in its whole life (D48). */
  routedPerSession: number
  /** Requests to the key package directory of one session: a stranger cannot use up everybody's packages. */
  directory: Budget
  directoryKeys: number
  /** Bytes of all stored records; the owner that was longest without a put loses its records first. */
  directoryBytes: number
  oneTimePerKey: number
  recordBytes: number
  /** A proven socket that says nothing for this time is dropped. */
  idleMs: Milliseconds
  /** A lost socket stays registered this long: a reload is not a departure. */
  lingerMs: Milliseconds
  /** Changes of a room are told at most this often. */
  deltaMs: Milliseconds
  /** Bytes that may wait for a slow reader before its socket is cut. */
  outgoingBytes: number
  /** Life of an address attestation, at most 300 s (control-plane 6.4). */
  attestationMs: Milliseconds
}

export const SERVER_LIMITS: ServerLimits = {
  coordinator: COORDINATOR_LIMITS,
  sessions: 4096,
  sessionsPerAddress: 256,
  rooms: 4096,
  peersPerRoom: 1024,
  roomsPerSession: 4,
  register: [16, 10_000],
  frames: [2000, 10_000],
  bytes: [2 * 1024 * 1024, 10_000],
  routed: [256 * 1024, 10_000],
  routedPerSession: 16 * 1024 * 1024,
  directory: [30, 60_000],
  directoryKeys: 4096,
  directoryBytes: 64 * 1024 * 1024,
  oneTimePerKey: 32,
  recordBytes: 16 * 1024,
  idleMs: 15_000,
  lingerMs: 5_000,
  deltaMs: 250,
  outgoingBytes: 1024 * 1024,
  attestationMs: 300_000,
}

/** Largest roster and delta list; a list of 256 ids stays far below the 8 KiB of a message. */
export const ROSTER_LIMIT = 256

/** `ttl_ms` of an INTRODUCE: clamped to 1..10 s (control-plane 6.8). */
export function clampTtl(ms: Milliseconds): Milliseconds {
  return Math.min(10_000, Math.max(1_000, ms))
}

/** `retry_after_ms` of a REJECT: clamped to 0..60 s (control-plane 6.8). */
export function clampRetryAfter(ms: Milliseconds): Milliseconds {
  return Math.min(60_000, Math.max(0, Math.ceil(ms)))
}
