/** What tabs of one origin say to each other. Other versions of the page may be open beside this one: what is not understood is dropped. */
import type { ErrorCode, ErrorDetails } from "../../wire/errors.ts"

export interface TabFailure {
  code: ErrorCode
  details: ErrorDetails
}

export type TabMessage =
  /** To the writer, again until it answers. */
  | { kind: "order"; from: string; id: number; order: unknown }
  | { kind: "cancel"; from: string; id: number }
  /** It was begun before, or will be as soon as the storage is open. */
  | { kind: "working"; to: string; id: number }
  | { kind: "told"; to: string; id: number; value: unknown }
  | { kind: "answer"; to: string; id: number; value?: unknown; failure?: TabFailure }
  | { kind: "news"; news: unknown }
  | { kind: "began"; preferred: boolean }
  /** A preferred tab wants to write. */
  | { kind: "yield" }

type Check = (message: Record<string, unknown>) => boolean

const CHECKS: Record<TabMessage["kind"], Check> = {
  order: isFrom,
  cancel: isFrom,
  working: isTo,
  told: isTo,
  answer: (message) => isTo(message) && (message.failure === undefined || isFailure(message.failure)),
  news: () => true,
  began: ({ preferred }) => typeof preferred === "boolean",
  yield: () => true,
}

/** Undefined for anything else. */
export function readTabMessage(data: unknown): TabMessage | undefined {
  if (typeof data !== "object" || data === null) return undefined
  const message = data as Record<string, unknown>
  const { kind } = message
  if (typeof kind !== "string" || !Object.hasOwn(CHECKS, kind)) return undefined
  return CHECKS[kind as TabMessage["kind"]](message) ? (message as TabMessage) : undefined
}

function isFrom({ from, id }: Record<string, unknown>): boolean {
  return typeof from === "string" && typeof id === "number"
}

function isTo({ to, id }: Record<string, unknown>): boolean {
  return typeof to === "string" && typeof id === "number"
}

function isFailure(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false
  const { code, details } = value as Record<string, unknown>
  return typeof code === "string" && typeof details === "object" && details !== null
}
