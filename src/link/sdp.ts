/** SDP is never carried: it is built from the fields of a description (control-plane 6.3) and read back from our own browser. */
import { AvError } from "../wire/errors.ts"
import type { Bytes } from "../wire/types.ts"

/** What one peer connection says about itself. */
export interface TransportFields {
  ufrag: string
  pwd: string
  /** SHA-256 of the DTLS certificate. */
  fingerprint: Bytes
}

/** Which end of DTLS an answer claims; it stays for the life of a connection. */
export type DtlsSetup = "active" | "passive"

/**
 * The fixed data-channel-only template with these fields; `offer` sets `setup:actpass`.
 *
 * @param setup what an answer says. The first is always active; that of an ICE restart repeats the part its sender has already
 */
export function buildSdp(kind: "offer" | "answer", fields: TransportFields, setup: DtlsSetup = "active"): string {
  const lines = [
    "v=0",
    "o=- 1 1 IN IP4 127.0.0.1",
    "s=-",
    "t=0 0",
    "a=group:BUNDLE 0",
    "a=msid-semantic: WMS",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "c=IN IP4 0.0.0.0",
    `a=ice-ufrag:${fields.ufrag}`,
    `a=ice-pwd:${fields.pwd}`,
    "a=ice-options:trickle",
    `a=fingerprint:sha-256 ${formatFingerprint(fields.fingerprint)}`,
    `a=setup:${kind === "offer" ? "actpass" : setup}`,
    "a=mid:0",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
  ]
  return `${lines.join("\r\n")}\r\n`
}

/** Reads the fields out of our own browser's SDP. `LinkFailed` when it lacks one: a browser we do not understand. */
export function readSdp(sdp: string): TransportFields {
  const ufrag = /^a=ice-ufrag:(\S+)\r?$/m.exec(sdp)?.[1]
  const pwd = /^a=ice-pwd:(\S+)\r?$/m.exec(sdp)?.[1]
  const print = /^a=fingerprint:sha-256 (\S+)\r?$/im.exec(sdp)?.[1]
  if (ufrag === undefined || pwd === undefined || print === undefined) {
    throw new AvError("LinkFailed", {}, { message: "the browser's session description lacks ICE credentials or a fingerprint" })
  }
  return { ufrag, pwd, fingerprint: parseFingerprint(print) }
}

/** `AB:CD:…` in upper case, 32 bytes. */
export function formatFingerprint(fingerprint: Bytes): string {
  return Array.from(fingerprint, (byte) => byte.toString(16).padStart(2, "0").toUpperCase()).join(":")
}

/** The 32 bytes of `AB:CD:…`; `LinkFailed` for anything else. */
export function parseFingerprint(text: string): Bytes {
  if (!/^([0-9a-f]{2}:){31}[0-9a-f]{2}$/i.test(text)) {
    throw new AvError("LinkFailed", {}, { message: "not a SHA-256 fingerprint" })
  }
  return Uint8Array.from(text.split(":"), (pair) => Number.parseInt(pair, 16))
}
