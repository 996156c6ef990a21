/** Runs the parsing sections of room vectors. */
import { strictEqual } from "node:assert"
import {
  decodeControlMessage,
  decodeFrame,
  decodeGoaway,
  decodeRoomMessage,
  encodeFrame,
  encodeGoaway,
  FRAME_GOAWAY,
  formatInvitation,
  GOAWAY_REASONS,
  type Invitation,
  nextStateVersion,
  parseInvitation,
  parseRoomUrl,
  parseSettingsBody,
  rttClass,
  toHex,
  utf8Encode,
} from "../../src/wire/index.ts"
import type { RunnerTable } from "../types.ts"
import { expectError, expectHex, expectMembers, hex, isExpectedError } from "./wire-check.ts"

function roomUrl(c: { url: string; result: object }): void {
  if (isExpectedError(c.result)) {
    expectError(() => parseRoomUrl(c.url), c.result)
    return
  }
  expectMembers(parseRoomUrl(c.url), c.result)
}

function invitationParse(c: { fragment: string; result: object }): void {
  if (isExpectedError(c.result)) {
    expectError(() => parseInvitation(c.fragment), c.result)
    return
  }
  const parsed = parseInvitation(c.fragment)
  const answer: Record<string, unknown> = { open: parsed.kind === "open" }
  if (parsed.kind === "member") answer.k = toHex(parsed.k)
  if (parsed.kind === "relay") answer.r = toHex(parsed.r)
  if (parsed.kind !== "open" && parsed.h !== undefined) answer.h = toHex(parsed.h)
  expectMembers(answer, c.result)
  for (const secret of ["k", "r", "h"]) strictEqual(secret in answer, (c.result as Record<string, unknown>)[secret] != null)
}

function invitationFormat(c: { k?: string | null; r?: string | null; h?: string | null; fragment: string }): void {
  const root = c.h == null ? {} : { h: hex(c.h) }
  let invitation: Invitation = { kind: "open" }
  if (c.k != null) invitation = { kind: "member", k: hex(c.k), ...root }
  else if (c.r != null) invitation = { kind: "relay", r: hex(c.r), ...root }
  strictEqual(formatInvitation(invitation), c.fragment)
}

function settingsBody(c: { body: string; ok: boolean }): void {
  if (c.ok) parseSettingsBody(utf8Encode(c.body))
  else expectError(() => parseSettingsBody(utf8Encode(c.body)), { error: "SettingsInvalid" })
}

/** A message is either said between two peers or inside the group; only one of the two tables knows its name. */
function readMessage(json: string): "ok" | "unknown" {
  const bytes = utf8Encode(json)
  if (decodeControlMessage(bytes).t !== "unknown") return "ok"
  return decodeRoomMessage(bytes).t === "unknown" ? "unknown" : "ok"
}

function messageCheck(c: { json: string; result: unknown }): void {
  if (isExpectedError(c.result)) {
    expectError(() => readMessage(c.json), c.result)
    return
  }
  // The specification says of unknown names that they are ignored.
  strictEqual(readMessage(c.json), c.result === "ignored" ? "unknown" : c.result)
}

function stateVersion(c: { last: string | null; now: number; next: string }): void {
  strictEqual(nextStateVersion(c.last === null ? undefined : BigInt(c.last), c.now).toString(), c.next)
}

function rttClassCase(c: { rtt_ms: number; class: number }): void {
  strictEqual(rttClass(c.rtt_ms), c.class)
}

function goawayFrame(c: { code: number; text: string; frame: string }): void {
  const reason = GOAWAY_REASONS[c.code] ?? "unspecified"
  if (GOAWAY_REASONS[c.code] !== undefined) expectHex(encodeFrame(FRAME_GOAWAY, encodeGoaway({ reason, text: c.text })), c.frame)
  const decoded = decodeGoaway(decodeFrame(hex(c.frame)).payload)
  strictEqual(decoded.reason, reason)
  strictEqual(decoded.text, c.text)
}

export const runners: RunnerTable = {
  room: {
    room_url: roomUrl,
    invitation_parse: invitationParse,
    invitation_format: invitationFormat,
    settings_body: settingsBody,
    message_check: messageCheck,
    state_version: stateVersion,
    rtt_class: rttClassCase,
    goaway_frame: goawayFrame,
  },
}
